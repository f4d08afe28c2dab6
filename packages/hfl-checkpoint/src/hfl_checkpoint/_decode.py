"""From JSON and tensors back to states; the counterpart of `hfl_checkpoint._codec`."""

from __future__ import annotations

import base64
import collections
import datetime
import enum
import pathlib
import sys
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np
import torch

from hfl_checkpoint._codec import CUSTOM_DECODERS, FACTORIES, Json
from hfl_checkpoint.errors import CheckpointDamagedError, UnknownTypeError


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
    factory = None if node["factory"] is None else FACTORIES[node["factory"]]
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
    if node["type"] not in CUSTOM_DECODERS:
        raise UnknownTypeError(
            "state", f"a {node['type']}", hint="Call register_codec() for it before loading."
        )
    return CUSTOM_DECODERS[node["type"]](_decode(node["v"], tensors))


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
