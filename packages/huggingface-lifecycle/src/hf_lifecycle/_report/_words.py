"""How a report says numbers, moments and values, in a page and in Markdown alike."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Tuple

_LONGEST = 200


def number(value: Any) -> str:
    """Write a metric's value.

    Example:
        >>> number(0.123456789)
        '0.123457'
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def moment(text: str) -> str:
    """Write an ISO moment as people read it.

    Example:
        >>> moment("2026-03-01T10:30:00+00:00")
        '2026-03-01 10:30:00 UTC'
    """
    for end in ("+00:00", "Z"):
        if text.endswith(end):
            return f"{text[: -len(end)].replace('T', ' ').partition('.')[0]} UTC"
    return text


def length(seconds: float) -> str:
    """Write how long something took.

    Example:
        >>> length(3725)
        '1 h 2 min'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def value(thing: Any) -> str:
    """Write a value of a record, not too long.

    Example:
        >>> value({"lr": 0.1})
        '{"lr": 0.1}'
    """
    text = thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def size(count: int) -> str:
    """Write a number of bytes, as the other commands do."""
    from hfl_core.cli import human_bytes

    return human_bytes(count)


def overview(report: Mapping[str, Any]) -> Dict[str, str]:
    """Say in a few lines what the run is."""
    checkpoints = report["checkpoints"]
    rows = {
        "Run": report["run_id"] or "-",
        "Created": moment(report["created"]) if report["created"] else "-",
        "Checkpoints": f"{len(checkpoints)}, {size(report['size'])} on disk",
    }
    if checkpoints:
        newest = checkpoints[-1]
        rows["Newest"] = f"{newest['name']} (step {newest['step']})"
    for name, found in report["metrics"].items():
        if found["last"] is not None:
            low, high, last = found["min"], found["max"], found["last"]
            rows[name] = (
                f"last {number(last['value'])}, lowest {number(low['value'])} ({low['checkpoint']}), "
                f"highest {number(high['value'])} ({high['checkpoint']})"
            )
    if report["hub"]:
        waiting = len(report["waiting"])
        rows["Hub"] = report["hub"] + (f", {waiting} not published yet" if waiting else "")
    return rows


def spent(report: Mapping[str, Any]) -> List[Tuple[str, float]]:
    """Say where the time went: what, and how many seconds."""
    known = report["time"]
    if known["measured"] is not None:
        parts = known["measured"]
        return [(name, parts[name]) for name in ("training", "evaluating", "saving", "other")]
    return [
        ("from first to last save", known["sessions"]),
        ("between sessions", known["between_sessions"]),
    ]


UNMEASURED = (
    "The run measured no durations, so this is what the times of its checkpoints tell. With "
    'metadata={"durations": RunClock()} it says how long it trained, evaluated and saved.'
)


def sections(report: Mapping[str, Any]) -> Dict[str, Dict[str, str]]:
    """Sort the record's summary into environment, code, model and data."""
    known = dict(report["summary"])
    known.pop("hyperparameters", None)
    known.pop("durations", None)
    groups = {
        "Code": ("git", "command", "lock files"),
        "Environment": (
            "python", "packages", "system", "container", "cpu", "memory", "gpus", "backends", "launcher",
        ),
        "Model": ("model",),
        "Data and seeds": ("data", "seeds"),
    }  # fmt: skip
    found = {
        title: {name: known.pop(name) for name in names if name in known}
        for title, names in groups.items()
    }
    found["Also on record"] = {name: text for name, text in known.items() if name != "captured"}
    return {title: rows for title, rows in found.items() if rows}
