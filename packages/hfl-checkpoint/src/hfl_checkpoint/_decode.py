"""From JSON and tensors back to states; the counterpart of `hfl_checkpoint._codec`."""

from __future__ import annotations

import base64
import collections
import datetime
import math
import pathlib
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np
import torch

from hfl_checkpoint._codec import CUSTOM_DECODERS, FACTORIES, Json, find_enum
from hfl_checkpoint._tensors import dtype_named
from hfl_checkpoint._words import a
from hfl_checkpoint.errors import CheckpointDamagedError, UnknownTypeError


class _UnregisteredError(Exception):
    """A type that nobody told the codec about; its place is found on the way out."""

    def __init__(self, found: str, hint: str) -> None:
        super().__init__(found)
        self.found = found
        self.hint = hint
        self.path: List[Any] = []


def decode(tree: Json, tensors: Mapping[str, torch.Tensor], *, name: str = "state") -> Any:
    """Rebuild a state from what `encode` made of it.

    Args:
        tree: The JSON part.
        tensors: Key to tensor; the state refers to these objects, without a copy.
        name: What the state is called in error messages.

    Returns:
        The state.

    Raises:
        CheckpointDamagedError: The tree is malformed, or a tensor is missing.
        UnknownTypeError: A registered type or an enum is not there to be rebuilt.
    """
    try:
        return _decode(tree, tensors)
    except _UnregisteredError as error:
        where = name + "".join(f"[{part!r}]" for part in reversed(error.path))
        raise UnknownTypeError(where, error.found, hint=error.hint) from None
    except (UnknownTypeError, MemoryError):
        raise
    except Exception as error:
        # Constructors and registered decoders raise what they like.
        raise CheckpointDamagedError("state", [f"malformed state: {error!r}"]) from error


def _decode(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(node, list):
        return [_inside(index, item, tensors) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "$" not in node:
        return {key: _inside(key, item, tensors) for key, item in node.items()}
    return _DECODERS[node["$"]](node, tensors)


def _inside(part: Any, node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(node, (dict, list)):
        return node
    try:
        return _decode(node, tensors)
    except _UnregisteredError as error:
        error.path.append(part)
        raise


def _items(node: Json, tensors: Mapping[str, torch.Tensor]) -> List[Any]:
    return [_inside(index, item, tensors) for index, item in enumerate(node["v"])]


def _pairs(node: Json, tensors: Mapping[str, torch.Tensor]) -> List[Tuple[Any, Any]]:
    found = []
    for key, item in node["v"]:
        decoded = _decode(key, tensors)
        found.append((decoded, _inside(decoded, item, tensors)))
    return found


def _ordered(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    value: Any = collections.OrderedDict(_pairs(node, tensors))
    if "metadata" in node:
        value._metadata = collections.OrderedDict(_decode(node["metadata"], tensors))
    return value


def _defaulting(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    factory = None if node["factory"] is None else FACTORIES[node["factory"]]
    return collections.defaultdict(factory, _pairs(node, tensors))


def _descr(descr: Json) -> Any:
    dtype = np.lib.format.descr_to_dtype(_with_tuples(descr))
    if dtype.hasobject:
        raise TypeError(f"{dtype} holds Python objects")
    return dtype


def _with_tuples(descr: Json) -> Any:
    """JSON turned the tuples of a structured type's description into lists."""
    if not isinstance(descr, list):
        return descr
    return [
        (tuple(name) if isinstance(name, list) else name, _with_tuples(of), *map(tuple, shape))
        for name, of, *shape in descr
    ]


def _filled(raw: bytes, descr: Json, shape: List[int], order: Any = "C") -> Any:
    dtype = _descr(descr)
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes do not fill an array of {shape}")
    if not raw:
        return np.zeros(shape, dtype, order)
    return np.ndarray(shape, dtype, bytearray(raw), order=order)


def _array(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    raw = tensors[node["v"]].cpu().numpy().tobytes()
    return _filled(raw, node["dtype"], node["shape"], node["order"])


def _scalar(node: Json, _: Mapping[str, torch.Tensor]) -> Any:
    return _filled(base64.b64decode(node["v"], validate=True), node["dtype"], [])[()]


def _enum(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    found = find_enum(node["type"])
    if found is None:
        module, _, qualname = node["type"].partition(":")
        raise _UnregisteredError(
            f"an enum {qualname} of {module}", f"Import {module} before loading."
        )
    return found(_decode(node["bits"], tensors)) if "bits" in node else found[node["v"]]


def _custom(node: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    if node["type"] not in CUSTOM_DECODERS:
        raise _UnregisteredError(
            f"{a(node['type'])} that no codec is registered for",
            "Call register_codec() for it before loading, as the program that saved it did.",
        )
    return CUSTOM_DECODERS[node["type"]](_decode(node["v"], tensors))


def _dtype(node: Json, _: Mapping[str, torch.Tensor]) -> torch.dtype:
    return dtype_named(node["v"])


_DECODERS: Dict[str, Callable[[Json, Mapping[str, torch.Tensor]], Any]] = {
    "int": lambda node, _: int(node["v"], 16),
    "float": lambda node, _: float(node["v"]),
    "complex": lambda node, t: complex(*_items(node, t)),
    "bytes": lambda node, _: base64.b64decode(node["v"], validate=True),
    "bytearray": lambda node, _: bytearray(base64.b64decode(node["v"], validate=True)),
    "tuple": lambda node, t: tuple(_items(node, t)),
    "set": lambda node, t: set(_items(node, t)),
    "frozenset": lambda node, t: frozenset(_items(node, t)),
    "dict": lambda node, t: dict(_pairs(node, t)),
    "Counter": lambda node, t: collections.Counter(dict(_pairs(node, t))),
    "OrderedDict": _ordered,
    "defaultdict": _defaulting,
    "deque": lambda node, t: collections.deque(_items(node, t), node["maxlen"]),
    "range": lambda node, t: range(*_items(node, t)),
    "slice": lambda node, t: slice(*_items(node, t)),
    "path": lambda node, _: pathlib.Path(node["v"]),
    "datetime": lambda node, _: datetime.datetime.fromisoformat(node["v"]),
    "date": lambda node, _: datetime.date.fromisoformat(node["v"]),
    "time": lambda node, _: datetime.time.fromisoformat(node["v"]),
    "timedelta": lambda node, _: datetime.timedelta(*node["v"]),
    "ndarray": _array,
    "npscalar": _scalar,
    "enum": _enum,
    "custom": _custom,
    "tensor": lambda node, t: t[node["key"]],
    "torch.Size": lambda node, _: torch.Size(node["v"]),
    "torch.dtype": _dtype,
    "torch.device": lambda node, _: torch.device(node["v"]),
}
