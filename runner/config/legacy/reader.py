"""TranslationLog of 0.x's readers, which contain their data sets, into the readers and data sets of 2.x."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runner.config.legacy.keys import Keys, TranslationLog, at, whole, yes_or_no
from runner.config.legacy.transforms import translate_op
from runner.config.load import DATA_SECTIONS, put_data_aside
from runner.config.node import Node

READERS = ("TrainReader", "EvalReader", "TestReader")
_SETS = {"COCODataSet": "is_crowd", "VOCDataSet": "difficult", "ImageFolder": ""}
"""Data sets that are translated, with the data fields of each beside box and class."""
_BOX_OPS = ("NormalizeBox", "PadBox", "BboxXYXY2XYWH")
_IN_PIXELS = ("Resize", "RandomResize", "BatchRandomResize", "RandomFlip", "RandomExpand", "RandomCrop", "Mixup", "Cutmix", "AutoAugment")
"""Operators that move boxes, for which 2.x needs pixels."""
_BY_ITSELF = "2.x does it by itself"


def readers(top: Keys, record: TranslationLog, targets: dict[str, Any] | None, *, collate: bool) -> dict[str, Node]:
    """Translate all readers and data sets; `worker_num` goes to the top level.

    Args:
        targets: the keys of the Gt2YoloTarget that 2.x's YOLOv3 needs; None for other architectures.
        collate: boxes are padded to the same number per image; 2.x's Faster R-CNN needs them unpadded.
    """
    sections: dict[str, Node] = {}
    for name in READERS:
        node = top.take(name)
        if node is None:
            continue
        reader = Keys(node, name, record)
        dataset = _dataset(reader, record)
        if dataset is not None and top.node.get(name.replace("Reader", "Dataset")) is None:
            sections[name.replace("Reader", "Dataset")] = dataset
        _workers(reader, top)
        if name == "TrainReader" and not collate:
            reader.add("collate_batch", False, "2.x's Faster R-CNN takes the boxes of each image as they are; 2.x pads them otherwise")
        sections[name] = _reader(reader, record, targets if name == "TrainReader" else None)
    return _without_data(sections, top, record)


def _without_data(sections: dict[str, Node], top: Keys, record: TranslationLog) -> dict[str, Node]:
    """Drop the keys of `sections` that identify the data, where the config names a data set of ours."""
    named = top.node.get("dataset")
    if named is None or named.value is None:
        return sections
    for section in DATA_SECTIONS:
        if section in sections:
            record.change(section, "", f"dataset: {named.plain()} says which data it is", sections[section])
    return dict(put_data_aside(Node(sections, named.source), named).mapping or {})


def has_background(tree: Node) -> bool | None:
    """Return whether 0.x counts background among the classes of its data; None if no reader has a data set."""
    for name in READERS:
        dataset = tree.get(f"{name}.dataset")
        if dataset is not None:
            given = dataset.get("with_background")
            return given is None or given.value is not False
    return None


def _reader(reader: Keys, record: TranslationLog, targets: dict[str, Any] | None) -> Node:
    name = reader.path
    _inputs(reader, record)
    training = name == "TrainReader"
    samples = _transforms(reader, "sample_transforms", record)
    batches = _transforms(reader, "batch_transforms", record)
    if training:
        samples, batches = _boxes_last(samples, batches, record)
        if targets is not None and "Gt2YoloTarget" not in map(_name, batches):
            batches.append(at(reader.node, {"Gt2YoloTarget": targets}))
            why = "2.x's YOLOv3 always learns from it; the anchors are the head's"
            record.change("", f"{name}.batch_transforms.Gt2YoloTarget", why, reader.node, batches[-1].plain())
    else:
        samples, batches = (
            _without_boxes(ops, f"{name}.{key}", record) for ops, key in ((samples, "sample_transforms"), (batches, "batch_transforms"))
        )
    for key, ops in (("sample_transforms", samples), ("batch_transforms", batches)):
        given = reader.node.get(key)
        if ops or (given is not None and given.items is not None):
            reader.new[key] = Node(tuple(ops), (given or reader.node).source)
    reader.keep("batch_size", "shuffle", "drop_last")
    for key in ("mixup_epoch", "cutmix_epoch"):
        reader.move(key, key, "0 is always in 2.x, and never in 0.x", lambda node: whole(node) or -1)
    if training:
        reader.fill("shuffle", False, "0.x's default; 2.x's is true")
    if name != "TestReader":
        reader.fill("drop_last", False, "0.x's default; 2.x's is true")
    reader.only("class_aware_sampling", (False,), "2.x cannot draw images by their classes")
    reader.drop(_BY_ITSELF, "use_process", "bufsize", "memsize", "devices_num", "num_trainers")
    reader.drop("2.x has only the fine-grained loss", "use_fine_grained_loss")
    reader.drop("2.x takes the top-level num_classes", "num_classes")
    return reader.done()


def _inputs(reader: Keys, record: TranslationLog) -> None:
    """Translate `inputs_def`: in 2.x the inputs of a network follow from the architecture."""
    given = reader.take("inputs_def")
    if given is None:
        return
    inputs = Keys(given, f"{reader.path}.inputs_def", record)
    inputs.drop("2.x takes what the architecture needs", "fields")
    inputs.keep("num_max_boxes")
    if reader.path == "TestReader":
        inputs.keep("image_shape")
    else:
        inputs.drop("2.x takes the size that the transforms make", "image_shape")
    inputs.only("multi_scale", (False,), "2.x does not test at several scales this way")
    inputs.drop("there is one scale", "num_scales", "use_flip")
    new = inputs.done()
    if new.mapping:
        reader.new["inputs_def"] = new


def _transforms(reader: Keys, key: str, record: TranslationLog) -> list[Node]:
    given = reader.take(key)
    if given is None or given.value is None:
        return []
    if given.items is None:
        record.problem(f"expected a list of operators, got {given.plain()!r}", given, reader.old(key))
        return []
    made = (translate_op(item, f"{reader.old(key)}.{index}", record) for index, item in enumerate(given.items))
    return [node for node in made if node is not None]


def _name(op: Node) -> str:
    """Return the name of a 2.x operator."""
    return next(iter(op.mapping or {}), "")


def _boxes_last(samples: list[Node], batches: list[Node], record: TranslationLog) -> tuple[list[Node], list[Node]]:
    """Reorder both lists: operators that convert boxes from pixels come after all that move boxes."""
    moved = [op for op in samples if _name(op) in _BOX_OPS]
    if not moved:
        return samples, batches
    in_batches = any(_name(op) in _IN_PIXELS for op in batches)
    rest = [op for op in samples if _name(op) not in _BOX_OPS]
    target = batches if in_batches else rest
    last = max((index + 1 for index, op in enumerate(target) if _name(op) in _IN_PIXELS), default=0)
    if not last:
        return samples, batches
    target = [*target[:last], *moved, *target[last:]]
    new = (rest, target) if in_batches else (target, batches)
    if [_name(op) for op in new[0]] != [_name(op) for op in samples]:
        place = f"TrainReader.{'batch' if in_batches else 'sample'}_transforms"
        names = ", ".join(map(_name, moved))
        why = "2.x resizes boxes with the image, in pixels: they come after all that moves boxes"
        record.change(f"TrainReader.sample_transforms: {names}", f"{place}: {names}", why, Node(None, moved[0].source))
    return new


def _without_boxes(ops: list[Node], path: str, record: TranslationLog) -> list[Node]:
    for op in ops:
        if _name(op) in _BOX_OPS:
            record.change(f"{path}: {_name(op)}", "", "evaluation takes the boxes from the annotations", Node(None, op.source))
    return [op for op in ops if _name(op) not in _BOX_OPS]


def _workers(reader: Keys, top: Keys) -> None:
    """Set `worker_num` at the top level to that of the first reader that has one."""
    given = reader.take("worker_num")
    if given is None:
        return
    if "worker_num" in top.new:
        why = f"2.x has one for all readers ({top.new['worker_num'].plain()})"
        reader.record.change(reader.old("worker_num"), "", why, given)
        return
    top.new["worker_num"] = at(given, max(0, given.value)) if isinstance(given.value, int) else given
    reader.record.change(reader.old("worker_num"), "worker_num", "2.x has one for all readers", given, top.new["worker_num"].plain())


def _dataset(reader: Keys, record: TranslationLog) -> Node | None:
    """Translate the data set of a reader into its 2.x section."""
    given, drop_empty = reader.take("dataset"), reader.take("drop_empty")
    if given is None:
        return None
    path = reader.old("dataset")
    section = reader.path.replace("Reader", "Dataset")
    if given.tag not in _SETS:
        record.problem(f"expected a data set: {', '.join(f'!{name}' for name in _SETS)}; got {given.plain()!r}", given, path)
        return None
    data = Keys(replace(given, tag=None), path, TranslationLog(problems=record.problems), to=section)
    data.keep("dataset_dir", "image_dir", "anno_path", "sample_num")
    data.take("with_background")
    data.take("use_default_label")
    if given.tag == "VOCDataSet":
        label_list, default = data.take("label_list"), given.get("use_default_label")
        if default is not None and default.value is False:
            data.new["label_list"] = label_list or at(default, "label_list.txt")
    if given.tag == "COCODataSet":
        data.only("load_semantic", (False,), "2.x's COCODataSet reads no semantic maps")
    if given.tag != "ImageFolder" and (section == "TrainDataset" or given.tag == "VOCDataSet"):
        data.new["data_fields"] = at(given, ["image", "gt_bbox", "gt_class", _SETS[given.tag]])
    if drop_empty is not None and given.tag != "ImageFolder":
        keys = Keys(at(reader.node, {"drop_empty": drop_empty}), reader.path, record, to=section)
        keys.move("drop_empty", "allow_empty", "the data set decides it, and says the opposite", lambda node: not yes_or_no(node))
        data.new |= keys.new
    new = data.done(tag=given.tag)
    why = (
        "a data set is a section of its own; background is no class, data_fields says what is read of the annotations, "
        "class names come from anno_path or label_list"
    )
    record.change(path, section, why, given, replace(new, tag=None).plain())
    return new
