"""From anything to plain JSON values, naming what does not fit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import os
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any, Dict, Mapping

from hfl_core import get_logger
from hfl_metadata._facts import Omission
from hfl_metadata._privacy import MASK, is_secret, private_text, private_value

_log = get_logger(__name__)

_DEEPEST = 32
"""Levels of nesting that are followed; configurations have five, a cycle has no end."""

_LONGEST_INT = 4096
"""Bits. Python refuses to write integers of more than 4,300 digits, and nobody reads them."""

_TEXTS = (Decimal, Fraction, complex, dt.timedelta, range, uuid.UUID)
"""Types whose text says all that there is to them."""


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


def fields_of(value: Any) -> Dict[str, Any] | None:
    """Give what an object that holds settings says of itself.

    Args:
        value: Anything: ``TrainingArguments``, a configuration, a dataclass, a namespace, a model of
            pydantic, a class made by attrs.

    Returns:
        Its fields by name, or None for something else.
    """
    if isinstance(value, (type, Mapping)):
        return None
    for method in ("to_dict", "model_dump"):  # transformers; pydantic
        function = getattr(value, method, None)
        # A table or a dataset has to_dict, too, and would give all of its content.
        if callable(function) and not hasattr(type(value), "__len__"):
            fields = function()
            return dict(fields) if isinstance(fields, Mapping) else None
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if hasattr(type(value), "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in type(value).__attrs_attrs__}
    if type(value).__name__ in ("Namespace", "SimpleNamespace"):  # argparse's, and Lightning's
        return dict(vars(value))
    return None


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
        try:
            return self._convert_any(value, path, name, depth)
        except Exception as error:  # noqa: BLE001  # what an object does when asked is not ours
            _log.debug("%s cannot be recorded: %s", path, error)
            return self.omit(value, path)

    def _convert_any(self, value: Any, path: str, name: str, depth: int) -> Any:
        if isinstance(value, enum.Enum):  # first: an IntEnum is an int, a StrEnum a str
            return self._convert(value.value, path, name, depth)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._convert_number(value, path, name)
        if isinstance(value, str):
            return private_value(name, _joined(str(value)))
        if depth >= _DEEPEST:
            return self.omit(value, path)
        return self._convert_object(value, path, name, depth)

    def _convert_number(self, value: float, path: str, name: str) -> Any:
        if is_secret(name, "314159"):
            return MASK
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _LONGEST_INT else self.omit(value, path)
        return float(value) if math.isfinite(value) else self._instead(value, path, str(value))

    def _convert_object(self, value: Any, path: str, name: str, depth: int) -> Any:
        if isinstance(value, os.PathLike):
            return private_text(_joined(os.fsdecode(value)))
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, _TEXTS):
            return self._instead(value, path, private_value(name, str(value)))
        if isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_asdict"):
            is_set = isinstance(value, (set, frozenset))
            items = sorted(value, key=repr) if is_set else value
            return self._convert_items(items, path, name, depth)
        fields = _fields(value)
        if fields is not None:
            return self._convert_mapping(fields, path, name, depth)
        return self._convert_foreign(value, path, name, depth)

    def _convert_mapping(
        self, value: Mapping[Any, Any], path: str, name: str, depth: int
    ) -> dict[str, Any]:
        # Everything under a secret name is secret: {"credentials": {"user": …, "pin": …}}.
        inherited = name if is_secret(name) else None
        plain: dict[str, Any] = {}
        for key, item in value.items():
            label = private_text(_joined(key if isinstance(key, str) else str(key)))
            where = f"{path}.{label}"
            if label in plain:  # 1 and "1" are two keys in Python and one in JSON
                self.omit(item, where)
                continue
            converted = self._convert(item, where, inherited or label, depth + 1)
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


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    as_dict = getattr(value, "_asdict", None)  # a named tuple
    if isinstance(value, tuple) and callable(as_dict):
        fields: Mapping[Any, Any] = as_dict()
        return fields
    return fields_of(value)


def _joined(text: str) -> str:
    """Join pairs of surrogates, as a reader of JSON would: what is written comes back equal."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
