"""Row groups of a Parquet file, here or on a Hub, read again when the connection breaks."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, Optional, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from hfl_core import RetryPolicy
from hfl_core.errors import IntegrityError, NetworkError
from hfl_datasets._hub import translated

__all__ = ["ParquetReader"]


class ParquetReader:
    """One Parquet file. Nothing is read before it is asked for.

    Args:
        name: Its name, for messages.
        opener: Opens it for reading.
        retry: How often something is tried.
    """

    def __init__(
        self, name: str, opener: Callable[[], Any], retry: Optional[RetryPolicy] = None
    ) -> None:
        self.name = name
        self._opener = opener
        self._retry = retry or RetryPolicy()
        self._file: Any = None
        self._parquet: Optional[pq.ParquetFile] = None

    @property
    def schema(self) -> pa.Schema:
        """Its columns, as Arrow sees them."""
        return self._retry.call(lambda: self._opened().schema_arrow)

    @property
    def group_rows(self) -> List[int]:
        """How many rows each row group holds."""

        def rows() -> List[int]:
            metadata = self._opened().metadata
            return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]

        return self._retry.call(rows)

    def read(self, group: int, columns: Optional[Sequence[str]] = None) -> pa.Table:
        """Read a row group.

        Args:
            group: Which one.
            columns: The columns; all if None.

        Raises:
            IntegrityError: It is damaged.
            NetworkError: It cannot be fetched.
        """
        wanted = None if columns is None else list(columns)
        return self._retry.call(lambda: self._read(group, wanted))

    def batches(self, columns: Optional[Sequence[str]] = None) -> Iterator[pa.RecordBatch]:
        """Yield all rows, a row group at a time, and close the file."""
        try:
            for group in range(len(self.group_rows)):
                yield from self.read(group, columns).to_batches()
        finally:
            self.close()

    def close(self) -> None:
        """Close it; it is opened again when something is read."""
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
        self._file = self._parquet = None

    def _opened(self) -> pq.ParquetFile:
        if self._parquet is None:
            with self._guarded():
                self._file = self._opener()
                # Several columns of a row group lie side by side: they are fetched in one request.
                self._parquet = pq.ParquetFile(self._file, pre_buffer=True)
        return self._parquet

    def _read(self, group: int, columns: Optional[List[str]]) -> pa.Table:
        parquet = self._opened()
        with self._guarded():
            return parquet.read_row_group(group, columns=columns, use_threads=True)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with translated(self.name):
                yield
        except pa.ArrowInvalid as error:
            self.close()
            raise IntegrityError(
                f"{self.name!r} is damaged, or no Parquet file: {error}",
                hint="Download it again, or publish it anew.",
            ) from error
        except NetworkError:
            self.close()
            raise
