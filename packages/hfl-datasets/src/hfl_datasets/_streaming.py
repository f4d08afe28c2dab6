"""Rows of a split as they are needed, from a Hub or from files here, with a position to go on from."""

from __future__ import annotations

import copy
import functools
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

import pyarrow as pa

from hfl_core import new_digest
from hfl_core.errors import IncompatibleStateError, ValidationError
from hfl_datasets._parquet_reader import ParquetReader
from hfl_datasets._shuffle_buffer import Address, Buffer, Row, rng_for
from hfl_datasets.errors import SourceNotFoundError

__all__ = ["DatasetStream"]

_FORMAT = 1
# Rows that become Python objects at once: enough to be quick, few enough to be soon.
_ROWS_AT_ONCE = 500


class DatasetStream:
    """The rows of a split, without a copy of it on this machine.

    Iterating begins at the start of the epoch, or where `load_state_dict` said; an epoch that was gone through is
    followed by the next one, in another order where rows are shuffled. Images and other files come as their bytes.

    Args:
        readers: The files.
        identity: What tells these files from others: their digests, or their names and sizes.

    Example:
        >>> stream = DatasetManager("ann/digits").load(split="train", streaming=True)
        >>> rows = iter(stream.select_columns(["label"]))
        >>> next(rows)
        {'label': 0}
    """

    def __init__(self, readers: Sequence[ParquetReader], *, identity: Sequence[str]) -> None:
        self._readers = tuple(readers)
        self._identity = tuple(identity)
        self._columns: Optional[List[str]] = None
        self._buffer_size = 0
        self._seed = 0
        self._part = (0, 1)
        self._epoch = 0
        self._run: Optional[_Run] = None
        self._loaded: Optional[Mapping[str, Any]] = None

    @classmethod
    def from_files(
        cls, paths: Union[str, os.PathLike[str], Sequence[Union[str, os.PathLike[str]]]]
    ) -> DatasetStream:
        """Stream Parquet files of this machine.

        Args:
            paths: A file, a folder with files, or several files, in order.

        Returns:
            The stream.

        Raises:
            SourceNotFoundError: There is no such file.
        """
        given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        files: List[Path] = []
        for path in map(Path, given):
            files += sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        missing = [path for path in files if not path.is_file()]
        if missing or not files:
            raise SourceNotFoundError(
                str(missing[0] if missing else given[0]), "No Parquet file is there."
            )
        readers = [
            ParquetReader(str(path), functools.partial(pa.OSFile, str(path))) for path in files
        ]
        return cls(readers, identity=[f"{path.name}:{path.stat().st_size}" for path in files])

    @property
    def column_names(self) -> List[str]:
        """The columns that rows have."""
        return self._columns or list(self._readers[0].schema.names)

    @property
    def epoch(self) -> int:
        """Which epoch it is in; the first is 0."""
        return self._epoch

    def select_columns(self, columns: Sequence[str]) -> DatasetStream:
        """Return a stream of some columns; the others are not fetched.

        Raises:
            ValidationError: There is no such column.
        """
        known = self._readers[0].schema.names
        missing = [name for name in columns if name not in known]
        if missing or not columns:
            raise ValidationError(
                f"There is no column {missing[0]!r}." if missing else "No column was named.",
                hint=f"Columns: {', '.join(known)}.",
            )
        return self._with(_columns=list(columns))

    def shuffle(self, buffer_size: int = 1000, *, seed: int = 0) -> DatasetStream:
        """Return a stream in random order: of the files, and of rows within a buffer.

        Args:
            buffer_size: How many rows the buffer holds.
            seed: Where the random numbers start.
        """
        if buffer_size < 1:
            raise ValidationError(f"A buffer cannot hold {buffer_size} rows.")
        return self._with(_buffer_size=buffer_size, _seed=seed)

    def shard(self, index: int, of: int) -> DatasetStream:
        """Return one of several streams that together have all rows, for as many processes.

        Args:
            index: Which one, from 0.
            of: How many there are. Rows are dealt out by row groups, so there should be more of them.
        """
        if not 0 <= index < of:
            raise ValidationError(f"There is no part {index} of {of}.", hint="They count from 0.")
        return self._with(_part=(index, of))

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch with the next iteration."""
        self._epoch, self._run, self._loaded = epoch, None, None

    def __iter__(self) -> Iterator[Row]:
        run = _Run(self._readers, self._columns, self._part, self._order(), self._buffer())
        if self._loaded is not None:
            run.load_state_dict(self._loaded)
            self._loaded = None
        self._run = run
        yield from run.rows()
        if self._run is run:
            self.set_epoch(self._epoch + 1)

    def state_dict(self) -> Dict[str, Any]:
        """Return the position: what `load_state_dict` needs to go on with the next row."""
        state: Dict[str, Any] = {
            "format": _FORMAT,
            "identity": self._fingerprint(),
            "epoch": self._epoch,
        }
        if self._run is not None:
            state.update(self._run.state_dict())
        elif self._loaded is not None:
            state.update(self._loaded)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a position with the next iteration.

        Raises:
            IncompatibleStateError: It is one of another stream: of other data, seed, buffer or part.
        """
        if state.get("format") != _FORMAT or state.get("identity") != self._fingerprint():
            raise IncompatibleStateError(
                "This position is one in another stream.",
                hint="Open the same revision and split, with the same shuffle, columns and shard.",
            )
        self.set_epoch(int(state["epoch"]))
        self._loaded = state if "next" in state else None

    # -- inside -------------------------------------------------------------------------------

    def _with(self, **changes: Any) -> DatasetStream:
        new = copy.copy(self)
        new._run = new._loaded = None
        for name, value in changes.items():
            setattr(new, name, value)
        return new

    def _buffer(self) -> Optional[Buffer]:
        if not self._buffer_size:
            return None
        return Buffer(self._buffer_size, rng_for(self._seed, self._epoch))

    def _order(self) -> List[int]:
        files = list(range(len(self._readers)))
        if not self._buffer_size:
            return files
        # Numbers of its own, so that the buffer's do not depend on how many files there are.
        return [int(file) for file in rng_for(self._seed + 1, self._epoch).permutation(files)]

    def _fingerprint(self) -> str:
        digest = new_digest()
        parts = [*self._identity, self._columns, self._buffer_size, self._seed, self._part]
        digest.update(repr(parts).encode())
        return digest.hexdigest()


class _Run:
    """One way through the rows."""

    def __init__(
        self,
        readers: Sequence[ParquetReader],
        columns: Optional[List[str]],
        part: tuple[int, int],
        order: List[int],
        buffer: Optional[Buffer],
    ) -> None:
        self._readers = readers
        self._columns = columns
        self._part = part
        self._order = order
        self._buffer = buffer
        # The next row: place in the order of files, row group, row.
        self._next = (0, 0, 0)

    def rows(self) -> Iterator[Row]:
        if self._buffer is not None:
            yield from self._buffer.through(self._in_order())
        else:
            for _, row in self._in_order():
                yield row

    def _in_order(self) -> Iterator[tuple[Address, Row]]:
        first_place, first_group, first_row = self._next
        for place in range(first_place, len(self._order)):
            file = self._order[place]
            reader = self._readers[file]
            groups = len(reader.group_rows)
            for group in range(first_group if place == first_place else 0, groups):
                if (file + group) % self._part[1] != self._part[0]:
                    continue
                is_first = (place, group) == (first_place, first_group)
                start = first_row if is_first else 0
                table = reader.read(group, self._columns)
                while start < table.num_rows:
                    for offset, row in enumerate(table.slice(start, _ROWS_AT_ONCE).to_pylist()):
                        at = start + offset
                        self._next = (place, group, at + 1)
                        yield Address(file, group, at), row
                    start += _ROWS_AT_ONCE
            reader.close()
        self._next = (len(self._order), 0, 0)

    def state_dict(self) -> Dict[str, Any]:
        buffer = None if self._buffer is None else self._buffer.state_dict()
        return {"next": list(self._next), "buffer": buffer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        place, group, row = state["next"]
        self._next = (place, group, row)
        if self._buffer is not None:
            addresses = [Address(*address) for address in state["buffer"]["addresses"]]
            self._buffer.load_state_dict(state["buffer"], self._fetched(addresses))

    def _fetched(self, addresses: Sequence[Address]) -> List[Row]:
        """Read rows by their addresses, each row group once."""
        wanted: Dict[tuple[int, int], List[int]] = {}
        for index, address in enumerate(addresses):
            wanted.setdefault((address.file, address.group), []).append(index)
        found: Dict[int, Row] = {}
        for (file, group), indices in sorted(wanted.items()):
            table = self._readers[file].read(group, self._columns)
            rows = table.take([addresses[index].row for index in indices]).to_pylist()
            found.update(zip(indices, rows))
        return [found[index] for index in range(len(addresses))]
