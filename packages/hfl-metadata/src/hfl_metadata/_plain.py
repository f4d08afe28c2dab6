"""From anything to plain JSON values, naming what does not fit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import os
from typing import Any, Mapping

from hfl_metadata._privacy import private_text, private_value
from hfl_metadata._record import Omission

_DEEPEST = 32
"""Levels of nesting that are followed; configurations have five, a cycle has no end."""


def type_name(value: object) -> str:
    """Name a value's class, with its module unless it is built in.

    Args:
        value: Anything.

    Returns:
        ``"int"`` or ``"torch.nn.modules.linear.Linear"``.
    """
    cls = type(value)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


class Plain:
    """Converts values and remembers what it had to leave out.

    Attributes:
        omissions: What did not fit, in the order in which it was met.

    Example:
        >>> plain = Plain()
        >>> plain.convert({"lr": 0.1, "f": len}, "hyperparameters")
        {'lr': 0.1}
        >>> plain.omissions[0].path
        'hyperparameters.f'
    """

    def __init__(self) -> None:
        self.omissions: list[Omission] = []

    def convert(self, value: Any, path: str) -> Any:
        """Convert one value.

        Args:
            value: Anything.
            path: Where it stands, for the record of omissions.

        Returns:
            None, a bool, an int, a finite float, a string without secrets, or lists and
            dictionaries of these.
        """
        converted = self._convert(value, path, path.rpartition(".")[2], 0)
        return None if converted is _OMIT else converted

    def _convert(self, value: Any, path: str, name: str, depth: int) -> Any:
        if isinstance(value, enum.Enum):  # first: an IntEnum is an int, a StrEnum a str
            return self._convert(value.value, path, name, depth)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else self._instead(value, path, str(value))
        if isinstance(value, str):
            return private_value(name, str(value))
        if depth >= _DEEPEST:
            return self.omit(value, path)
        return self._convert_object(value, path, name, depth)

    def _convert_object(self, value: Any, path: str, name: str, depth: int) -> Any:
        if isinstance(value, os.PathLike):
            return private_text(os.fsdecode(value))
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self._convert_mapping(fields, path, depth)
        if isinstance(value, Mapping):
            return self._convert_mapping(value, path, depth)
        if isinstance(value, (list, tuple)):
            as_dict = getattr(value, "_asdict", None)  # a named tuple
            if callable(as_dict):
                return self._convert_mapping(as_dict(), path, depth)
            return self._convert_items(value, path, name, depth)
        if isinstance(value, (set, frozenset)):
            return self._convert_items(sorted(value, key=repr), path, name, depth)
        return self._convert_foreign(value, path, name, depth)

    def _convert_mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, item in value.items():
            label = private_text(key if isinstance(key, str) else str(key))
            where = f"{path}.{label}"
            if label in plain:  # 1 and "1" are two keys in Python and one in JSON
                self.omit(item, where)
                continue
            converted = self._convert(item, where, label, depth + 1)
            if converted is not _OMIT:
                plain[label] = converted
        return plain

    def _convert_items(self, value: Any, path: str, name: str, depth: int) -> list[Any]:
        # An item that is left out leaves None behind, so that the others keep their index.
        converted = (
            self._convert(item, f"{path}[{index}]", name, depth + 1)
            for index, item in enumerate(value)
        )
        return [None if item is _OMIT else item for item in converted]

    def _convert_foreign(self, value: Any, path: str, name: str, depth: int) -> Any:
        module = type(value).__module__.partition(".")[0]
        if module == "numpy" and hasattr(value, "tolist") and getattr(value, "ndim", None) == 0:
            return self._convert(value.tolist(), path, name, depth + 1)
        if module == "torch" and type(value).__name__ in ("dtype", "device"):
            return str(value)
        if isinstance(value, type):
            return self._instead(value, path, f"{value.__module__}.{value.__qualname__}")
        return self.omit(value, path)

    def _instead(self, value: object, path: str, text: str) -> str:
        self.omissions.append(Omission(path=path, type=type_name(value), kept=text))
        return text

    def omit(self, value: object, path: str) -> object:
        """Record that a value was left out.

        Args:
            value: What does not fit.
            path: Where it stands.

        Returns:
            A mark that `convert` turns into None.
        """
        self.omissions.append(Omission(path=path, type=type_name(value), kept=None))
        return _OMIT


_OMIT = object()
