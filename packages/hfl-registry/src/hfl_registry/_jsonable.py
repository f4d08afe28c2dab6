"""What a configuration may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, List, Tuple

__all__ = ["problems_in"]


def problems_in(value: Any, name: str) -> List[str]:
    """Name what JSON cannot hold, by where it is.

    Args:
        value: Plain values, nested.
        name: What it is, for messages.
    """
    return [f"{where} is {_described(found)}" for where, found in _walk(value, name)]


def _walk(value: Any, where: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, (str, int, float, bool, type(None))):
                yield f"a key of {where}", key
            yield from _walk(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{where}[{index}]")
    else:
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            yield where, value


def _described(value: Any) -> str:
    code = getattr(value, "__code__", None)
    if code is not None:
        kind = "a lambda" if code.co_name == "<lambda>" else f"the function {code.co_name}"
        place = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
        return f"{kind} ({place}); keep its name as a string and look it up in the model"
    return f"a {type(value).__name__}, which JSON cannot hold"
