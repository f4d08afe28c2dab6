"""Values as plain JSON: what a command shows has to be readable by every other program."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import math
import os
from typing import Any, Mapping


def to_jsonable(value: Any) -> Any:
    """Turn a value into plain JSON types.

    Dates become ISO 8601 texts, paths texts, enums their values, dataclasses and mappings objects,
    sequences and sets lists (sets sorted), bytes base64 text, and the floats that JSON cannot
    write (`nan`, `inf`) texts. Scalars of numpy and torch become numbers. Anything else becomes its `str`.

    Args:
        value: Any value.

    Returns:
        None, a bool, int, float, str, list or dict, all the way down.

    Example:
        >>> from pathlib import Path
        >>> to_jsonable({"loss": float("nan"), "path": Path("runs")})
        {'loss': 'nan', 'path': 'runs'}
    """
    if isinstance(value, enum.Enum):  # before str and int, which an enum may also be
        return to_jsonable(value.value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return _object_to_jsonable(value)


def _object_to_jsonable(value: Any) -> Any:
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return _container_to_jsonable(value)


def _container_to_jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_jsonable(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {_key(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(
            (to_jsonable(item) for item in value), key=lambda item: (str(type(item)), str(item))
        )
    if isinstance(value, (list, tuple)) or hasattr(value, "__next__"):
        return [to_jsonable(item) for item in value]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return to_jsonable(value.item())
    return str(value)


def _key(key: Any) -> str:
    plain = to_jsonable(key)
    return plain if isinstance(plain, str) else str(plain)
