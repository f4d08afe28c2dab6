"""YAML that readers of version 1.1 and of version 1.2 understand alike.

PyYAML follows 1.1, where ``no`` is a boolean, ``1:30`` a number and ``2024-01-01`` a date; for other
readers ``1e-5`` is a number. What either of them takes for something else than text is quoted.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from hfl_core import ValidationError

_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Reads what people write, too: a number with an exponent is one, a date is text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != _TIMESTAMP]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


# Last, so that what version 1.1 has a name for keeps it.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", _OCTAL, ["0"])


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Plain and single-quoted texts are folded, and lose what is around a line's end.
    style = None if text.isascii() and text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _number(dumper: _Dumper, number: float) -> yaml.ScalarNode:
    if not math.isfinite(number):
        raise ValueError(f"A record holds no {number!r}.")
    return dumper.represent_float(number)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def dump(value: Any) -> str:
    """Write plain values.

    Args:
        value: What JSON can hold.

    Returns:
        Pure ASCII.

    Raises:
        ValueError: There is something in it that JSON cannot hold.
    """
    try:
        return yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=float("inf")
        )
    except yaml.YAMLError as error:
        raise ValueError(f"A record cannot hold this: {error}") from error


def load(text: str | bytes) -> Any:
    """Read plain values.

    Args:
        text: A document.

    Returns:
        What it holds.

    Raises:
        ValidationError: It is not YAML.
    """
    try:
        # A safe loader with fewer rules.
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # nosec B506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValidationError(f"This is not YAML: {first}.") from error
