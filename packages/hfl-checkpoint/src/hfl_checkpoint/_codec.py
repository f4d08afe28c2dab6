"""States to JSON and tensors, and back, without pickle.

A state is a tree of plain Python values with tensors in it. `encode` writes the tree as JSON whose
leaves keep their exact type, and collects the tensors under their path; `decode` rebuilds the same
tree. JSON's own types stand for themselves; everything else is an object with the key ``"$"`` that
says what it is (a plain dict that has such a key, or keys that are not strings, is tagged as well).
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import enum
import math
import pathlib
import sys
from typing import Any, Callable, Dict, List, Mapping, Tuple, Type

import numpy as np
import torch

from hfl_checkpoint.errors import CheckpointDamagedError, UnknownTypeError

Json = Any

# Beyond this, JSON readers other than Python's lose digits.
_SAFE_INTEGER = 2**53

_FACTORIES: Dict[str, Callable[[], Any]] = {
    factory.__name__: factory for factory in (int, float, str, bool, bytes, list, tuple, dict, set)
}

_Encode = Callable[[Any], Any]
_Decode = Callable[[Any], Any]
_CUSTOM: Dict[type, Tuple[str, _Encode]] = {}
_CUSTOM_DECODERS: Dict[str, _Decode] = {}


def register_codec(
    type_: Type[Any], encode: Callable[[Any], Any], decode: Callable[[Any], Any]
) -> None:
    """Teach the codec a type that states may hold.

    Args:
        type_: The exact class; subclasses are not covered.
        encode: From an object to values that the codec knows (tensors and other registered types too).
        decode: From these values back to an object. The type must be registered before a load, too.

    Raises:
        ValueError: The codec knows the type by itself.

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
    name = f"{type_.__module__}.{type_.__qualname__}"
    _CUSTOM[type_] = (name, encode)
    _CUSTOM_DECODERS[name] = decode


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


def decode(tree: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Rebuild a state from what `encode` made of it.

    Args:
        tree: The JSON part.
        tensors: Key to tensor; the state refers to these objects, without a copy.

    Returns:
        The state.

    Raises:
        CheckpointDamagedError: The tree is malformed, or a tensor is missing.
        UnknownTypeError: A registered type or an enum is not there to be rebuilt.
    """
    try:
        return _decode(tree, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, UnknownTypeError):
            raise
        raise CheckpointDamagedError("state", [f"malformed state: {error!r}"]) from error


def escape(part: str) -> str:
    """Escape one part of a path, as JSON pointers do (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


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
            return {"$": "enum", "type": f"{cls.__module__}:{cls.__qualname__}", "v": value.name}
        if isinstance(value, np.generic):
            return self.numpy_scalar(value)
        if isinstance(value, pathlib.PurePath):
            return {"$": "path", "v": value.as_posix()}
        if cls in _CUSTOM:
            name, encode_custom = _CUSTOM[cls]
            return {"$": "custom", "type": name, "v": self.encode(encode_custom(value))}
        raise self.fail(f"a {cls.__module__}.{cls.__qualname__}")

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
        return value if abs(value) <= _SAFE_INTEGER else {"$": "int", "v": str(value)}

    def floating(self, value: float) -> Json:
        return value if math.isfinite(value) else {"$": "float", "v": str(value)}

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
        if name is not None and _FACTORIES.get(name) is not factory:
            raise self.fail(
                f"a defaultdict whose factory is {factory!r}",
                "Use a built-in type as its factory, or a plain dict.",
            )
        return {"$": "defaultdict", "factory": name, "v": self.pairs(value)}

    def array(self, value: np.ndarray[Any, Any]) -> Json:
        if value.dtype.hasobject:
            raise self.fail(
                "a NumPy array of Python objects", "Use a list, or an array of numbers or strings."
            )
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        raw = np.frombuffer(bytearray(value.tobytes("F" if fortran else "C")), dtype=np.uint8)
        return {
            "$": "ndarray",
            "dtype": np.lib.format.dtype_to_descr(value.dtype),
            "shape": list(value.shape),
            "order": "F" if fortran else "C",
            "v": self.store(torch.from_numpy(raw)),
        }

    def numpy_scalar(self, value: np.generic) -> Json:
        if value.dtype.hasobject:
            raise self.fail("a NumPy scalar that holds a Python object")
        return {
            "$": "npscalar",
            "dtype": np.lib.format.dtype_to_descr(value.dtype),
            "v": base64.b64encode(value.tobytes()).decode("ascii"),
        }

    def tensor(self, value: torch.Tensor) -> Json:
        # Subclasses (quantised, distributed, lazily initialised …) carry more than their bytes.
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise self.fail(f"a tensor subclass {type(value).__module__}.{type(value).__qualname__}")
        if value.layout is not torch.strided or value.is_quantized:
            raise self.fail(f"a tensor with layout {value.layout}", "Make it dense first.")
        if value.device.type == "meta":
            raise self.fail("a tensor on the meta device, which has no data")
        node: Dict[str, Json] = {"$": "tensor", "key": self.store(value)}
        if value.device.type != "cpu":
            node["device"] = value.device.type
        return node

    def store(self, value: torch.Tensor) -> str:
        key = base = "/".join(escape(str(part)) for part in self._path) or "value"
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
    collections.deque: lambda e, value: {
        "$": "deque",
        "maxlen": value.maxlen,
        "v": e.items(value),
    },
    range: lambda _, value: {"$": "range", "v": [value.start, value.stop, value.step]},
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


def _decode(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(node, list):
        return [_decode(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    if "$" not in node:
        return {key: _decode(item, tensors) for key, item in node.items()}
    return _DECODERS[node["$"]](node, tensors)


def _items(node: Json, tensors: Mapping[str, torch.Tensor]) -> List[Any]:
    return [_decode(item, tensors) for item in node["v"]]


def _pairs(node: Json, tensors: Mapping[str, torch.Tensor]) -> List[Tuple[Any, Any]]:
    return [(_decode(key, tensors), _decode(item, tensors)) for key, item in node["v"]]


def _ordered(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    value: Any = collections.OrderedDict(_pairs(node, tensors))
    if "metadata" in node:
        value._metadata = collections.OrderedDict(_decode(node["metadata"], tensors))
    return value


def _defaulting(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    factory = None if node["factory"] is None else _FACTORIES[node["factory"]]
    return collections.defaultdict(factory, _pairs(node, tensors))


def _descr(descr: Json) -> Any:
    # JSON turned the tuples of a structured dtype's description into lists.
    if isinstance(descr, list):
        descr = [tuple(tuple(p) if isinstance(p, list) else p for p in field) for field in descr]
    return np.lib.format.descr_to_dtype(descr)


def _array(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    raw = tensors[node["v"]].cpu().numpy().tobytes()
    flat = np.frombuffer(bytearray(raw), dtype=_descr(node["dtype"]))
    return flat.reshape(node["shape"], order=node["order"])


def _enum(node: Json, _: Mapping[str, torch.Tensor]) -> Any:
    # Only classes that the program has loaded itself: a checkpoint must not decide what is imported.
    module, _, qualname = node["type"].partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, enum.Enum)):
        raise UnknownTypeError(
            "state", f"an enum {qualname} of {module}", hint=f"Import {module} before loading."
        )
    return found[node["v"]]


def _custom(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    if node["type"] not in _CUSTOM_DECODERS:
        raise UnknownTypeError(
            "state", f"a {node['type']}", hint="Call register_codec() for it before loading."
        )
    return _CUSTOM_DECODERS[node["type"]](_decode(node["v"], tensors))


def _dtype(node: Json, _: Mapping[str, torch.Tensor]) -> torch.dtype:
    found = getattr(torch, node["v"])
    if not isinstance(found, torch.dtype):
        raise TypeError(f"{node['v']!r} is not a torch dtype")
    return found


_DECODERS: Dict[str, Callable[[Json, Mapping[str, torch.Tensor]], Any]] = {
    "int": lambda node, _: int(node["v"]),
    "float": lambda node, _: float(node["v"]),
    "complex": lambda node, t: complex(*_items(node, t)),
    "bytes": lambda node, _: base64.b64decode(node["v"], validate=True),
    "bytearray": lambda node, _: bytearray(base64.b64decode(node["v"], validate=True)),
    "tuple": lambda node, t: tuple(_items(node, t)),
    "set": lambda node, t: set(_items(node, t)),
    "frozenset": lambda node, t: frozenset(_items(node, t)),
    "dict": lambda node, t: dict(_pairs(node, t)),
    "OrderedDict": _ordered,
    "defaultdict": _defaulting,
    "deque": lambda node, t: collections.deque(_items(node, t), node["maxlen"]),
    "range": lambda node, _: range(*node["v"]),
    "slice": lambda node, t: slice(*_items(node, t)),
    "path": lambda node, _: pathlib.Path(node["v"]),
    "datetime": lambda node, _: datetime.datetime.fromisoformat(node["v"]),
    "date": lambda node, _: datetime.date.fromisoformat(node["v"]),
    "time": lambda node, _: datetime.time.fromisoformat(node["v"]),
    "timedelta": lambda node, _: datetime.timedelta(*node["v"]),
    "ndarray": _array,
    "npscalar": lambda node, _: np.frombuffer(
        base64.b64decode(node["v"], validate=True), dtype=_descr(node["dtype"])
    )[0],
    "enum": _enum,
    "custom": _custom,
    "tensor": lambda node, t: t[node["key"]],
    "torch.Size": lambda node, _: torch.Size(node["v"]),
    "torch.dtype": _dtype,
    "torch.device": lambda node, _: torch.device(node["v"]),
}
