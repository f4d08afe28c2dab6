"""Files of `torch.save`, read without running what is in them.

torch's weights-only reader refuses a whole file for one object that it does not know. Here the unknown is
read as an inert stand-in, left out of the result, and named. What NumPy wrote is rebuilt from its bytes.
Nothing that a file names is imported or called.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

import numpy as np
import torch

from hfl_checkpoint.errors import CheckpointDamagedError, UntrustedPickleError

if TYPE_CHECKING:
    from pathlib import Path

# https://github.com/pytorch/pytorch/blob/main/torch/_weights_only_unpickler.py says so for each release.
_NOT_ALLOWED = re.compile(r"GLOBAL (\S+) was not an allowed global")
_MOST_UNKNOWN = 500

_DROPPED = object()

# The list of what torch's reader allows is one for the process.
_reading = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Read:
    """What a file holds.

    Attributes:
        value: The object, without what was not understood.
        skipped: Path inside the object and class of what was left out: ``"['args'] (my.Class)"``.
    """

    value: Any
    skipped: Tuple[str, ...]


def read(path: Path, *, trust_pickle: bool) -> Read:
    """Read a file of `torch.save` onto the host.

    Args:
        path: The file.
        trust_pickle: Unpickle it, which runs code that the file names.

    Returns:
        What it holds.

    Raises:
        UntrustedPickleError: It cannot be read without running code.
        CheckpointDamagedError: It is no such file, or is damaged.
    """
    if trust_pickle:
        try:
            # The caller said trust_pickle=True.
            content = torch.load(str(path), map_location="cpu", weights_only=False)  # nosec B614
            return Read(content, ())
        except Exception as error:
            raise CheckpointDamagedError(path.name, [f"it cannot be read ({error!r})"]) from error
    stand_ins = dict(_NUMPY)
    with _reading:
        value = _read_with(path, stand_ins)
    skipped: List[str] = []
    found = _rebuilt(value, "", skipped)
    if found is _DROPPED:
        raise UntrustedPickleError(path.name, skipped)
    return Read(found, tuple(skipped))


def _read_with(path: Path, stand_ins: Dict[str, type]) -> Any:
    for _ in range(_MOST_UNKNOWN):
        try:
            with _allowing(list(stand_ins.values())), warnings.catch_warnings():
                # Of other releases' pickles, which are read or refused.
                warnings.simplefilter("ignore")
                return torch.load(str(path), map_location="cpu", weights_only=True)
        except Exception as error:
            unknown = _NOT_ALLOWED.search(str(error))
            if unknown is None:
                if _is_pickle(path) and "Weights only load failed" in str(error):
                    raise UntrustedPickleError(path.name, [_reason(str(error))]) from error
                raise CheckpointDamagedError(path.name, [f"it cannot be read ({error})"]) from error
            name = unknown.group(1)
            name = name if "." in name else f"builtins.{name}"
            if name in stand_ins:
                raise UntrustedPickleError(path.name, [name]) from error
            stand_ins[name] = _stand_in(name, _UnknownDict if name.endswith("ict") else _Unknown)
    raise UntrustedPickleError(path.name, [f"more than {_MOST_UNKNOWN} unknown classes"])


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does, or as the archives in which torch keeps one."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _reason(message: str) -> str:
    """The sentence of torch's long answer that says what it does not read."""
    found = re.search(r"(?:WeightsUnpickler error:|Trying to)\s*([^\n]*)", message)
    return (found.group(0) if found else message).strip()[:300]


@contextlib.contextmanager
def _allowing(classes: List[Any]) -> Iterator[None]:
    before = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals(classes)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


class _Unknown:
    """Stands for an object of a class that is not known; it keeps nothing and does nothing."""

    full_name = ""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, _: Any) -> None:
        return None

    def __hash__(self) -> int:
        return id(self)


class _UnknownDict(_Unknown, dict):  # type: ignore[type-arg,misc]  # holds anything; its hash is its own
    """Stands for a mapping of a class that is not known; what is in it is read."""


class _Dtype(_Unknown):
    """What a file says of a NumPy data type."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        super().__init__()
        self.code = code.decode() if isinstance(code, bytes) else str(code)
        self.order = "|"
        self.has_fields = False

    def __setstate__(self, state: Any) -> None:
        self.order = state[1].decode() if isinstance(state[1], bytes) else str(state[1])
        self.has_fields = any(state[2:5])  # or a shape

    def real(self) -> np.dtype[Any]:
        if self.has_fields:
            raise ValueError("a structured data type")
        dtype = np.dtype(self.code if self.order == "|" else self.order + self.code)
        if dtype.hasobject:
            raise ValueError("an array of Python objects")
        return dtype


class _Array(_Unknown):
    """What a file says of a NumPy array: shape, data type and bytes."""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.fortran, self.raw = state

    def real(self) -> Any:
        values = np.frombuffer(_as_bytes(self.raw), dtype=self.dtype.real())
        return values.reshape(self.shape, order="F" if self.fortran else "C").copy()


class _Scalar(_Unknown):
    """What a file says of a NumPy scalar."""

    def __init__(self, dtype: Any = None, raw: Any = b"") -> None:
        super().__init__()
        self.dtype, self.raw = dtype, raw

    def real(self) -> Any:
        return np.frombuffer(_as_bytes(self.raw), dtype=self.dtype.real())[0]


class _Encoded(_Unknown):
    """Bytes, which pickles of protocol 2 hold as text with the name of its encoding."""

    def __init__(self, text: Any = "", encoding: Any = "latin1") -> None:
        super().__init__()
        if encoding not in ("latin1", "latin-1", "utf-8"):
            raise ValueError(f"bytes in the encoding {encoding!r}")
        self.raw = str(text).encode(encoding)


def _as_bytes(raw: Any) -> bytes:
    return raw.raw if isinstance(raw, _Encoded) else bytes(raw)


def _stand_in(name: str, base: type) -> type:
    module, _, short = name.rpartition(".")
    names = {"__module__": module, "__qualname__": short, "full_name": name}
    return type(short, (base,), names)


# NumPy 2 moved its modules, and a file names those of the release that wrote it.
_NUMPY: Dict[str, type] = {
    name: _stand_in(name, base)
    for base, names in {
        _Array: ["numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"],
        _Scalar: ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"],
        _Dtype: ["numpy.dtype"],
        _Encoded: ["_codecs.encode"],
        _Unknown: ["numpy.ndarray"],
    }.items()
    for name in names
}


def _rebuilt(value: Any, path: str, skipped: List[str]) -> Any:
    """Replace stand-ins by what they stand for, and leave out those that stand for the unknown."""
    if isinstance(value, _UnknownDict) or type(value) is dict:
        return _items(value, {}, path, skipped)
    if isinstance(value, _Unknown):
        return _real(value, path, skipped)
    if isinstance(value, type):
        return _drop(path, getattr(value, "full_name", value.__name__), skipped)
    if isinstance(value, collections.OrderedDict):
        return _items(value, collections.OrderedDict(), path, skipped)
    if type(value) in (list, tuple, set):
        items = [_rebuilt(item, f"{path}[{index}]", skipped) for index, item in enumerate(value)]
        # A list without one of its items would be another list.
        return _DROPPED if any(item is _DROPPED for item in items) else type(value)(items)
    return value.detach() if isinstance(value, torch.nn.Parameter) else value


def _real(value: _Unknown, path: str, skipped: List[str]) -> Any:
    """What a stand-in stands for, if that is known."""
    if isinstance(value, _Encoded):
        return value.raw
    if isinstance(value, (_Array, _Scalar)):
        try:
            return value.real()
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            return _drop(path, f"NumPy: {error}", skipped)
    return _drop(path, value.full_name, skipped)


def _items(source: Dict[Any, Any], found: Dict[Any, Any], path: str, skipped: List[str]) -> Any:
    for key, item in source.items():
        kept = _rebuilt(item, f"{path}[{key!r}]", skipped)
        is_plain_key = _rebuilt(key, f"{path}: the key {key!r}", skipped) is not _DROPPED
        if kept is not _DROPPED and is_plain_key:
            found[key] = kept
    return found


def _drop(path: str, name: str, skipped: List[str]) -> Any:
    skipped.append(f"{path} ({name})".strip())
    return _DROPPED
