"""YAML as the Hub reads it: version 1.2's rules for plain words.

PyYAML follows 1.1, where ``language: no`` is a boolean and ``date: 2024-01-01`` a date.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

__all__ = ["dump", "is_same", "load_node", "plain", "read"]

_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"~|null|Null|NULL|")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_RULES = (
    ("tag:yaml.org,2002:bool", _BOOL, "tTfF"),
    ("tag:yaml.org,2002:int", _INT, "-+0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-+.0123456789"),
    ("tag:yaml.org,2002:null", _NULL, ("~", "n", "N", "")),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes whatever either version of YAML would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text, 10)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(
        str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan")
    )


for _tag, _pattern, _first in _RULES:
    _anchored = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(_tag, _anchored, list(_first))
    _Dumper.add_implicit_resolver(_tag, _anchored, list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def load_node(text: str) -> yaml.Node | None:
    """Parse a text into nodes, which know where they stand in it.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def read(text: str) -> Any:
    """Parse a text.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    # A safe loader with fewer rules.
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # nosec B506


def dump(value: Any, *, flow: bool = False) -> str:
    """Write a value in the style of cards; without a line end where it fits on a line."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=flow,
        width=float("inf"),
    )
    if text.endswith("\n...\n"):  # how PyYAML ends a lone plain word
        text = text[:-4]
    return text if isinstance(value, dict) and not flow else text.rstrip("\n")


def plain(value: Any) -> Any:
    """Return a value as JSON and YAML know it: tuples and sets as lists, keys as text.

    Raises:
        TypeError: There is something in it that a card cannot hold.
    """
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if value is None or type(value) in (str, bool, int, float):
        return value
    raise TypeError(f"a card cannot hold a {type(value).__name__}")


def is_same(one: Any, other: Any) -> bool:
    """Say whether two values are the same in a card, where not-a-number equals itself."""
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
