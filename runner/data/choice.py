"""Resolution of ``dataset: NAME`` in a config, without opening an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import InputError
from runner.data.manifest import ANNOTATIONS, IMAGE_DIR, Manifest, read_manifest
from runner.data.proposal import SOURCE, prepare_again, prepare_command
from runner.data.spec import SYNTHETIC, apply_options, data_root, find_spec
from runner.data.synthetic.generate import CLASSES


@dataclass(frozen=True, slots=True)
class SplitPaths:
    """One split of a data set in PaddleDetection's terms: image_dir and anno_path are relative to dataset_dir."""

    dataset_dir: str
    image_dir: str
    anno_path: str

    @property
    def annotations(self) -> Path:
        """The annotation file."""
        return Path(self.dataset_dir, self.anno_path)

    @property
    def images(self) -> Path:
        """The image folder."""
        return Path(self.dataset_dir, self.image_dir)


@dataclass(frozen=True, slots=True)
class DatasetChoice:
    """Data set that ``dataset: NAME`` refers to.

    Args:
        name: of the set.
        classes: names in order; empty where they are only known once it is prepared.
        train, eval: TrainDataset and EvalDataset.
        eval_iou_thresholds: IoUs at which AP is also given.
        prepared: whether it can be used now.
        made_on_first_use: whether `runner.data.prepare.ensure_synthetic` makes it.
        message: if it is not prepared: why, and what to run.
        content: the prepared content's hash, empty if it is not prepared.
        test: the test split, which is read only on request; None if there is none.
        group: regular expression of a file name's group (the board), empty if it has none.
    """

    name: str
    classes: tuple[str, ...]
    train: SplitPaths
    eval: SplitPaths
    eval_iou_thresholds: tuple[float, ...]
    prepared: bool
    made_on_first_use: bool
    message: str
    content: str
    test: SplitPaths | None = None
    group: str = ""

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None where it is only known once the set is prepared."""
        return len(self.classes) or None


def dataset_choice(name: str | Path, root: Path | None = None) -> DatasetChoice:
    """Resolve ``dataset: NAME`` by the spec, and by the manifest if the set is prepared. Reads no image.

    Args:
        name: of a data set, or the path of a spec.
        root: folder of prepared sets; None: `data_root()`.

    Raises:
        InputError: unknown data set, or a mistake in its spec.
    """
    spec = find_spec(name)
    folder = (root if root is not None else data_root()) / spec.name
    manifest = read_manifest(folder)
    message = ""
    if manifest is None:
        command = prepare_command(name, source=None if spec.generated else SOURCE)
        message = f"data set {name} is not prepared (no {folder}/dataset.json); run: {command}"
    elif _stale(name, manifest):
        text = f"data set {spec.name} in {folder} was prepared by another version of its spec or of runner"
        message = f"{text}; run: {prepare_again(name, manifest)}"
    train, val, test = (SplitPaths(str(folder), IMAGE_DIR, ANNOTATIONS[split]) for split in ("train", "val", "test"))
    return DatasetChoice(
        name=spec.name,
        classes=manifest.classes if manifest else CLASSES if spec.generated else spec.classes,
        train=train,
        eval=val,
        eval_iou_thresholds=spec.eval_iou_thresholds,
        prepared=not message,
        made_on_first_use=spec.name == SYNTHETIC and spec.generated,
        message=message,
        test=test if manifest and "test" in manifest.splits else None,
        content=manifest.content if manifest and not message else "",
        group=spec.split.group,
    )


def _stale(name: str | Path, manifest: Manifest) -> bool:
    """Return whether the spec, with the options of the preparation, has changed since."""
    try:
        return apply_options(find_spec(name), manifest.options).hash() != manifest.spec_hash
    except InputError:
        return True  # the spec no longer has these options
