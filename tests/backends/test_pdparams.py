"""PaddlePaddle's weights, read without PaddlePaddle: what `paddle.save` writes comes back, and nothing else is touched."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.backends.pdparams import read_pdparams
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
    for protocol, name in ((2, "__builtin__.getattr"), (4, "Path.touch")):
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
