"""A report in Markdown, for a card, an issue or a notebook."""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Mapping, Sequence

from hf_lifecycle._report import _words as words

__all__ = ["write"]


def write(report: Mapping[str, Any]) -> str:
    """Write a report.

    Args:
        report: What `gather` found.

    Returns:
        The text.
    """
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {_safe(report['name'])}"
    yield ""
    yield from _table(("", ""), list(words.overview(report).items()))
    yield from _list("What is wrong", [*report["problems"], *report["remarks"]])
    yield from _heading("Checkpoints")
    metrics = list(report["metrics"])
    rows = [
        (
            item["name"],
            item["step"],
            words.moment(item["created_at"]),
            item["reason"] + (" (pinned)" if item["pinned"] else ""),
            *(words.number(item["metrics"].get(name, "-")) for name in metrics),
        )
        for item in report["checkpoints"]
    ]
    yield from _table(("Checkpoint", "Step", "Saved", "Why", *metrics), rows)
    yield from _heading("Timeline")
    yield from _table(
        ("When", "What"),
        [(words.moment(each["at"]), each["event"]) for each in report["timeline"]],
    )
    yield from _heading("Where the time went")
    yield from _table(
        ("", ""), [(name, words.length(seconds)) for name, seconds in words.spent(report)]
    )
    if report["time"]["measured"] is None:
        yield words.UNMEASURED
        yield ""
    if report["hyperparameters"]:
        yield from _heading("Hyperparameters")
        pairs = report["hyperparameters"].items()
        yield from _table(("Name", "Value"), [(name, words.value(item)) for name, item in pairs])
    for title, known in words.sections(report).items():
        yield from _heading(title)
        yield from _table(("", ""), list(known.items()))
    if report["changes"]:
        yield from _heading("What changed between sessions")
        yield from _table(
            ("What", "Before", "After"),
            [
                (each["path"], words.value(each["before"]), words.value(each["after"]))
                for each in report["changes"]
            ],
        )


def _heading(text: str) -> Iterator[str]:
    yield f"## {text}"
    yield ""


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield from _heading(title)
        yield from (f"- {_safe(item)}" for item in items)
        yield ""


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    lines: List[Sequence[Any]] = [header, ["---"] * len(header), *rows]
    for number, cells in enumerate(lines):
        shown = cells if number == 1 else [_safe(str(cell)) for cell in cells]
        yield f"| {' | '.join(shown)} |"
    yield ""


def _safe(text: str) -> str:
    """Text from elsewhere is text: no cell, tag, link or image of its own."""
    return re.sub(r"([\\|<>\[\]`*_#!])", r"\\\1", " ".join(text.split()))
