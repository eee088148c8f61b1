"""Reads PaddlePaddle's files of weights (.pdparams) without PaddlePaddle, and without running what is in them.

`paddle.save` writes a pickle (protocol 2 to 4) of a dict: numpy arrays beside a table of names, or, where dicts are nested, tensors as
pairs of name and array. A pickle can name any function and have it called. So the few that arrays need are replaced by records of
our own, whatever else a file names is refused, and the arrays are made afterwards from the plain bytes: numpy never sees a state
that a stranger wrote.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular

PADDLE_STATE = "runner.state"
"""Key of a paddle checkpoint of this program under which everything but the weights lies."""

_NAME_TABLE = "StructuredToParameterName@@"
_SLICES = "UnpackBigParamInfor@@"
_DTYPES = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())
_FOREIGN = {
    b"PK": "a zip archive (torch's files are; give them the ending .pth)",
    b"<": "a page of text (was it downloaded whole?)",
    b"\x1f\x8b": "a gzip archive: unpack it",
}
"""How files begin that are no pickle, and what they are."""


def read_pdparams(file: Path, key: str = "pretrain_weights") -> dict[str, Any]:
    """Return the content of `file`: numpy arrays by name; nested dicts, lists and plain values where there are some. Tensors are arrays,
    without their own names; bfloat16 becomes float32. What protocols 2 and 3 cut into slices (arrays beyond 1 GB) is joined again. The
    whole file is read into memory, of any size.

    Args:
        key: the config key that named the file, for messages.

    Raises:
        InputError: no such file, empty, cut off, no pickle, more than weights (code), or no weights in it.
    """
    content = _unpickled(file, key)
    try:
        plain = _plain(content, {})
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, MemoryError) as error:
        raise _problem(file, key, f"is damaged, or not written by paddle.save ({_short(error)}); get an intact copy") from error
    if not isinstance(plain, dict) or not _holds_array(plain):
        raise _problem(file, key, "holds no weights: expected names and arrays (paddle.save(model.state_dict(), …))")
    return {str(name): value for name, value in plain.items()}


def _unpickled(file: Path, key: str) -> Any:
    try:
        with open_regular(file) as stream:
            begin = stream.read(2)
            if not begin:
                raise _problem(file, key, "is empty; get an intact copy")
            for sign, words in _FOREIGN.items():
                if begin.startswith(sign):
                    raise _problem(file, key, f"is no file that paddle.save wrote: it is {words}")
            stream.seek(0)
            return _Unpickler(stream, encoding="latin1").load()  # latin1: numpy's bytes as Python 2 wrote them
    except InputError:
        raise
    except _Refused as error:
        raise _problem(
            file,
            key,
            f"holds more than weights: it names {error}, whose loading would run code, so it is not read. Save its state dict alone,"
            " paddle.save(model.state_dict(), …), and give that file",
        ) from error
    except IsADirectoryError as error:
        raise _problem(
            file, key, "is a folder: the 0.x weights of one file a parameter are not read; give a .pdparams of the same network"
        ) from error
    except OSError as error:
        raise _problem(file, key, f"cannot be read: {error.strerror or error}") from error
    except EOFError as error:
        raise _problem(file, key, "is cut off; get an intact copy") from error
    except pickle.UnpicklingError as error:
        if "truncated" in str(error):
            raise _problem(file, key, "is cut off; get an intact copy") from error
        raise _problem(file, key, f"is no file that paddle.save wrote ({_short(error)})") from error
    except Exception as error:  # noqa: BLE001 - bytes that are no pickle make the unpickler raise nearly anything
        raise _problem(file, key, f"is no file that paddle.save wrote, or is damaged ({_short(error)})") from error


class _Refused(Exception):
    """The file names something that is not needed for weights. Its text is ``module.name``."""


class _DType:
    """numpy.dtype of a plain number."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: str, *_: bool) -> None:
        if kind not in _DTYPES:
            raise pickle.UnpicklingError(f"an array of {kind!r}")
        self.kind, self.order = kind, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">", "|": "|"}[state[1]]

    def whole(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.kind)


class _Array:
    """numpy.ndarray, its bytes still untouched."""

    __slots__ = ("shape", "dtype", "columns_first", "data")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.columns_first, self.data = state

    def whole(self) -> NDArray[Any]:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        array: NDArray[Any] = np.frombuffer(data, self.dtype.whole()).reshape(self.shape, order="F" if self.columns_first else "C")
        if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # Paddle's bfloat16: the upper half of a float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(array.dtype.newbyteorder("="))


class _Unpickler(pickle.Unpickler):
    """Resolves the names that an array's pickle has, under numpy 1 and 2, to records of this module. (Methods, because a pickle may set
    attributes of what it names, and a bound method has none to set.)
    """

    def find_class(self, module: str, name: str) -> Any:
        match module.removeprefix("numpy._core.").removeprefix("numpy.core."), name:
            case "multiarray", "_reconstruct":
                return self._array
            case "multiarray", "scalar":
                return self._scalar
            case "numeric", "_frombuffer":
                return self._from_buffer
            case "numpy", "ndarray":
                return None  # only ever the first argument of _reconstruct
            case "numpy", "dtype":
                return self._dtype
            case "_codecs", "encode":
                return self._encode
            case (("builtins" | "__builtin__"), "tuple"):
                return tuple
            case "builtins" | "__builtin__", "bytes":
                return self._no_bytes
            case "collections", "OrderedDict":
                return OrderedDict
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, _: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside it")

    def _array(self, *_: Any) -> _Array:
        return _Array()

    def _scalar(self, dtype: _DType, data: Any) -> _Array:
        return self._from_buffer(data, dtype, (), "C")

    def _from_buffer(self, data: Any, dtype: _DType, shape: Any, order: str) -> _Array:
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array

    def _dtype(self, *arguments: Any) -> _DType:
        return _DType(*arguments)

    def _no_bytes(self) -> bytes:
        """Replace the constructor that protocol 2 uses for an empty array; bytes(n) would allocate n bytes."""
        return b""

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes written as {encoding!r}")
        return text.encode("latin1")


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Replace our records in `value` by arrays. `done` by id: what occurs in several places is made once."""
    if id(value) in done:
        return done[id(value)]
    made: Any = value
    if isinstance(value, _Array):
        made = value.whole()
    elif isinstance(value, dict):
        made = _joined({name: _plain(one, done) for name, one in value.items() if name != _NAME_TABLE})
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], _Array):
        made = _plain(value[1], done)
    elif isinstance(value, list | tuple):
        made = [_plain(one, done) for one in value]
    elif not isinstance(value, str | bytes | int | float | bool | None):
        raise TypeError(f"a {type(value).__name__.strip('_')} where a value is expected")
    done[id(value)] = made
    return made


def _joined(content: dict[Any, Any]) -> dict[Any, Any]:
    """Join the arrays in `content` that older protocols cut into slices."""
    for name, cut in content.pop(_SLICES, {}).items():
        content[name] = np.concatenate([content.pop(part) for part in cut["slices"]]).reshape(cut["OriginShape"])
    return content


def _holds_array(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_array(one) for one in value.values())
    return isinstance(value, np.ndarray)


def _problem(file: Path, key: str, message: str) -> InputError:
    return InputError(Problem(f"{file} {message}", key=key))


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
