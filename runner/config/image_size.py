"""`image_size`, one key for the size of the images: it stands for the size in every reader, and in what depends on it.

A layer of a config (a file, the command line, a trial) that sets it replaces the sizes of the layers below: fixed sizes become it, and
lists of sizes to draw from are scaled with it. At the end, `fill` gives it to every operator that has no size of its own, and finds what
contradicts it. Anchors in pixels and the sizes of some operators do not follow; a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runner.config.node import Node, from_plain
from runner.core.errors import Problem, keep_one

KEY: Final = "image_size"
_READERS: Final = ("TrainReader", "EvalReader", "TestReader")
_SIZED: Final = {"Resize": "target_size", "PadResize": "target_size", "LetterBoxResize": "target_size", "Mosaic": "input_dim"}
"""Maps operators that take one size to the key of it; where the key is missing, `image_size` is it."""
_PADDED: Final = {"Pad": "size"}
"""The same for operators that can do without."""
_FOLLOWING: Final = frozenset((*_SIZED.values(), *_PADDED.values(), "eval_size", "image_shape"))
_DRAWING: Final = ("RandomResize", "BatchRandomResize")
"""Operators that draw from the list `target_size`, unless ``random_size: false``."""
_NOT_FOLLOWING: Final = frozenset(
    (
        "RandomSelect RandomShortSideResize RandomSizeCrop RandomResizeCrop v2.Resize v2.ScaleJitter v2.RandomShortestSize v2.RandomResize"
        " v2.RandomResizedCrop v2.RandomCrop v2.CenterCrop"
    ).split()
)
"""Operators with sizes that do not follow `image_size`."""
_ANCHORS: Final = frozenset(("anchors", "anchor_sizes", "min_sizes", "max_sizes", "steps"))
"""Keys of anchors, which are in pixels of the resized image."""
_STRIDE_PX: Final = 32
"""Sizes of a list are rounded to a multiple of it where no reader pads to another one."""

Pair = tuple[int, int]


def pair_of(value: Any) -> Pair | None:
    """Return (height, width) in pixels of a size as it is written, one number or two; None if it is neither."""
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, Sequence) or isinstance(sides, str) or len(sides) != 2:
        return None
    if any(not isinstance(side, int) or isinstance(side, bool) or side < 1 for side in sides):
        return None
    return sides[0], sides[1]


def put_sizes_aside(base: Node, size: Node | None) -> Node:
    """Prepare the config `base` for a later layer that says ``image_size: SIZE``: give its readers that size.

    A null, and what is no size, changes nothing.
    """
    new = None if size is None else pair_of(size.plain())
    if size is None or new is None:
        return base
    former, stride = _evaluated_at(base), _stride(base)
    for dotted, node in list(_fixed(base)):
        before = node.plain()
        around = before[:-2] if isinstance(before, list) else []
        base = base.with_node(dotted, from_plain([*around, *new], size.source))
    for dotted, node in list(_drawn(base)):
        base = base.with_node(dotted, from_plain(_scaled(node.plain(), former, new, stride), size.source))
    return base


def fill(tree: Node) -> tuple[Node, list[Problem], list[str]]:
    """Give `image_size` to the operators of a whole config that have no size of their own.

    Returns:
        The config; a problem for every size that contradicts `image_size`; notes.
    """
    size = tree.get(KEY)
    new = None if size is None else pair_of(size.plain())
    if size is None:
        return tree, [], []
    if new is None:
        return _without_any(tree, size)
    filled = list(_without_size(tree))
    for dotted in filled:
        tree = tree.with_node(dotted, from_plain(list(new), size.source))
    fixed, drawn = list(_fixed(tree)), list(_drawn(tree))
    if not fixed and not drawn:
        return tree, [Problem("no effect: no reader of this config resizes its images", where=str(size.source), key=KEY)], []
    problems = [_contradiction(dotted, node, size, bool(filled)) for dotted, node in fixed if _size_in(node) != new]
    scaled = [f"{dotted} is {_shown(node.plain())}" for dotted, node in drawn if node.source == size.source]
    notes = [f"image_size {list(new)}: the sizes to draw from are scaled with it: {'; '.join(scaled)}"] if scaled else []
    if kept := [dotted for dotted, name, _ in operators(tree) if name in _NOT_FOLLOWING]:
        notes.append(f"image_size does not change the sizes in {', '.join(kept)}: give them there")
    if anchors := sorted(_anchors(tree)):
        notes.append(f"image_size does not change anchors, which are in pixels of the resized image: {', '.join(anchors)}")
    return tree, problems, notes


def _without_any(tree: Node, size: Node) -> tuple[Node, list[Problem], list[str]]:
    """Report a null where operators need it; give these a size, so that one mistake is one message (what is no size is refused where the
    config is bound)."""
    missing = list(_without_size(tree))
    for dotted in missing:
        tree = tree.with_node(dotted, from_plain([_STRIDE_PX, _STRIDE_PX], size.source))
    if not missing or size.value is not None:
        return tree, [], []
    text = f"null leaves {missing[0]} without a size; expected [height, width], or a size in that operator"
    return tree, [Problem(text, where=str(size.source), key=KEY)], []


def follows(dotted: str) -> bool:
    """Return whether a dotted key is one of those that `image_size` stands for."""
    return any(part in _FOLLOWING for part in dotted.split("."))


def size_in(flat: Mapping[str, Any]) -> Any:
    """Return the size in pixels of evaluation in a flattened config, as it is written; None where there is none."""
    found = [value for key, value in flat.items() if key.startswith("EvalReader.sample_transforms.") and key.endswith(".target_size")]
    return found[-1] if found else None


def _contradiction(dotted: str, node: Node, size: Node, is_needed: bool) -> Problem:
    text = f"is {_shown(node.plain())}, which contradicts image_size {size.plain()} ({size.source}); {keep_one(KEY, is_needed)}"
    return Problem(text, where=str(node.source), key=dotted)


def _shown(value: Any) -> str:
    if not isinstance(value, list) or len(value) < 3 or not all(isinstance(item, list | int) for item in value):
        return str(value)
    return f"{value[0]} to {value[-1]} ({len(value)} sizes)" if len(value) > 3 or isinstance(value[0], list) else str(value)


def _size_in(node: Node) -> Pair | None:
    value = node.plain()
    return pair_of(value[-2:] if isinstance(value, list) else value)


def operators(tree: Node) -> Iterator[tuple[str, str, Node]]:
    """Yield (dotted key, name, keys) of every operator of every reader, in whichever notation (``Resize: {…}``, ``!Resize {…}``, or a
    mapping with ``name``)."""
    for reader in _READERS:
        for group in ("sample_transforms", "batch_transforms"):
            listed = tree.get(f"{reader}.{group}")
            for index, item in enumerate((listed.items if listed is not None else None) or ()):
                dotted, named = f"{reader}.{group}.{index}", item.tag or item.get("name")
                if named is not None:
                    yield dotted, named if isinstance(named, str) else str(named.value), item
                    continue
                for name, keys in (item.mapping or {}).items():
                    yield f"{dotted}.{name}", name, keys


def _fixed(tree: Node) -> Iterator[tuple[str, Node]]:
    """Yield (dotted key, value) of everything that is one size: in operators, and in what Paddle's models and exports have."""
    for dotted, name, keys in operators(tree):
        key = _SIZED.get(name) or _PADDED.get(name) or ("target_size" if name in _DRAWING and not _draws(keys) else None)
        node = keys.get(key) if key else None
        if node is not None and node.value is not None:
            yield f"{dotted}.{key}", node
    for dotted in ("eval_size", *(f"{reader}.inputs_def.image_shape" for reader in _READERS)):
        node = tree.get(dotted)
        if node is not None and _size_in(node) is not None:
            yield dotted, node


def _drawn(tree: Node) -> Iterator[tuple[str, Node]]:
    """Yield (dotted key, value) of every list of sizes to draw from."""
    for dotted, name, keys in operators(tree):
        node = keys.get("target_size")
        if name in _DRAWING and _draws(keys) and node is not None and node.items:
            yield f"{dotted}.target_size", node


def _draws(keys: Node) -> bool:
    chosen = keys.get("random_size")
    return chosen is None or chosen.value is not False


def _without_size(tree: Node) -> Iterator[str]:
    for dotted, name, keys in operators(tree):
        key = _SIZED.get(name)
        node = keys.get(key) if key else None
        if key and (node is None or node.value is None):
            yield f"{dotted}.{key}"


def _evaluated_at(tree: Node) -> Pair | None:
    """Return the size that evaluation resizes to; None if it does not."""
    found = [_size_in(node) for dotted, node in _fixed(tree) if dotted.startswith("EvalReader.sample_transforms")]
    return found[-1] if found else None


def _stride(tree: Node) -> int:
    """Return the largest multiple that a reader pads its batches to, in pixels."""
    nodes = [keys.get("pad_to_stride") for _, name, keys in operators(tree) if name == "PadBatch"]
    given = [node.value for node in nodes if node is not None and isinstance(node.value, int) and node.value > 0]
    return max(given, default=_STRIDE_PX)


def _scaled(sizes: list[Any], former: Pair | None, new: Pair, stride: int) -> list[Any]:
    """Scale each size as the size of evaluation changes, or else so that the middle one becomes `new`; rounded to `stride`."""
    middle = sorted(pair for size in sizes if (pair := pair_of(size)) is not None)
    if not middle:
        return sizes
    reference = former or middle[len(middle) // 2]

    def scale(side: int, of: int) -> int:
        return max(1, round(side * new[of] / reference[of] / stride)) * stride

    result: list[Any] = []
    for size in sizes:
        pair = pair_of(size)
        sides = None if pair is None else [scale(pair[0], 0), scale(pair[1], 1)]
        entry = size if sides is None else sides if isinstance(size, list) or sides[0] != sides[1] else sides[0]
        if entry not in result:
            result.append(entry)
    return result


def _anchors(tree: Node, prefix: str = "") -> Iterator[str]:
    for key, node in (tree.mapping or {}).items():
        if key in _ANCHORS and node.items and prefix and not prefix.startswith("LearningRate"):
            yield f"{prefix}{key}"
        elif key not in _READERS:
            yield from _anchors(node, f"{prefix}{key}.")
