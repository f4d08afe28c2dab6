"""The versions of a dataset, and how two of them differ."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from typing import Any, Dict, List, Mapping, Optional

from hfl_datasets._record import DatasetRecord, SplitRecord

__all__ = ["ColumnDrift", "DatasetDiff", "DatasetVersion", "SplitDiff", "diff_records"]

# Changes of a figure smaller than this are noise to a reader: a hundredth of its scale.
_NOISE = 0.01


@dataclasses.dataclass(frozen=True)
class DatasetVersion:
    """A version of a dataset: a commit that changed its data, or that has a tag.

    Attributes:
        commit: The commit, to pin by: ``revision=version.commit``.
        tags: The tags at it, the highest version first.
        created_at: When it was made.
        message: What it was about.
        authors: Who made it.
        changes: What became of the rows, where that is known.
    """

    commit: str
    tags: tuple[str, ...] = ()
    created_at: Optional[dt.datetime] = None
    message: str = ""
    authors: tuple[str, ...] = ()
    changes: str = ""

    @property
    def name(self) -> str:
        """Its highest tag, or the first digits of its commit."""
        return self.tags[0] if self.tags else self.commit[:12]


@dataclasses.dataclass(frozen=True)
class ColumnDrift:
    """A figure of a column that differs between two versions.

    Attributes:
        column: The column.
        figure: Which figure: ``"mean"``, ``"nulls"``, ``"distribution"``.
        before: What it was.
        after: What it is; for ``"distribution"`` the population stability index, where 0.1 is
            small and 0.25 is large, stands here.
    """

    column: str
    figure: str
    before: Any
    after: Any


@dataclasses.dataclass(frozen=True)
class SplitDiff:
    """How a split differs between two versions.

    Attributes:
        split: Its name; ``config/split`` where there are several configurations.
        rows_before: Rows in the one; None where it has no such split.
        rows_after: Rows in the other.
        added: Columns that are new, with their types.
        removed: Columns that are gone, with their types.
        retyped: Column to (type before, type after).
        drift: Figures that differ.
        is_same: Whether all rows are the same; None where nobody computed that.
    """

    split: str
    rows_before: Optional[int]
    rows_after: Optional[int]
    added: Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    retyped: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    drift: tuple[ColumnDrift, ...] = ()
    is_same: Optional[bool] = None


@dataclasses.dataclass(frozen=True)
class DatasetDiff:
    """How two versions of a dataset differ.

    Attributes:
        before: The commit of the one.
        after: The commit of the other.
        splits: All splits of either.
    """

    before: str
    after: str
    splits: tuple[SplitDiff, ...]

    @property
    def is_same(self) -> bool:
        """Whether both hold the same rows with the same columns."""
        return all(split.is_same for split in self.splits)


def diff_records(one: DatasetRecord, other: DatasetRecord) -> tuple[SplitDiff, ...]:
    """Compare what two versions say about themselves."""
    before, after = _splits(one), _splits(other)
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(_one_sided(name, old, new))
        else:
            found.append(_diff_split(name, old, new))
    return tuple(found)


def _splits(record: DatasetRecord) -> Dict[str, SplitRecord]:
    is_one = len(record.configs) <= 1
    return {
        split if is_one and config == "default" else f"{config}/{split}": found
        for config, known in record.configs.items()
        for split, found in known.splits.items()
    }


def _diff_split(name: str, old: SplitRecord, new: SplitRecord) -> SplitDiff:
    both = [column for column in old.columns if column in new.columns]
    retyped = {
        column: (old.columns[column], new.columns[column])
        for column in both
        if old.columns[column] != new.columns[column]
    }
    drift: List[ColumnDrift] = []
    for column in both:
        figures = old.statistics.get(column), new.statistics.get(column)
        if column not in retyped and figures[0] is not None and figures[1] is not None:
            drift += _drift(column, figures[0], figures[1])
    added = {c: kind for c, kind in new.columns.items() if c not in old.columns}
    removed = {c: kind for c, kind in old.columns.items() if c not in new.columns}
    is_same: Optional[bool] = None
    if retyped or added or removed or old.rows != new.rows:
        is_same = False
    elif old.content and new.content:
        is_same = old.content == new.content
    elif old.files and dict(old.files) == dict(new.files) and all(old.files.values()):
        is_same = True
    return SplitDiff(name, old.rows, new.rows, added, removed, retyped, tuple(drift), is_same)


def _drift(column: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> List[ColumnDrift]:
    found = []
    for figure in ("nulls", "nan", "infinite"):
        shares = [
            each.get(figure, 0) / each["count"] if each["count"] else 0.0 for each in (old, new)
        ]
        if abs(shares[0] - shares[1]) > _NOISE:
            found.append(ColumnDrift(column, f"share of {figure}", *(round(s, 4) for s in shares)))
    scale = max(float(old.get("std") or 0), float(new.get("std") or 0))
    for figure in ("min", "max", "mean", "std"):
        if _moved(old.get(figure), new.get(figure), scale):
            found.append(ColumnDrift(column, figure, old.get(figure), new.get(figure)))
    if old.get("distinct") != new.get("distinct"):
        found.append(ColumnDrift(column, "distinct", old.get("distinct"), new.get("distinct")))
    lengths = old.get("lengths"), new.get("lengths")
    if (
        lengths[0]
        and lengths[1]
        and _moved(lengths[0]["mean"], lengths[1]["mean"], lengths[0]["std"])
    ):
        found.append(ColumnDrift(column, "mean length", lengths[0]["mean"], lengths[1]["mean"]))
    index = _stability(old, new)
    if index is not None and index > _NOISE:
        found.append(ColumnDrift(column, "distribution", None, round(index, 4)))
    return found


def _moved(old: Any, new: Any, scale: float) -> bool:
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return abs(old - new) > _NOISE * scale if scale else old != new
    return bool(old != new)


def _stability(old: Mapping[str, Any], new: Mapping[str, Any]) -> Optional[float]:
    """Return the population stability index of values that were counted one by one, or of quantiles."""
    shares = []
    for each in (old, new):
        counted = {str(value): count for value, count in each.get("frequent", ())}
        present = each["count"] - each["nulls"]
        if not counted or sum(counted.values()) != present:  # there are more than were kept
            return None
        shares.append({value: count / present for value, count in counted.items()})
    total = 0.0
    for value in {*shares[0], *shares[1]}:
        before, after = shares[0].get(value, 1e-4), shares[1].get(value, 1e-4)
        total += (after - before) * math.log(after / before)
    return total


def _one_sided(name: str, old: Optional[SplitRecord], new: Optional[SplitRecord]) -> SplitDiff:
    rows = [None if each is None else each.rows for each in (old, new)]
    return SplitDiff(name, rows[0], rows[1], is_same=False)
