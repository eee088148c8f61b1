"""Specs of the environments that `runner backend install` makes, for backends whose packages conflict with ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Package that can come from a checkout of its source instead of from a package index.

    Args:
        shown: name of the project, for messages.
        module: the package, a folder in the checkout.
        distribution: name under which it is installed.
        version_file, version_name: Python file and constant that say its version.
        version_module: file that its installer would write, with ``full_version`` and ``commit``.
        landmarks: further files by which a checkout is recognised.
        packages: what a newer version needs beyond the environment's own packages.
    """

    shown: str
    module: str
    distribution: str
    version_file: str
    version_name: str
    version_module: str
    landmarks: tuple[str, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """Environment of a backend: its interpreter, its packages, its smoke test.

    Args:
        modules: what must be importable there.
        shown: the distributions whose versions are shown to users.
        python: (major, minor) of its interpreter.
        why_python: the reason for this version.
        cpu, gpu, newer_gpu: the framework for CPUs, for GPUs, and for GPUs from an index that the user names.
        packages: further requirements.
        bare: requirements to install last and without their dependencies.
        size_gib, gpu_size_gib, minutes: disk space and time, shown before the installation.
        constraints: file of pins in constraints/.
        check: smoke test, run there as ``python -m check FILE``: it fails, or writes its findings as JSON to FILE.
        module_registry: "module:function", called with the new interpreter's path.
        source: what a checkout may replace `bare` by.
    """

    modules: tuple[str, ...]
    shown: tuple[str, ...]
    python: tuple[int, int]
    why_python: str
    cpu: str
    gpu: str
    newer_gpu: str
    packages: tuple[str, ...]
    bare: tuple[str, ...]
    size_gib: float
    gpu_size_gib: float
    minutes: int
    constraints: str
    check: str
    module_registry: str = ""
    source: SourceSpec | None = None


SPECS = {
    "paddle": EnvironmentSpec(
        modules=("paddle", "ppdet"),
        shown=("paddlepaddle", "paddlepaddle-gpu", "paddledet"),
        python=(3, 11),
        why_python="paddledet 2.6.0 needs numpy<1.24, which has no build for a newer one",
        cpu="paddlepaddle==3.3.1",
        gpu="paddlepaddle-gpu==2.6.2",
        newer_gpu="paddlepaddle-gpu>=3",
        # What paddledet 2.6.0 requires, with two changes: scikit-learn, which it imports, for `sklearn`, a name without content; and the
        # build of OpenCV that needs no libGL. setuptools is there for its pkg_resources. TensorBoard is ours: trackers run in here.
        packages=(
            *("numpy<1.24", "opencv-python-headless<=4.6.0", "scikit-learn<1.6", "setuptools<81", "visualdl>=2.5.3", "tensorboard>=2.16"),
            *("cython", "lap", "motmetrics", "pyclipper", "pycocotools", "pyyaml", "scipy", "shapely", "terminaltables", "tqdm"),
            "typeguard",
        ),
        bare=("paddledet==2.6.0",),
        size_gib=1.5,
        gpu_size_gib=3.5,
        minutes=2,
        constraints="paddle.txt",
        check="runner.backends.paddle.smoke_test",
        module_registry="runner.backends.paddle.module_registry:module_registry",
        source=SourceSpec(
            shown="PaddleDetection",
            module="ppdet",
            distribution="paddledet",
            version_file="setup.py",
            version_name="PPDET_VERSION",
            version_module="ppdet/version.py",
            landmarks=("ppdet/core/workspace.py", "ppdet/engine/trainer.py"),
            # What release/2.7 and develop import at the top, most of it for lanes and for tracking.
            packages=("imgaug>=0.4", "scikit-image==0.22.0", "imageio", "lazy_loader", "networkx", "tifffile==2023.7.10", "six"),
        ),
    )
}

EXTRAS = {"torch": ".[torch]"}
"""Backend to the requirement that installs it into this interpreter's environment."""
