"""In what two runs differ."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Literal, Mapping, Tuple

if TYPE_CHECKING:
    from hfl_metadata._record import RunMetadata

# What no two runs have in common, and what follows from the rest.
_ALWAYS_DIFFERENT = {"captured_at", "durations", "schema"}
_OWN = {
    *("rank", "local_rank", "node", "restarts"),
    *("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    *("LSB_JOBID", "PBS_JOBID", "JOB_COMPLETION_INDEX"),
}

# What tells the items of a list of objects apart.
_KEYS = ("name", "path", "index")

_LONGEST = 72
_ABSENT = object()


@dataclasses.dataclass(frozen=True)
class MetadataChange:
    """One difference.

    Attributes:
        path: Where: ``"packages.torch"``.
        kind: ``"added"``, ``"removed"`` or ``"changed"``.
        before: The value in the first record, None if it has none.
        after: The value in the second record, None if it has none.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any

    @property
    def section(self) -> str:
        """The part of the record: ``"packages"``."""
        return self.path.partition(".")[0].partition("[")[0]

    def __str__(self) -> str:
        return f"{self.path} {_said(self)}"


@dataclasses.dataclass(frozen=True)
class MetadataDiff:
    """All differences, in the order of the record; nothing differs if it is empty.

    As a text it is a list for people, section by section.

    Attributes:
        changes: The differences.
    """

    changes: Tuple[MetadataChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[MetadataChange]:
        return iter(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return "no differences"
        sections: Dict[str, List[Tuple[str, str]]] = {}
        for change in self.changes:
            inner = change.path[len(change.section) :].lstrip(".") or change.section
            sections.setdefault(change.section, []).append((inner, _said(change)))
        lines: List[str] = []
        for section, rows in sections.items():
            width = max(len(name) for name, _ in rows)
            lines.append(section)
            lines.extend(f"  {name.ljust(width)}  {said}" for name, said in rows)
        return "\n".join(lines)


def compare(one: RunMetadata, other: RunMetadata, *, everything: bool) -> MetadataDiff:
    """Compare two records.

    Args:
        one: The first one.
        other: The second one.
        everything: Also what no two runs have in common.

    Returns:
        The differences.
    """
    pair = [record.to_dict() for record in (one, other)]
    if not everything:
        pair = [_comparable(values) for values in pair]
    return MetadataDiff(tuple(_changes("", pair[0], pair[1])))


def flatten(values: Any, path: str = "") -> Iterator[Tuple[str, Any]]:
    """Walk to the values that are not made of others.

    Args:
        values: Dictionaries, lists and plain values.
        path: Where they stand.

    Yields:
        A path and a value; lists of plain values are one, and so is what is empty.
    """
    children = _children(values)
    if not children:
        yield path, values
        return
    for label, value in children.items():
        yield from flatten(value, path + (label if path else label.lstrip(".")))


def show_value(value: Any, longest: int = _LONGEST) -> str:
    """Write a value on a line.

    Args:
        value: A plain value.
        longest: Characters.

    Returns:
        A short text.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    text = " ".join(text.split()) if isinstance(value, str) else text
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _comparable(values: Dict[str, Any]) -> Dict[str, Any]:
    kept = {name: value for name, value in values.items() if name not in _ALWAYS_DIFFERENT}
    launcher = kept["launcher"]
    kept["launcher"] = {
        **{name: value for name, value in launcher.items() if name not in _OWN},
        "details": {name: value for name, value in launcher["details"].items() if name not in _OWN},
    }
    return kept


def _changes(path: str, one: Any, other: Any) -> Iterator[MetadataChange]:
    if _same(one, other):
        return
    before, after = _children(one), _children(other)
    # Two that are made of parts are compared part by part; nothing else becomes something, or back.
    if (before or one in ({}, [])) and (after or other in ({}, [])) and (before or after):
        for label in dict.fromkeys([*before, *after]):
            yield from _changes(
                path + (label if path else label.lstrip(".")),
                before.get(label, _ABSENT),
                after.get(label, _ABSENT),
            )
        return
    if one is _ABSENT:
        yield MetadataChange(path, "added", None, other)
    elif other is _ABSENT:
        yield MetadataChange(path, "removed", one, None)
    else:
        yield MetadataChange(path, "changed", one, other)


def _same(one: Any, other: Any) -> bool:
    # True is 1 and 1 is 1.0 in Python, and in no record the same.
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _children(value: Any) -> Dict[str, Any]:
    if isinstance(value, Mapping):
        return {_dotted(name): item for name, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        key = next((key for key in _KEYS if all(key in item for item in value)), None)
        labels = [str(index if key is None else item[key]) for index, item in enumerate(value)]
        if len(set(labels)) < len(labels):  # two entries of a table may have one name
            return {f"[{index}]": item for index, item in enumerate(value)}
        return {
            f"[{label}]": {name: inner for name, inner in item.items() if name != key}
            for label, item in zip(labels, value)
        }
    return {}


def _dotted(name: Any) -> str:
    text = str(name)
    return f".{text}" if text and "." not in text and "[" not in text else f"[{json.dumps(text)}]"


def _said(change: MetadataChange) -> str:
    if change.kind == "added":
        return f"added: {show_value(change.after)}"
    if change.kind == "removed":
        return f"removed: {show_value(change.before)}"
    before, after = show_value(change.before), show_value(change.after)
    if before == after:  # the difference lies beyond what a line has room for, or is one of types
        before, after = f"{before} ({_kind(change.before)})", f"{after} ({_kind(change.after)})"
    return f"{before} -> {after}"


def _kind(value: Any) -> str:
    if isinstance(value, (str, list)):
        return f"{len(value):,} {'characters' if isinstance(value, str) else 'items'}"
    return type(value).__name__
