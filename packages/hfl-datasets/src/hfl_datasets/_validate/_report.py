"""What validation found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hfl_core import redact
from hfl_datasets._sources._model import Place, Problem
from hfl_datasets._validate._rules import RULES

__all__ = ["Collector", "Finding", "ValidationReport"]

_EXAMPLES = 3
# Of these, a split and column may have several that are about different things.
_DISTINCT = frozenset(
    ("expectation", "group-overlap", "time-overlap", "label-balance", "split-overlap")
)
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """Something that validation found, however often it occurs.

    Attributes:
        rule: Which rule found it.
        severity: "error", "warning" or "info".
        message: What is wrong, as a sentence.
        hint: What to do about it.
        split: The split, where it is about one.
        file: The file, where it is about one.
        unit: "line", "row", "row group" or "record batch"; empty where no place is known.
        number: Which one; the first, where there are several.
        column: The column, where it is about one.
        count: How often it was found.
        examples: A few of the values, redacted.

    Example:
        >>> finding = Finding("nan", "warning", "2 values are NaN.", "Drop them.", column="price")
        >>> print(finding)
        warning nan: column 'price': 2 values are NaN. Drop them.
    """

    rule: str
    severity: str
    message: str
    hint: str
    split: Optional[str] = None
    file: Optional[str] = None
    unit: str = ""
    number: Optional[int] = None
    column: Optional[str] = None
    count: int = 1
    examples: Tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The place as one text: the file and line, or the split; empty if it is about everything."""
        if self.file is not None:
            return str(Place(self.file, self.unit, self.number))
        return f"split {self.split!r}" if self.split is not None else ""

    def to_dict(self) -> Dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {**asdict(self), "examples": list(self.examples)}

    def __str__(self) -> str:
        column = f"column {self.column!r}" if self.column is not None else ""
        place = ", ".join(part for part in (self.where, column) if part)
        head = f"{self.severity} {self.rule}: {place + ': ' if place else ''}{self.message}"
        # Where a message does not say how often, this does.
        more = (
            f" ({self.count:,} times in all.)"
            if self.count > 1 and f"{self.count:,} " not in head
            else ""
        )
        return f"{head}{more} {self.hint}"


@dataclass(frozen=True)
class ValidationReport:
    """What validation found, errors first.

    Attributes:
        source: What was looked at.
        findings: Everything that was found.
        rows: Rows of each split.
        columns: Type of each column, by split.

    Example:
        >>> ValidationReport("train.csv", (), {"train": 3}, {"train": {"x": "int64"}}).ok
        True
    """

    source: str
    findings: Tuple[Finding, ...]
    rows: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing keeps the data from being published."""
        return not self.errors

    @property
    def errors(self) -> Tuple[Finding, ...]:
        """The findings that do."""
        return tuple(item for item in self.findings if item.severity == "error")

    def to_dict(self) -> Dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {
            "source": self.source,
            "ok": self.ok,
            "rows": dict(self.rows),
            "columns": {name: dict(kinds) for name, kinds in self.columns.items()},
            "findings": [item.to_dict() for item in self.findings],
        }

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        counted = ", ".join(f"{name}: {count:,} rows" for name, count in self.rows.items())
        head = f"{self.source} ({counted}): " if counted else f"{self.source}: "
        if not self.findings:
            return head + "nothing was found."
        lines = [head + ("fit to be published." if self.ok else "not fit to be published.")]
        lines += [f"  {item}" for item in self.findings]
        return "\n".join(lines)


class Collector:
    """Gathers what is found; the same thing in one file, split and column is one finding.

    Args:
        severities: What the user says about rules; see `severities`.
    """

    def __init__(self, severities: Mapping[str, str] | None = None) -> None:
        self._severities = dict(severities or {})
        self._found: Dict[Tuple[Any, ...], Finding] = {}

    def is_on(self, rule: str) -> bool:
        """Say whether anybody wants to know."""
        return self._severities.get(rule) != "off"

    def add(  # noqa: PLR0913  # everything that there is to say
        self,
        rule: str,
        message: str,
        hint: str,
        *,
        split: Optional[str] = None,
        place: Optional[Place] = None,
        column: Optional[str] = None,
        count: int = 1,
        example: Optional[str] = None,
        severity: Optional[str] = None,
    ) -> None:
        """Note a finding, or that it occurs once more.

        Args:
            rule: Which rule found it.
            message: What is wrong; that of the first place is kept.
            hint: What to do about it.
            split: The split.
            place: Where it is.
            column: The column.
            count: How often it is there.
            example: A value; it is redacted and shortened.
            severity: How bad it is here, where that is not what the rule says; the user's word counts more.
        """
        level = self._severities.get(rule) or severity or RULES[rule].severity
        if level == "off":
            return
        shown = () if example is None else (_shown(example),)
        file = place.file if place is not None else None
        key = (rule, split, file, column, level, message if rule in _DISTINCT else None)
        known = self._found.get(key)
        if known is not None:
            examples = tuple(dict.fromkeys((*known.examples, *shown)))[:_EXAMPLES]
            self._found[key] = replace(known, count=known.count + count, examples=examples)
            return
        self._found[key] = Finding(
            rule,
            level,
            redact(message),
            hint,
            split,
            redact(place.file) if place is not None else None,
            place.unit if place is not None else "",
            place.number if place is not None else None,
            column,
            count,
            shown,
        )

    def problem(self, problem: Problem, split: str) -> None:
        """Note what a reader could not read."""
        self.add(
            problem.rule,
            problem.message,
            problem.hint,
            split=split,
            place=problem.place,
            column=problem.column,
            example=problem.example,
        )

    def has_error(self, split: str) -> bool:
        """Say whether something was found that keeps a split from being published."""
        return any(
            item.split == split and item.severity == "error" for item in self._found.values()
        )

    def findings(self) -> Tuple[Finding, ...]:
        """Return what was found, errors first, else in the order of finding."""
        found: List[Finding] = sorted(self._found.values(), key=lambda item: _ORDER[item.severity])
        return tuple(found)


def _shown(example: str) -> str:
    text = redact(" ".join(example.split()))
    return text if len(text) <= 80 else f"{text[:77]}..."
