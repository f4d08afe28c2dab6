"""Rows of JSON that Arrow's reader refuses: which one it is, and what the others hold."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa

from hfl_datasets._sources._model import Place, Problem

__all__ = ["as_text", "salvage"]

_KINDS: Dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def as_text(rows: Sequence[Any]) -> bytes:
    """Write rows as JSON lines."""
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode("utf-8", "replace")


def salvage(
    lines: Sequence[str], places: Sequence[Place], known: Mapping[str, pa.DataType]
) -> Tuple[Optional[pa.RecordBatch], List[Problem]]:
    """Read lines one by one.

    Args:
        lines: The lines.
        places: Where each is.
        known: Types of columns that earlier rows had.

    Returns:
        The rows that fit together, and a problem for each of the others.
    """
    problems: List[Problem] = []
    kinds: Dict[str, str] = {name: _kind_of_type(kind) for name, kind in known.items()}
    rows: List[Mapping[str, Any]] = []
    for line, place in zip(lines, places):
        if not line.strip():
            continue
        row, problem = _object(line, place)
        if row is not None:
            problem = _clash(row, kinds, place)
        if problem is not None:
            problems.append(problem)
        elif row is not None:
            rows.append(row)
    batch, more = _batch(rows, places[0])
    return batch, [*problems, *more]


def _object(line: str, place: Place) -> Tuple[Optional[Mapping[str, Any]], Optional[Problem]]:
    try:
        value = json.loads(line)
    except ValueError as error:
        reason = getattr(error, "msg", str(error))
        hint = "Write one complete object on each line."
        return None, Problem("unreadable", place, f"The line is no JSON: {reason}.", hint)
    if not isinstance(value, dict):
        return None, Problem(
            "mixed-types",
            place,
            f"The line holds {_KINDS.get(type(value), 'null')}, where every line has to be an object.",
            "Write every row as an object with the columns' names as keys.",
            None,
            line[:80],
        )
    return value, None


def _clash(row: Mapping[str, Any], kinds: Dict[str, str], place: Place) -> Optional[Problem]:
    for name, value in row.items():
        if value is None:
            continue
        kind = _KINDS[type(value)]
        expected = kinds.setdefault(name, kind) or kind
        if kind != expected:
            return Problem(
                "mixed-types",
                place,
                f"Column {name!r} holds {kind}; it held {expected} before.",
                "Give the column one type in every row.",
                name,
                json.dumps(value)[:80],
            )
    return None


def _batch(
    rows: Sequence[Mapping[str, Any]], place: Place
) -> Tuple[Optional[pa.RecordBatch], List[Problem]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays, kept, problems = [], [], []
    for name in names:
        try:
            arrays.append(pa.array([row.get(name) for row in rows]))
            kept.append(name)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            problems.append(
                Problem(
                    "mixed-types",
                    place,
                    f"From here on, column {name!r} holds values of several types: {error}.",
                    "Give the column one type in every row.",
                    name,
                )
            )
    return (pa.RecordBatch.from_arrays(arrays, names=kept) if kept else None), problems


def _kind_of_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "a boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_string(kind):
        return "a string"
    if pa.types.is_list(kind):
        return "a list"
    return "an object" if pa.types.is_struct(kind) else ""
