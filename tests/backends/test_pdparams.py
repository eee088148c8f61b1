"""PaddlePaddle's weights, read without PaddlePaddle: what `paddle.save` writes comes back, and nothing else is touched."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner.backends.pdnames import other_network, paddle_names, to_paddle, to_torch
from runner.backends.pdparams import read_pdparams
from runner.backends.torch import schema
from runner.backends.torch.model import FCOSDetector, load_pretrained
from runner.backends.torch.schema import Gt2FCOSTarget
from runner.core.errors import InputError

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "norm._mean": np.array([1.5, -2.0], dtype=np.float64),
    "scale": np.array(2.5, dtype=np.float32),
    "steps": np.array([7], dtype=np.int64),
    "half": np.ones((2,), dtype=np.float16),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "big endian": np.array([1, 2], dtype=">i4"),
}


class Tensor:
    """Is pickled as `paddle.save` pickles a tensor that is not directly in the dict: as a pair of its name and its array."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (("tensor_0", self.array),)


class Evil:
    """Makes a file when it is unpickled by the usual means."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "wei ghts 'é'").mkdir()
    return tmp_path / "wei ghts 'é'" / "model.pdparams"


def refused(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_pdparams(file)
    (problem,) = caught.value.problems
    assert problem.key == "pretrain_weights" and str(file) in problem.message
    return problem.message


def assert_same(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(got) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].shape == array.shape and got[name].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_a_state_dict(protocol: int, numpy_1: bool, file: Path) -> None:
    content = pickle.dumps({**ARRAYS, "StructuredToParameterName@@": {"conv.weight": "conv2d_0.w_0"}}, protocol=protocol)
    if numpy_1:  # what numpy 1 and numpy 2 call the same module; names have their length before them from protocol 4 on
        content = content.replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
        content = content.replace(b"\x13numpy._core.numeric", b"\x12numpy.core.numeric").replace(b"cnumpy._core.", b"cnumpy.core.")
        assert b"numpy._core" not in content
        if protocol >= 4:  # without the frame, whose length is now another
            assert content[2:3] == b"\x95"
            content = content[:2] + content[11:]
    file.write_bytes(content)
    assert_same(read_pdparams(file), ARRAYS)


@pytest.mark.parametrize("protocol", [2, 4])
def test_nested_dicts_hold_tensors_as_pairs(protocol: int, file: Path) -> None:
    content = {
        "model": OrderedDict((name, Tensor(array)) for name, array in ARRAYS.items()),
        "epoch": 3,
        "rates": [0.1, None, Tensor(np.ones(2))],
    }
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    got = read_pdparams(file)
    assert_same(got["model"], ARRAYS)
    assert got["epoch"] == 3 and got["rates"][:2] == [0.1, None]
    np.testing.assert_array_equal(got["rates"][2], np.ones(2))


def test_slices_are_joined_and_bfloat16_is_widened(file: Path) -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    content = {
        "w@@.0": whole.ravel()[:7],
        "w@@.1": whole.ravel()[7:],
        "UnpackBigParamInfor@@": {"w": {"OriginShape": (3, 4), "slices": ["w@@.0", "w@@.1"]}},
        "brain": np.array([0x3F80, 0xC000], dtype=np.uint16),
    }
    file.write_bytes(pickle.dumps(content, protocol=2))
    assert_same(read_pdparams(file), {"w": whole, "brain": np.array([1.0, -2.0], dtype=np.float32)})


def test_what_is_read_can_be_written_to(file: Path) -> None:
    file.write_bytes(pickle.dumps(ARRAYS))
    assert all(array.flags.writeable for array in read_pdparams(file).values())


def test_code_is_named_and_not_run(file: Path) -> None:
    for protocol, name in ((2, "__builtin__.getattr"), (4, "pathlib.Path.touch")):
        file.write_bytes(pickle.dumps({**ARRAYS, "extra": Evil(file.with_name("touched"))}, protocol=protocol))
        message = refused(file)
        assert "would run code" in message and name in message
    assert not file.with_name("touched").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"cos\nsystem\n(S'touch touched'\ntR.", "os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.", "numpy.core.multiarray.fromfile"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0dtuple.__doc__\x93.", "builtins.tuple.__doc__"),
        (b"\x80\x02ccollections\nOrderedDict.fromkeys\n.", "collections.OrderedDict.fromkeys"),
    ],
)
def test_every_other_name_is_refused(content: bytes, named: str, file: Path) -> None:
    file.write_bytes(content)
    assert f"it names {named}, whose loading would run code" in refused(file)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13tR.",  # another codec
        b"\x80\x02cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",  # an array of objects
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00f4tR}X\x01\x00\x00\x00xK\x01sb.",  # another state
        b"\x80\x02cnumpy\nndarray\n(K\x05tR.",  # None is called
        b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",  # a dict that holds itself, and no array
        b"\x80\x02X\x01\x00\x00\x00xQ.",  # a reference to something outside
        pickle.dumps({"a": 2**70, "b": 1j}),
        pickle.dumps({"a": {1, 2}}),
        pickle.dumps({"w": slice(1)}, protocol=4),
    ],
)
def test_odd_pickles_end_in_a_message(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert refused(file)


def test_arrays_whose_bytes_are_not_enough(file: Path) -> None:
    content = pickle.dumps({"w": np.zeros(3, dtype=np.float32)}, protocol=2)
    file.write_bytes(content.replace(b"K\x01K\x03\x85", b"K\x01J\xff\xff\xff\x7f\x85"))
    assert "damaged" in refused(file)


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_cut_is_seen(protocol: int, file: Path) -> None:
    whole = pickle.dumps(ARRAYS, protocol=protocol)
    for length in range(1, len(whole), 7):
        file.write_bytes(whole[:length])
        assert "is cut off" in refused(file), length


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04" + b"\0" * 60, "a zip archive"),
        (b"<!DOCTYPE html><p>404", "a page of text"),
        (b"\x1f\x8b\x08" + b"\0" * 20, "a gzip archive"),
        (b"not weights at all", "is no file that paddle.save wrote"),
        (pickle.dumps([1, 2]), "holds no weights"),
        (pickle.dumps({"epoch": 3}), "holds no weights"),
        (pickle.dumps(np.zeros(3)), "holds no weights"),
    ],
)
def test_another_kind_of_file(content: bytes, words: str, file: Path) -> None:
    file.write_bytes(content)
    assert words in refused(file)


def test_folders_and_missing_files(file: Path) -> None:
    assert "cannot be read: No such file" in refused(file)
    file.mkdir()
    assert "is a folder: the 0.x weights" in refused(file)


# ------------------------------------------------------------------------------------------------------------- names
def detector(resnet: dict[str, Any] | None = None, neck: dict[str, Any] | None = None, feat: dict[str, Any] | None = None) -> FCOSDetector:
    """A narrow FCOS at random weights."""
    fpn = schema.FPN(
        **{
            "out_channel": 32,
            "spatial_scales": (1 / 8, 1 / 16, 1 / 32),
            "extra_stage": 2,
            "has_extra_convs": True,
            "use_c5": False,
            **(neck or {}),
        }
    )
    backbone = schema.ResNet(**{"depth": 18, "return_idx": (1, 2, 3), "first_shortcut": "projection", **(resnet or {})})
    strides = tuple(8 * 2**level for level in range(len(fpn.spatial_scales) + fpn.extra_stage))
    tower = schema.FCOSFeat(**{"feat_in": 32, "feat_out": 32, "num_convs": 1, "norm_type": "gn", **(feat or {})})
    config = schema.FCOS(backbone=backbone, neck=fpn, fcos_head=schema.FCOSHead(num_classes=3, fcos_feat=tower, fpn_stride=strides))
    return FCOSDetector(config, Gt2FCOSTarget(object_sizes_boundary=(), center_sampling_radius=1.5, downsample_ratios=strides))


def strides_of(model: FCOSDetector) -> tuple[int, ...]:
    return model.config.fcos_head.fpn_stride


def paddle_state(model: FCOSDetector) -> dict[str, np.ndarray]:
    """What PaddleDetection would have saved of it."""
    return {name: value.numpy().copy() for name, value in to_paddle(model.state_dict(), strides_of(model)).items()}


Save = Callable[[dict[str, np.ndarray]], str]


@pytest.fixture
def save(file: Path) -> Save:
    def write(arrays: dict[str, np.ndarray]) -> str:
        table = {name: f"param_{index}" for index, name in enumerate(arrays)}
        file.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": table}, protocol=4))
        return str(file)

    return write


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("backbone.conv1.weight", "backbone.conv1.conv1.conv.weight"),
        ("backbone.bn1.running_var", "backbone.conv1.conv1.norm._variance"),
        ("backbone.layer1.0.conv2.weight", "backbone.res2.res2a.branch2b.conv.weight"),
        ("backbone.layer2.0.downsample.0.weight", "backbone.res3.res3a.short.conv.weight"),
        ("backbone.layer2.0.downsample.1.running_mean", "backbone.res3.res3a.short.norm._mean"),
        ("backbone.layer4.2.bn3.bias", "backbone.res5.res5c.branch2c.norm.bias"),
        ("backbone.layer3.22.conv1.weight", "backbone.res4.res4b22.branch2a.conv.weight"),
        ("backbone.layer3.0.conv1.weight", "backbone.res4.res4a.branch2a.conv.weight"),
        ("backbone.layer2.3.conv1.weight", "backbone.res3.res3d.branch2a.conv.weight"),
        ("neck.fpn.inner_blocks.0.0.weight", "neck.fpn_inner_res3_sum_lateral.weight"),
        ("neck.fpn.inner_blocks.2.0.bias", "neck.fpn_inner_res5_sum.bias"),
        ("neck.fpn.layer_blocks.1.0.weight", "neck.fpn_res4_sum.weight"),
        ("neck.fpn.extra_blocks.convs.1.0.bias", "neck.fpn_7.bias"),
        ("fcos_head.fcos_feat.cls_subnet_convs.0.conv.bias", "fcos_head.fcos_feat.fcos_head_cls_tower_conv_0.conv.bias"),
        ("fcos_head.fcos_feat.reg_subnet_convs.0.norm.weight", "fcos_head.fcos_feat.fcos_head_reg_tower_conv_0.norm.weight"),
        ("fcos_head.fcos_head_centerness.weight", "fcos_head.fcos_head_centerness.weight"),
        ("fcos_head.scales_regs.4", "fcos_head.p7_feat.scale_reg"),
    ],
)
def test_names(ours: str, theirs: str) -> None:
    with torch.device("meta"):
        model = detector({"depth": 101})
    assert paddle_names(model.state_dict(), strides_of(model))[ours] == theirs


@pytest.mark.parametrize(
    ("resnet", "neck", "feat", "sign"),
    [
        ({}, {}, {}, "neck.fpn_6.weight"),
        ({"depth": 34}, {"norm_type": "bn"}, {"norm_type": "bn"}, "neck.fpn_6.norm._mean"),
        ({"depth": 50, "first_shortcut": "identity"}, {"norm_type": "gn"}, {}, "neck.fpn_inner_res4_sum_lateral.conv.weight"),
        ({"depth": 101}, {"extra_stage": 1, "has_extra_convs": False}, {"num_convs": 0}, "fcos_head.p6_feat.scale_reg"),
        (
            {"num_stages": 2, "return_idx": (1,)},
            {"spatial_scales": (1 / 8,), "extra_stage": 0},
            {"norm_type": "bn"},
            "neck.fpn_inner_res5_sum.weight",
        ),
    ],
)
def test_every_tensor_has_a_name_and_comes_back(resnet: Any, neck: Any, feat: Any, sign: str) -> None:
    with torch.device("meta"):
        model = detector(resnet, neck, feat)
    own = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    there = to_paddle(own, strides_of(model))
    assert sign in there and len(there) == len(own)
    assert to_torch(there, own, strides_of(model)) == own
    assert to_torch({"fc.weight": 1, "backbone.res9.x": 2}, own, strides_of(model)) == {"fc.weight": 1, "backbone.res9.x": 2}


def test_other_networks() -> None:
    assert "variant c or d" in str(other_network(["conv1.conv1_1.conv.weight"]))
    assert "deformable" in str(other_network(["backbone.res4.res4a.branch2b.conv_offset.weight"]))
    assert "first_shortcut: projection" in str(other_network(["res2.res2a.short.conv.weight"]))
    assert other_network(["fc.weight", "res5.res5a.branch2a.conv.weight"]) is None


# -------------------------------------------------------------------------------------------- pretrain_weights on torch
def test_an_fcos_of_paddledetection(save: Save) -> None:
    theirs, model, said = detector(), detector(), list[str]()
    report = load_pretrained(model, save(paddle_state(theirs)), said.append)
    tensors = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in tensors.items())
    assert not report.missing and not report.misfit and not report.unused
    assert len(said) == 1 and said[0].endswith(f"{len(tensors)} of {len(model.state_dict())} tensors loaded")


def test_another_number_of_classes_starts_anew(save: Save) -> None:
    arrays = paddle_state(detector())
    arrays["fcos_head.fcos_head_cls.weight"] = np.zeros((80, 32, 3, 3), dtype=np.float32)
    model, said = detector(), list[str]()
    report = load_pretrained(model, save(arrays), said.append)
    assert [name for name, _, _ in report.misfit] == ["fcos_head.fcos_head_cls.weight"]
    assert "fcos_head.fcos_head_cls.weight starts anew: its shape is [80, 32, 3, 3] in the file and [3, 32, 3, 3] in the model" in said[1]


def test_a_classification_network_goes_into_the_backbone(save: Save) -> None:
    theirs, model, said = detector(), detector(), list[str]()
    arrays = {name.removeprefix("backbone."): array for name, array in paddle_state(theirs).items() if name.startswith("backbone.")} | {
        "fc.weight": np.zeros((512, 1000), dtype=np.float32),
        "fc.bias": np.zeros(1000, dtype=np.float32),
    }
    report = load_pretrained(model, save(arrays), said.append)
    assert torch.equal(model.get_parameter("backbone.layer4.1.conv2.weight"), theirs.get_parameter("backbone.layer4.1.conv2.weight"))
    assert not any(name.startswith("backbone.") for name in report.missing) and report.unused == ("fc.weight", "fc.bias")
    assert said[1].startswith("pretrain_weights: not in the file, start anew: neck.fpn (16 tensors), fcos_head.fcos_feat (8 tensors), ")
    assert said[2] == "pretrain_weights: in the file but not in the model, left out: fc.weight, fc.bias"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"backbone.conv1.conv1_1.conv.weight": np.zeros((32, 3, 3, 3), dtype=np.float32)}, "variant c or d"),
        ({"backbone.res5.res5a.branch2b.conv_offset.weight": np.zeros((27, 512, 3, 3), dtype=np.float32)}, "deformable convolution"),
        ({"backbone.res2.res2a.branch2c.conv.weight": np.zeros((256, 64, 1, 1), dtype=np.float32)}, "50 layers or more"),
    ],
)
def test_weights_of_a_network_that_only_looks_alike(extra: dict[str, np.ndarray], words: str, save: Save) -> None:
    model = detector()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=words) as caught:
        load_pretrained(model, save(paddle_state(detector()) | extra), lambda _: None)
    assert [problem.key for problem in caught.value.problems] == ["pretrain_weights"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_first_shortcut_that_the_model_has_not(save: Save) -> None:
    source = save(paddle_state(detector()))
    with pytest.raises(InputError, match="set ResNet.first_shortcut: projection"):
        load_pretrained(detector({"first_shortcut": "identity"}), source, lambda _: None)
    with pytest.raises(InputError, match="nothing in .* fits the model"):
        load_pretrained(detector(), save({"encoder.weight": np.zeros(3, dtype=np.float32)}), lambda _: None)
