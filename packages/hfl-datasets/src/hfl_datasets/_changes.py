"""Which rows a version adds, takes out and changes, compared with the one before it."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np
import pyarrow as pa

from hfl_core.errors import ValidationError
from hfl_datasets._row_hashes import row_hashes

__all__ = ["RowChanges", "changes_text", "compare_rows"]


@dataclasses.dataclass(frozen=True)
class RowChanges:
    """What becomes of the rows of a split.

    Attributes:
        before: Rows that there were.
        after: Rows that there are.
        added: Rows that are new; None where rows were not compared.
        removed: Rows that are gone.
        changed: Rows whose key is in both and whose values differ; None without a key.
    """

    before: int
    after: int
    added: Optional[int] = None
    removed: Optional[int] = None
    changed: Optional[int] = None

    def __str__(self) -> str:
        if self.added is None or self.removed is None:
            return f"{self.before:,} to {self.after:,} rows"
        parts = [f"+{self.added:,}", f"-{self.removed:,}"]
        if self.changed is not None:
            parts.append(f"~{self.changed:,}")
        return f"{self.after:,} rows, {' '.join(parts)}"


def compare_rows(
    before: Iterable[pa.RecordBatch],
    after: Iterable[pa.RecordBatch],
    *,
    key: Sequence[str] = (),
    same_rows: int = 0,
) -> RowChanges:
    """Compare two versions of a split; the order of rows does not count.

    Args:
        before: The rows of the one.
        after: The rows of the other.
        key: Columns that say which row is which; without them rows are the same or not.
        same_rows: Rows that both have and that are in neither: those of files that did not change.

    Returns:
        The counts.

    Raises:
        ValidationError: A column of the key is not there, or two rows have the same key.

    Example:
        >>> rows = [pa.record_batch({"id": [1, 2], "x": ["a", "b"]})]
        >>> other = [pa.record_batch({"id": [2, 3], "x": ["B", "c"]})]
        >>> str(compare_rows(rows, other, key=["id"]))
        '2 rows, +1 -1 ~1'
    """
    old_keys, old_rows = _hashed(before, key)
    new_keys, new_rows = _hashed(after, key)
    totals = len(old_rows) + same_rows, len(new_rows) + same_rows
    if not key:
        common = _common(old_rows, new_rows)
        return RowChanges(*totals, len(new_rows) - common, len(old_rows) - common)
    _, olds, news = np.intersect1d(old_keys, new_keys, assume_unique=True, return_indices=True)
    changed = int((old_rows[olds] != new_rows[news]).sum())
    return RowChanges(*totals, len(new_keys) - len(news), len(old_keys) - len(olds), changed)


def _hashed(batches: Iterable[pa.RecordBatch], key: Sequence[str]) -> tuple[Any, Any]:
    keys: List[Any] = [np.zeros(0, dtype=np.uint64)]
    rows: List[Any] = [np.zeros(0, dtype=np.uint64)]
    for batch in batches:
        rows.append(row_hashes(batch))
        if key:
            missing = [name for name in key if name not in batch.schema.names]
            if missing:
                raise ValidationError(
                    f"There is no column {missing[0]!r} to tell rows by.",
                    hint=f"Columns: {', '.join(batch.schema.names)}.",
                )
            keys.append(row_hashes(batch, key))
    all_keys = np.concatenate(keys)
    if key and len(np.unique(all_keys)) != len(all_keys):
        raise ValidationError(
            f"Rows have the same {', '.join(key)}, so it does not say which row is which.",
            hint="Name columns that differ in every row, or none.",
        )
    return all_keys, np.concatenate(rows)


def _common(one: Any, other: Any) -> int:
    """Count what two collections have in common, each as often as it is in both."""
    values, counts = np.unique(one, return_counts=True)
    others, other_counts = np.unique(other, return_counts=True)
    _, here, there = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    return int(np.minimum(counts[here], other_counts[there]).sum())


def changes_text(changes: Mapping[str, RowChanges]) -> str:
    """Write what became of all splits in one line."""
    parts: Dict[str, str] = {split: str(found) for split, found in changes.items()}
    return "; ".join(f"{split}: {text}" for split, text in parts.items())
