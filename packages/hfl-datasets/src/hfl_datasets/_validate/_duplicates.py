"""Rows that occur twice: in one split, or in two."""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, List, Optional, Tuple

from hfl_datasets._sources._model import Place
from hfl_datasets._validate._hash_store import HashStore, duplicates, overlap
from hfl_datasets._validate._report import Collector

__all__ = ["RowHashes", "find_duplicates", "find_overlaps"]

# Tables whose rows have few possible values overlap by chance, so that a few common rows are no leak.
_LEAK = 0.01


class RowHashes:
    """The hashes of a split's rows, and which file each row is from."""

    def __init__(self) -> None:
        self.exact = HashStore()
        self.alike = HashStore()
        self._starts: List[int] = []
        self._files: List[Tuple[str, int]] = []

    def start(self, file: str, first_row: int) -> None:
        """Note that the next rows are of a file."""
        if not self._files or self._files[-1][0] != file:
            self._starts.append(len(self.exact))
            self._files.append((file, first_row))

    def place(self, row: int) -> Place:
        """Say where a row of the split is."""
        at = bisect_right(self._starts, row) - 1
        name, first = self._files[at]
        return Place(name, "row", first + row - self._starts[at] + 1)

    def close(self) -> None:
        """Remove temporary files."""
        self.exact.close()
        self.alike.close()


def find_duplicates(split: str, hashes: RowHashes, found: Collector) -> None:
    """Find rows of a split that are equal."""
    if not found.is_on("duplicate-rows") and not found.is_on("near-duplicate-rows"):
        return
    count, pair = duplicates(hashes.exact)
    if pair is not None:
        found.add(
            "duplicate-rows",
            f"{_rows(count)} equal to an earlier one; the first repeats row {_number(hashes, pair[0])}.",
            "Drop them, unless they were drawn twice on purpose.",
            split=split,
            place=hashes.place(pair[1]),
            count=count,
        )
    more, near = duplicates(hashes.alike) if found.is_on("near-duplicate-rows") else (0, None)
    if near is not None and more > count:
        found.add(
            "near-duplicate-rows",
            f"{_rows(more - count)} equal to another but for case, white space and punctuation.",
            "Look whether they are wanted.",
            split=split,
            count=more - count,
        )


def find_overlaps(splits: Dict[str, RowHashes], found: Collector) -> None:
    """Find rows that two splits have in common."""
    names = list(splits)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            _find_overlap((one, splits[one]), (other, splits[other]), found)


def _find_overlap(
    one: Tuple[str, RowHashes], other: Tuple[str, RowHashes], found: Collector
) -> None:
    (name, left), (twin, right) = one, other
    smaller = min(len(left.exact), len(right.exact))
    if not smaller:
        return
    count, pair = overlap(left.exact, right.exact)
    if pair is not None:
        found.add(
            "split-overlap",
            f"{count:,} of the {len(right.exact):,} rows of split {twin!r} are in split {name!r}, too: what is "
            f"measured on them says little. The first is {left.place(pair[0])}.",
            "Drop them from one of the two, or split by group: create_splits(…, group=…).",
            split=twin,
            place=right.place(pair[1]),
            count=count,
            severity=None if count > _LEAK * smaller else "warning",
        )
    more, near = (
        overlap(left.alike, right.alike) if found.is_on("near-split-overlap") else (0, None)
    )
    if near is not None and more > count:
        found.add(
            "near-split-overlap",
            f"{more - count:,} more rows of split {twin!r} are in split {name!r} but for case, white space and "
            "punctuation.",
            "Drop them from one of the two.",
            split=twin,
            count=more - count,
        )


def _number(hashes: RowHashes, row: int) -> Optional[int]:
    return hashes.place(row).number


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
