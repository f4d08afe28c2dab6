"""Whether splits keep apart what they are meant to keep apart."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.compute as pc

from hfl_core import ConfigError
from hfl_datasets._sources._model import Source, SplitSource
from hfl_datasets._sources._open import open_source
from hfl_datasets._validate._names import check_splits as check_names
from hfl_datasets._validate._report import Collector, ValidationReport

__all__ = ["check_splits"]

# A share that is off by more than this, and by more than half of what it should be, is not chance any more.
_OFF = 0.05


def check_splits(
    source: Any,
    *,
    stratify: Optional[str] = None,
    group: Optional[str] = None,
    time: Optional[str] = None,
    order: Sequence[str] = ("train", "validation", "test"),
    **options: Any,
) -> ValidationReport:
    """Look whether splits were divided as they should have been. Rows that occur twice are `validate`'s.

    Args:
        source: Anything that `open_source` takes.
        stratify: A column whose values all splits should have in like proportions.
        group: A column none of whose values should be in two splits.
        time: A column by which earlier splits should end before later ones begin.
        order: The splits from the earliest to the latest.
        options: How files are read; see `open_source`.

    Returns:
        What was found.

    Raises:
        ConfigError: There is no such column.

    Example:
        >>> report = check_splits({"train": [{"who": "ann"}], "test": [{"who": "ann"}]}, group="who")
        >>> report.ok, report.findings[0].rule
        (False, 'group-overlap')
    """
    opened = open_source(source, **options)
    found = Collector()
    check_names(opened.splits, found)
    if group is not None:
        _check_groups({split.name: _distinct(split, group) for split in opened}, group, found)
    if stratify is not None:
        _check_balance({split.name: _shares(split, stratify) for split in opened}, stratify, found)
    if time is not None:
        _check_time(opened, time, order, found)
    rows = {split.name: sum(batch.num_rows for batch in split.batches()) for split in opened}
    for name, count in rows.items():
        if not count:
            found.add("no-rows", "The split has no row.", "Leave it out.", split=name)
    return ValidationReport(opened.name, found.findings(), rows)


def _values(split: SplitSource, column: str) -> Iterator[pa.Array]:
    names = split.schema.names
    if column not in names:
        raise ConfigError(
            f"There is no column {column!r} in split {split.name!r}.",
            hint=f"The columns are: {', '.join(names[:20])}.",
        )
    for batch in split.batches():
        yield batch.column(batch.schema.get_field_index(column))


def _distinct(split: SplitSource, column: str) -> Dict[Any, None]:
    found: Dict[Any, None] = {}
    for values in _values(split, column):
        found.update(dict.fromkeys(pc.unique(values).to_pylist()))
    return found


def _check_groups(values: Dict[str, Dict[Any, None]], column: str, found: Collector) -> None:
    names = list(values)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            shared = [
                value for value in values[other] if value is not None and value in values[one]
            ]
            if shared:
                found.add(
                    "group-overlap",
                    f"{len(shared):,} values of {column!r} are in split {one!r}, too.",
                    f"Divide by group: create_splits(…, group={column!r}).",
                    split=other,
                    column=column,
                    count=len(shared),
                    example=", ".join(str(value) for value in shared[:3]),
                )


def _shares(split: SplitSource, column: str) -> Dict[Any, float]:
    counts: Dict[Any, int] = {}
    for values in _values(split, column):
        for entry in pc.value_counts(values).to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()}


def _check_balance(shares: Dict[str, Dict[Any, float]], column: str, found: Collector) -> None:
    first = "train" if "train" in shares else next(iter(shares), None)
    if first is None:
        return
    for name, here in shares.items():
        for value in dict.fromkeys([*shares[first], *here]) if here and name != first else ():
            one, other = shares[first].get(value, 0.0), here.get(value, 0.0)
            if abs(one - other) > max(_OFF, 0.5 * min(one, other)):
                found.add(
                    "label-balance",
                    f"{value!r} is {one:.0%} of split {first!r} and {other:.0%} of split {name!r}.",
                    f"Divide stratified: create_splits(…, stratify={column!r}).",
                    split=name,
                    column=column,
                    example=str(value),
                )


def _check_time(source: Source, column: str, order: Sequence[str], found: Collector) -> None:
    ordered = [source.splits[name] for name in order if name in source.splits]
    spans = [(split.name, *_span(split, column)) for split in ordered]
    for (one, _, latest), (other, earliest, _) in zip(spans, spans[1:]):
        if latest is not None and earliest is not None and latest >= earliest:
            found.add(
                "time-overlap",
                f"Split {one!r} ends at {latest}, after split {other!r} begins at {earliest}.",
                f"Divide by time: create_splits(…, time={column!r}).",
                split=other,
                column=column,
            )


def _span(split: SplitSource, column: str) -> Tuple[Any, Any]:
    earliest, latest = None, None
    for values in _values(split, column):
        ends = pc.min_max(values).as_py()
        if ends["min"] is None:
            continue
        earliest = ends["min"] if earliest is None else min(earliest, ends["min"])
        latest = ends["max"] if latest is None else max(latest, ends["max"])
    return earliest, latest
