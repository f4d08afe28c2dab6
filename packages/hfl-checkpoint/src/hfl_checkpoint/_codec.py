"""States to JSON and tensors, and back, without pickle.

A state is a tree of plain Python values with tensors in it. `encode` writes the tree as JSON whose
leaves keep their exact type, and collects the tensors under their path; `hfl_checkpoint._decode`
rebuilds the same tree. JSON's own types stand for themselves; everything else is an object with the key ``"$"`` that
says what it is (a plain dict that has such a key, or keys that are not strings, is tagged as well).
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import enum
import functools
import math
import pathlib
import sys
from typing import Any, Callable, Dict, List, Mapping, Tuple, Type

import numpy as np
import torch

from hfl_checkpoint._words import a
from hfl_checkpoint.errors import UnknownTypeError

Json = Any

# Beyond this, JSON readers other than Python's lose digits.
_SAFE_INTEGER = 2**53

# What a defaultdict may make its missing values with.
FACTORIES: Dict[str, Callable[[], Any]] = {
    factory.__name__: factory for factory in (int, float, str, bool, bytes, list, tuple, dict, set)
}

_Encode = Callable[[Any], Any]
_Decode = Callable[[Any], Any]
_CUSTOM: Dict[type, Tuple[str, _Encode]] = {}
CUSTOM_DECODERS: Dict[str, _Decode] = {}


def register_codec(
    type_: Type[Any],
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> None:
    """Teach the codec a type that states may hold.

    A file never decides what is constructed: `decode` runs only in a program that registered it.

    Args:
        type_: The exact class; subclasses are not covered.
        encode: From an object to values that the codec knows (tensors and other registered types too).
            A dataclass needs none: its fields are written.
        decode: From these values back to an object. A dataclass needs none: it is made of its fields.
            The type must be registered before a load, too.

    Raises:
        ValueError: The codec knows the type by itself, or one of the functions is missing.

    Example:
        >>> import fractions
        >>> register_codec(
        ...     fractions.Fraction,
        ...     lambda value: [value.numerator, value.denominator],
        ...     lambda pair: fractions.Fraction(*pair),
        ... )
    """
    if type_ in _ENCODERS or issubclass(type_, (torch.Tensor, enum.Enum)):
        raise ValueError(f"The codec knows {type_.__name__} already.")
    if encode is None and decode is None and dataclasses.is_dataclass(type_):
        encode, decode = _fields_of, functools.partial(_of_fields, type_)
    if encode is None or decode is None:
        raise ValueError(
            f"{type_.__name__} needs a function to encode it and one to decode it; "
            "only a dataclass does without."
        )
    name = f"{type_.__module__}.{type_.__qualname__}"
    _CUSTOM[type_] = (name, encode)
    CUSTOM_DECODERS[name] = decode


def _fields_of(value: Any) -> Dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _of_fields(cls: Type[Any], values: Dict[str, Any]) -> Any:
    """Make a dataclass of its fields, those that its constructor does not take included."""
    fields = dataclasses.fields(cls)
    made = cls(**{field.name: values[field.name] for field in fields if field.init})
    for field in fields:
        # A frozen one refuses an assignment, and __post_init__ may have computed others.
        object.__setattr__(made, field.name, values[field.name])
    return made


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A state in two parts.

    Attributes:
        tree: What `json.dumps` takes.
        tensors: Key (the escaped path) to tensor, detached but not copied.
    """

    tree: Json
    tensors: Dict[str, torch.Tensor]


def encode(value: Any, *, name: str = "state") -> Encoded:
    """Split a state into JSON and tensors.

    Args:
        value: The state.
        name: What the state is called in error messages.

    Returns:
        The two parts. Everything but tensors is copied.

    Raises:
        UnknownTypeError: A value cannot be written; the message holds its path.

    Example:
        >>> encode({"lr": 0.1, "betas": (0.9, 0.999)}).tree
        {'lr': 0.1, 'betas': {'$': 'tuple', 'v': [0.9, 0.999]}}
    """
    encoder = _Encoder(name)
    try:
        tree = encoder.encode(value)
    except RecursionError:
        raise UnknownTypeError(
            encoder.where(shown=6), "nested too deeply", hint="Flatten this part of the state."
        ) from None
    return Encoded(tree, encoder.tensors)


def escape(part: str) -> str:
    """Escape one part of a path, as JSON pointers do (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def find_enum(name: str) -> Any:
    """Look up an enum by ``module:QualifiedName``, or return None.

    Only among what the program has loaded itself, and without asking modules that load lazily: a
    checkpoint must not decide what is imported.
    """
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) and issubclass(found, enum.Enum) else None


class _Encoder:
    def __init__(self, name: str) -> None:
        self.tensors: Dict[str, torch.Tensor] = {}
        self._name = name
        self._path: List[Any] = []
        self._open: List[int] = []

    def where(self, shown: int | None = None) -> str:
        parts = self._path if shown is None else self._path[:shown]
        dots = "" if len(parts) == len(self._path) else "…"
        return self._name + "".join(f"[{part!r}]" for part in parts) + dots

    def fail(self, found: str, hint: str | None = None) -> UnknownTypeError:
        return UnknownTypeError(self.where(), found, hint=hint)

    def encode(self, value: Any) -> Json:
        cls = type(value)
        if value is None or cls is bool or cls is str:
            return value
        encoder = _ENCODERS.get(cls)
        if encoder is not None:
            return encoder(self, value)
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, enum.Enum):
            return self.member(value)
        if isinstance(value, np.generic):
            return self.numpy_scalar(value)
        if isinstance(value, pathlib.PurePath):
            return {"$": "path", "v": value.as_posix()}
        if cls in _CUSTOM:
            name, encode_custom = _CUSTOM[cls]
            return {"$": "custom", "type": name, "v": self.encode(encode_custom(value))}
        raise self.fail(
            a(f"{cls.__module__}.{cls.__qualname__}"),
            (
                f"Call register_codec({cls.__qualname__}) before saving and before loading."
                if dataclasses.is_dataclass(cls)
                else None
            ),
        )

    def inside(self, owner: Any, part: Any, value: Any) -> Json:
        if id(owner) in self._open:
            raise self.fail("a container that contains itself")
        self._open.append(id(owner))
        self._path.append(part)
        encoded = self.encode(value)
        self._path.pop()
        self._open.pop()
        return encoded

    def integer(self, value: int) -> Json:
        # Python limits how many decimal digits it converts, but not hexadecimal ones.
        return value if abs(value) <= _SAFE_INTEGER else {"$": "int", "v": hex(value)}

    def floating(self, value: float) -> Json:
        return value if math.isfinite(value) else {"$": "float", "v": str(value)}

    def member(self, value: enum.Enum) -> Json:
        cls = type(value)
        name = f"{cls.__module__}:{cls.__qualname__}"
        if find_enum(name) is not cls:
            raise self.fail(
                f"an enum {name} that cannot be found again", "Define it at the top of a module."
            )
        if value.name in cls.__members__:
            return {"$": "enum", "type": name, "v": value.name}
        # A combination of flags has no name of its own that every Python version reads.
        return {"$": "enum", "type": name, "bits": self.integer(value.value)}

    def items(self, values: Any) -> List[Json]:
        return [self.inside(values, index, item) for index, item in enumerate(values)]

    def members(self, values: Any) -> List[Json]:
        # Sets have no order of their own; sorting makes equal sets equal bytes.
        encoded = [self.inside(values, item, item) for item in values]
        return sorted(encoded, key=repr)

    def mapping(self, value: Mapping[Any, Any]) -> Json:
        if all(type(key) is str for key in value) and "$" not in value:
            return {key: self.inside(value, key, item) for key, item in value.items()}
        return {"$": "dict", "v": self.pairs(value)}

    def pairs(self, value: Mapping[Any, Any]) -> List[List[Json]]:
        return [
            [self.inside(value, key, key), self.inside(value, key, item)]
            for key, item in value.items()
        ]

    def ordered(self, value: Mapping[Any, Any]) -> Json:
        node = {"$": "OrderedDict", "v": self.pairs(value)}
        # torch keeps the versions of modules beside their tensors; they decide how old states are read.
        versions = getattr(value, "_metadata", None)
        if versions is not None:
            node["metadata"] = self.encode(dict(versions))
        return node

    def defaulting(self, value: collections.defaultdict[Any, Any]) -> Json:
        factory = value.default_factory
        name = None if factory is None else getattr(factory, "__name__", "")
        if name is not None and FACTORIES.get(name) is not factory:
            raise self.fail(
                f"a defaultdict whose factory is {factory!r}",
                "Use a built-in type as its factory, or a plain dict.",
            )
        return {"$": "defaultdict", "factory": name, "v": self.pairs(value)}

    def array(self, value: np.ndarray[Any, Any]) -> Json:
        descr = self.descr(value.dtype, "a NumPy array")
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        raw = np.frombuffer(bytearray(value.tobytes("F" if fortran else "C")), dtype=np.uint8)
        return {
            "$": "ndarray",
            "dtype": descr,
            "shape": list(value.shape),
            "order": "F" if fortran else "C",
            "v": self.store(torch.from_numpy(raw)),
        }

    def numpy_scalar(self, value: np.generic) -> Json:
        array = np.asarray(value)  # an empty text has no size as a scalar, and NumPy gives it one
        return {
            "$": "npscalar",
            "dtype": self.descr(array.dtype, "a NumPy scalar"),
            "v": base64.b64encode(array.tobytes()).decode("ascii"),
        }

    def descr(self, dtype: np.dtype[Any], what: str) -> Json:
        """The description of a NumPy data type, as NumPy's own files have it."""
        if dtype.hasobject:
            raise self.fail(
                f"{what} of Python objects", "Use a list, or an array of numbers or strings."
            )
        try:
            descr = np.lib.format.dtype_to_descr(dtype)
            is_known = np.lib.format.descr_to_dtype(descr) == dtype
        except (TypeError, ValueError):  # fields that overlap have no description
            is_known = False
        if not is_known:
            raise self.fail(f"{what} of {dtype}, which has no description")
        return descr

    def tensor(self, value: torch.Tensor) -> Json:
        # Subclasses (quantised, distributed, lazily initialised …) carry more than their bytes.
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise self.fail(
                f"a tensor subclass {type(value).__module__}.{type(value).__qualname__}"
            )
        if value.is_nested:
            raise self.fail("a nested tensor", "Save the tensors in it as a list.")
        if value.layout is not torch.strided or value.is_quantized:
            raise self.fail(f"a tensor with layout {value.layout}", "Make it dense first.")
        if value.device.type == "meta":
            raise self.fail("a tensor on the meta device, which has no data")
        node: Dict[str, Json] = {"$": "tensor", "key": self.store(value)}
        if value.device.type != "cpu":
            node["device"] = value.device.type
        return node

    def store(self, value: torch.Tensor) -> str:
        base = "/".join(escape(str(part)) for part in self._path) or "value"
        # A lone surrogate is no Unicode text, and the header of the file has one name for itself.
        base = base.encode("utf-8", "backslashreplace").decode("utf-8")
        key = base = f"{base}~tensor" if base == "__metadata__" else base
        attempt = 1
        while key in self.tensors:  # 1 and "1" are different keys of a dict, but the same text
            attempt += 1
            key = f"{base}~{attempt}"
        self.tensors[key] = value.detach().resolve_conj().resolve_neg()
        return key


_ENCODERS: Dict[type, Callable[[_Encoder, Any], Json]] = {
    bool: lambda _, value: value,
    str: lambda _, value: value,
    int: _Encoder.integer,
    float: _Encoder.floating,
    complex: lambda e, value: {
        "$": "complex",
        "v": [e.floating(value.real), e.floating(value.imag)],
    },
    bytes: lambda _, value: {"$": "bytes", "v": base64.b64encode(value).decode("ascii")},
    bytearray: lambda _, value: {"$": "bytearray", "v": base64.b64encode(value).decode("ascii")},
    list: _Encoder.items,
    tuple: lambda e, value: {"$": "tuple", "v": e.items(value)},
    set: lambda e, value: {"$": "set", "v": e.members(value)},
    frozenset: lambda e, value: {"$": "frozenset", "v": e.members(value)},
    dict: _Encoder.mapping,
    collections.OrderedDict: _Encoder.ordered,
    collections.defaultdict: _Encoder.defaulting,
    collections.Counter: lambda e, value: {"$": "Counter", "v": e.pairs(value)},
    collections.deque: lambda e, value: {
        "$": "deque",
        "maxlen": value.maxlen,
        "v": e.items(value),
    },
    range: lambda e, value: {
        "$": "range",
        "v": [e.integer(item) for item in (value.start, value.stop, value.step)],
    },
    slice: lambda e, value: {
        "$": "slice",
        "v": [e.encode(item) for item in (value.start, value.stop, value.step)],
    },
    datetime.datetime: lambda _, value: {"$": "datetime", "v": value.isoformat()},
    datetime.date: lambda _, value: {"$": "date", "v": value.isoformat()},
    datetime.time: lambda _, value: {"$": "time", "v": value.isoformat()},
    datetime.timedelta: lambda _, value: {
        "$": "timedelta",
        "v": [value.days, value.seconds, value.microseconds],
    },
    np.ndarray: _Encoder.array,
    torch.Size: lambda _, value: {"$": "torch.Size", "v": list(value)},
    torch.dtype: lambda _, value: {"$": "torch.dtype", "v": str(value).split(".")[-1]},
    torch.device: lambda _, value: {"$": "torch.device", "v": str(value)},
}
