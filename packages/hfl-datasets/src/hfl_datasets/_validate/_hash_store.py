"""Hashes of as many rows as there are, in bounded memory."""

from __future__ import annotations

import tempfile
from typing import IO, Iterator, List, Optional, Tuple

import numpy as np

from hfl_datasets._validate._fingerprints import Hashes

__all__ = ["HashStore", "Overlap", "duplicates", "overlap"]

# Rows that are sorted at a time; an array of them and its order take 16 MiB.
_PART = 1_000_000
_BYTES = 8

Overlap = Tuple[int, Optional[Tuple[int, int]]]


class HashStore:
    """The hash of each row, in order; in a temporary file when there are many.

    Args:
        limit: How many are kept in memory.
    """

    def __init__(self, limit: int = _PART) -> None:
        self._limit = limit
        self._chunks: List[Hashes] = []
        self._in_memory = 0
        self._file: Optional[IO[bytes]] = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hashes: Hashes) -> None:
        """Add the hashes of the next rows."""
        self._chunks.append(hashes)
        self._in_memory += len(hashes)
        self._count += len(hashes)
        if self._in_memory > self._limit:
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115  # closed elsewhere
                    prefix="hfl-rows-"
                )  # close() closes it  # closed by close()
            for chunk in self._chunks:
                self._file.write(chunk.tobytes())
            self._chunks, self._in_memory = [], 0

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            self._file.close()

    def part(self, number: int, of: int) -> Tuple[Hashes, Hashes]:
        """Return the hashes of one part of all that there can be, and the rows that they are of.

        Args:
            number: Which part, from 0.
            of: How many parts there are, a power of two.
        """
        if of == 1 and self._file is None:
            everything = np.concatenate([*self._chunks, np.zeros(0, dtype=np.uint64)])
            return everything, np.arange(len(everything), dtype=np.int64)
        hashes, rows, start = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
        shift = np.uint64(64 - (of.bit_length() - 1))
        for chunk in self._all():
            here = (
                np.flatnonzero((chunk >> shift) == np.uint64(number))
                if of > 1
                else np.arange(len(chunk))
            )
            hashes.append(chunk[here])
            rows.append(here + start)
            start += len(chunk)
        return np.concatenate(hashes), np.concatenate(rows)

    def _all(self) -> Iterator[Hashes]:
        if self._file is not None:
            self._file.seek(0)
            while True:
                data = self._file.read(_PART * _BYTES)
                if not data:
                    break
                yield np.frombuffer(data, dtype=np.uint64)
        yield from self._chunks


def duplicates(store: HashStore) -> Overlap:
    """Find rows that occurred before.

    Args:
        store: The hashes of a split.

    Returns:
        How many rows are equal to an earlier one, and the first such pair (the earlier row, the later).
    """
    count, first = 0, None
    parts = _parts(len(store))
    for number in range(parts):
        hashes, rows = store.part(number, parts)
        ordered = np.sort(
            hashes
        )  # several times as fast as argsort, and mostly there is nothing to find
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        count += len(again)
        if len(again):
            here = _is_one_of(hashes, again)
            pair = _first_pair(rows[here], hashes[here])
            first = pair if first is None or pair[1] < first[1] else first
    return count, first


def overlap(one: HashStore, other: HashStore) -> Overlap:
    """Find rows of one split that another has, too.

    Args:
        one: The hashes of a split.
        other: Those of another.

    Returns:
        How many rows of the other are in the first, and the first such pair (row of one, row of other).
    """
    count, first = 0, None
    parts = _parts(max(len(one), len(other)))
    for number in range(parts):
        left, left_rows = one.part(number, parts)
        right, right_rows = other.part(number, parts)
        if not len(left):
            continue
        common = np.sort(right)
        common = common[_is_one_of(common, np.sort(left))]
        count += len(common)
        if len(common):
            row = int(np.flatnonzero(_is_one_of(right, common))[0])
            twin = int(np.flatnonzero(left == right[row])[0])
            pair = (int(left_rows[twin]), int(right_rows[row]))
            first = pair if first is None or pair[1] < first[1] else first
    return count, first


def _is_one_of(hashes: Hashes, ordered: Hashes) -> Hashes:
    """Say which hashes are among others, which are in order."""
    at: Hashes = np.searchsorted(ordered, hashes)
    at[at == len(ordered)] = 0
    found: Hashes = ordered[at] == hashes
    return found


def _first_pair(rows: Hashes, hashes: Hashes) -> Tuple[int, int]:
    """Return the first row whose hash occurred before, after the row where that was."""
    order = np.argsort(hashes, kind="stable")
    ordered, rows = hashes[order], rows[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    at = int(again[np.argmin(rows[again + 1])])
    return int(rows[at]), int(rows[at + 1])


def _parts(count: int) -> int:
    parts = 1
    while count > parts * _PART:
        parts *= 2
    return parts
