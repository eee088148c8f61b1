"""Import of Paddle and ppdet 2.6.0, with patches for their mistakes: the only place for patches. Each names its reason."""

from __future__ import annotations

import builtins
import functools
import inspect
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes

log = logging.getLogger("runner.backends.paddle")
_loaded = False


def load_ppdet() -> None:
    """Import Paddle and ppdet in an order that works, once per process. Takes about 5 seconds.

    Raises:
        ImportError: they are not in this interpreter's environment, or not whole.
    """
    global _loaded
    if _loaded:
        return
    import zlib  # noqa: F401, PLC0415 - loaded after paddle 3.3.1 it takes functions from paddle's own copy of it, and crashes

    os.environ.setdefault("GLOG_minloglevel", "2")
    _use_the_processor()
    with _signals_kept(), warnings.catch_warnings():  # ppdet 2.6.0 switches warnings off for the whole process
        warnings.simplefilter("ignore")
        import paddle  # noqa: F401, PLC0415
    quiet(_load_and_mend)
    _loaded = True


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore signal handlers: Paddle 3.3.1 replaces the one for SIGTERM, so that the process would end at once, without saving."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _use_the_processor() -> None:
    """Choose faster kernels: paddlepaddle 3.3.1 has an MKL of 2019, which takes its slowest ones (SSE2) on a processor that is not Intel's,
    whatever that can do: a step costs more than twice the time (benchmarks/LOG.md). MKL reads the variable at its first multiplication;
    5 is AVX2. And OpenMP's threads spin for 200 ms after each multiplication, on cores that readers and other runs could use: 1 ms lasts
    from one to the next. Variables that are set already are kept."""
    os.environ.setdefault("KMP_BLOCKTIME", "1")
    try:
        processor = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    if "GenuineIntel" not in processor and {"avx2", "fma"} <= set(processor.split()):
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _load_and_mend() -> None:
    with _numba_not_asked_for():
        import ppdet.engine  # noqa: F401, PLC0415

    _say_errors_once()
    _never_download()
    _read_weights_safely()
    _name_what_is_no_image()
    _join_counts_as_vectors()
    _assign_labels_of_64_bits()
    _count_hard_examples_in_integers()
    _train_on_images_without_objects()
    _build_heads_as_wide_as_their_features()


@contextmanager
def _numba_not_asked_for() -> Iterator[None]:
    """Suppress ppdet 2.6.0's message, printed twice, that its object trackers lack numba. They are not used here."""
    printed = builtins.print

    def print_(*words: Any, **options: Any) -> None:
        if not (words and "Unable to use numba in PP-Tracking" in str(words[0])):
            printed(*words, **options)

    builtins.print = print_
    try:
        yield
    finally:
        builtins.print = printed


def _say_errors_once() -> None:
    """Report errors once: ppdet 2.6.0 prints the trace of an error in a reader, and raises it. So does the thread that fetches from
    Paddle's reading processes, whose cause the main thread reports (`runner.backends.paddle.reader`)."""
    logging.getLogger("reader").setLevel(logging.ERROR)
    told = threading.excepthook

    def hook(error: Any) -> None:
        if error.thread is None or "_thread_loop" not in error.thread.name:
            told(error)

    threading.excepthook = hook


def _never_download() -> None:
    """Prevent downloads: ppdet 2.6.0 fetches COCO if a data path does not exist, and weights from any address (ppdet/utils/download.py,
    paddle.utils.download), unchecked. The config's check has checked the paths, and weights come from the store (`runner weights fetch`);
    any other failure has to be visible here."""
    import paddle  # noqa: PLC0415
    from ppdet.data.source import dataset  # noqa: PLC0415
    from ppdet.utils import download  # noqa: PLC0415

    def existing(path: str, _annotation: str, _image_dir: str) -> str:
        return path

    def refuse(url: Any, *_args: Any, **_options: Any) -> Any:
        raise InputError(f"ppdet asks for {url}, and a run downloads nothing: runner weights fetch {url}, then start a new run")

    dataset.get_dataset_path = existing
    download.get_path = download._download_dist = download._download = refuse
    paddle.utils.download.get_weights_path_from_url = paddle.utils.download.get_path_from_url = refuse


def _read_weights_safely() -> None:
    """Read weights as data: `paddle.load` unpickles any file, and ppdet passes it files that a config names, also those of backbones. What
    reads weights reads data."""
    import paddle  # noqa: PLC0415

    from runner.backends.pdparams import read_pdparams  # noqa: PLC0415

    def load(path: Any, **_options: Any) -> Any:
        return {name: paddle.to_tensor(value) if hasattr(value, "dtype") else value for name, value in read_pdparams(Path(path)).items()}

    paddle.load = load


def _name_what_is_no_image() -> None:
    """Name unreadable images: ppdet 2.6.0's Decode continues with the bytes of such a file and fails at their shape, and OpenCV makes the
    missing part of a truncated JPEG grey."""
    from ppdet.data.transform.operators import Decode  # noqa: PLC0415

    decode = Decode.apply

    @functools.wraps(decode)
    def apply(self: Any, sample: Any, context: Any = None) -> Any:
        file = str(sample.get("im_file", ""))
        if "image" not in sample:
            sample["image"] = read_bytes(sample.pop("im_file"))
        if is_cut_off(sample["image"]):
            raise InputError(Problem("truncated image; replace it", file))
        try:
            return decode(self, sample, context)
        except AttributeError as error:
            raise InputError(Problem("unreadable image (wrong format, or empty); replace it", file)) from error

    Decode.apply = apply


def is_cut_off(image: Any) -> bool:
    """Return whether the bytes are a JPEG (ITU T.81, B.1.1) without an end after its first scan's start. Thumbnails, which have ends of
    their own, are in the segments before that."""
    if not isinstance(image, bytes) or image[:2] != b"\xff\xd8":
        return False
    place = 2
    while image[place : place + 1] == b"\xff" and image[place + 1 : place + 2] != b"\xda":
        padded = image[place + 1 : place + 2] == b"\xff"
        place += 1 if padded else 2 + max(2, int.from_bytes(image[place + 2 : place + 4], "big"))
    return image.find(b"\xff\xd9", place) < 0


def _join_counts_as_vectors() -> None:
    """Let `concat` take 0-D tensors, with which ppdet 2.6.0's two-stage detectors join the numbers of boxes; Paddle 2.5 and newer refuse
    them (PaddleDetection PR 8112, 8423, which leave some of these places as they were)."""
    import paddle  # noqa: PLC0415
    from ppdet.modeling import post_process  # noqa: PLC0415
    from ppdet.modeling.heads import cascade_head  # noqa: PLC0415
    from ppdet.modeling.proposal_generator import rpn_head, target  # noqa: PLC0415

    def concat(x: Any, axis: Any = 0, name: str | None = None) -> Any:
        return paddle.concat([one.reshape([1]) if one.ndim == 0 else one for one in x], axis, name)

    for module in (rpn_head, target, cascade_head, post_process):
        module.paddle = _Instead(paddle, concat=concat)


def _assign_labels_of_64_bits() -> None:
    """Make labels 64-bit: ppdet 2.6.0's assigners of PP-YOLOE and PicoDet add 32-bit numbers to 64-bit ones, which Paddle 3 refuses; and
    they return three values instead of four where a batch has no object at all."""
    import paddle  # noqa: PLC0415
    from ppdet.modeling.assigners import ATSSAssigner, TaskAlignedAssigner, TaskAlignedAssigner_CR  # noqa: PLC0415

    def patched(original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def forward(*args: Any, **options: Any) -> Any:
            given = signature.bind(*args, **options)
            given.arguments["gt_labels"] = given.arguments["gt_labels"].astype("int64")
            found = original(*given.args, **given.kwargs)
            labels = found[0]
            return found if len(found) == 4 else (*found, paddle.zeros([labels.shape[0], 0, labels.shape[1]]))

        return forward

    for assigner in (ATSSAssigner, TaskAlignedAssigner, TaskAlignedAssigner_CR):
        assigner.forward = patched(assigner.forward)


def _count_hard_examples_in_integers() -> None:
    """Count in integers: ppdet 2.6.0's SSDLoss compares ranks with floating-point numbers of examples, which Paddle 3 refuses. A rank is
    below such a number where it is below the next integer."""
    import paddle  # noqa: PLC0415
    from ppdet.modeling.losses import ssd_loss  # noqa: PLC0415

    def stack(x: Any, axis: int = 0, name: str | None = None) -> Any:
        stacked = paddle.stack(x, axis, name)
        return paddle.ceil(stacked).astype("int64") if stacked.is_floating_point() else stacked

    ssd_loss.paddle = _Instead(paddle, stack=stack)


def _train_on_images_without_objects() -> None:
    """Support ``allow_empty``: ppdet 2.6.0's FCOS targets fail for an image without objects (here it gets one that covers nothing). And
    FCOS and PicoDet divide by zero where no location of a batch has an object, which may also be too small to have one: here FCOS divides
    by one, and PicoDet by at least one, as PP-YOLOE does, and PicoDet itself where several processes train."""
    import numpy as np  # noqa: PLC0415
    import paddle  # noqa: PLC0415
    from ppdet.data.transform.batch_operators import Gt2FCOSTarget  # noqa: PLC0415
    from ppdet.modeling.heads import pico_head  # noqa: PLC0415
    from ppdet.modeling.losses import fcos_loss  # noqa: PLC0415

    targets, processes = Gt2FCOSTarget.__call__, paddle.distributed

    @functools.wraps(targets)
    def call(self: Any, samples: Any, context: Any = None) -> Any:
        for sample in samples:
            if len(sample["gt_bbox"]) == 0:
                sample["gt_bbox"] = np.full((1, 4), -1, np.float32)
                sample["gt_class"] = np.zeros((1, 1), np.int32)
        return targets(self, samples, context)

    def sum_(x: Any) -> Any:
        total = paddle.sum(x)
        return total + (total == 0).astype(total.dtype) if x.stop_gradient else total  # a divisor; losses have a gradient

    def all_reduce(total: Any) -> Any:
        return processes.all_reduce(total) if processes.get_world_size() > 1 else total.scale_(2.0)  # the sum of two that are alike

    Gt2FCOSTarget.__call__ = call
    fcos_loss.paddle = _Instead(paddle, sum=sum_)
    several = _Instead(processes, get_world_size=lambda: max(2, processes.get_world_size()), all_reduce=all_reduce)
    pico_head.paddle = _Instead(paddle, distributed=several)


def _build_heads_as_wide_as_their_features() -> None:
    """Build the last convolutions of FCOSHead for the `feat_out` of its FCOSFeat, not for 256 channels as ppdet 2.6.0 does."""
    from ppdet.modeling.heads import fcos_head  # noqa: PLC0415

    original, nn = fcos_head.FCOSHead.__init__, fcos_head.nn

    @functools.wraps(original)
    def build(self: Any, *args: Any, **options: Any) -> None:
        width = getattr(options.get("fcos_feat"), "feat_out", 256)
        fcos_head.nn = _Instead(nn, Conv2D=lambda in_channels, **others: nn.Conv2D(in_channels=width, **others))
        try:
            original(self, *args, **options)
        finally:
            fcos_head.nn = nn

    fcos_head.FCOSHead.__init__ = build


class _Instead:
    """Module with some of its names replaced, for another module that imported it."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def quiet(call: Callable[[], Any]) -> Any:
    """Run `call()` with its output redirected to stderr (ppdet prints to stdout while it is loaded and while it builds models)."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        return call()
    finally:
        sys.stdout = out


_REFUSALS = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, TypeError, ValueError)


@contextmanager
def refusals_told(trace: Path | None = None) -> Iterator[None]:
    """Turn an error inside ppdet, while it builds something from a config, into one sentence about the config.

    Args:
        trace: the file that stderr goes to; the error's trace is printed there. None: it is not printed.

    Raises:
        InputError: such an error, with the place in ppdet where it was raised.
    """
    try:
        yield
    except _REFUSALS as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ppdet" in Path(frame.filename).parts]
        if not frames:
            raise  # not ppdet's
        parts = Path(frames[-1].filename).parts
        file = "/".join(parts[parts.index("ppdet") :])
        if trace is not None:
            log.exception("ppdet cannot build what the config asks for")
        told = f"; the trace is in {trace}" if trace is not None else ""
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"ppdet cannot build this config: {words} (in {file}, line {frames[-1].lineno}){told}") from error
