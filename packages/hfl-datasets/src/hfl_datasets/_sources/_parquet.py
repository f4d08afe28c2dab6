"""Parquet files."""

from __future__ import annotations

from typing import Iterator, Optional

import pyarrow as pa

from hfl_datasets._sources._bytes import SourcePath
from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._spool import local_file

__all__ = ["ParquetFile"]

# Rows at a time: enough for Arrow's kernels to be fast; wide rows get fewer, see `_rows`.
_ROWS = 65_536
_BATCH_BYTES = 16 * 1024 * 1024


class ParquetFile:
    """A Parquet file, read row group by row group.

    Args:
        path: The file.
    """

    format = "parquet"

    def __init__(self, path: SourcePath) -> None:
        self.path = path
        self.name = path.name

    def size(self) -> Optional[int]:
        """Return its bytes on disk."""
        return self.path.size()

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the columns and types of its footer."""
        from pyarrow import parquet

        with local_file(self.path) as path:
            try:
                return parquet.read_schema(path)
            except (pa.ArrowException, OSError) as error:
                if report is None:
                    raise self._damage(error, None).error() from error
                report(self._damage(error, None))
                return pa.schema([])

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # it has its own
        report: Optional[Report] = None,
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        from pyarrow import parquet

        with local_file(self.path) as path:
            group: Optional[int] = None
            try:
                with parquet.ParquetFile(path) as opened:
                    row = 0
                    for group in range(opened.num_row_groups):
                        batches = opened.iter_batches(
                            batch_size=_rows(opened.metadata.row_group(group)), row_groups=[group]
                        )
                        for batch in batches:
                            yield Located(batch, self, row, self._locator(group))
                            row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                problem = self._damage(error, group)
                if report is None:
                    raise problem.error() from error
                report(problem)

    def _locator(self, group: int):  # type: ignore[no-untyped-def]  # a closure of one line
        return lambda _: Place(self.name, "row group", group)

    def _damage(self, error: Exception, group: Optional[int]) -> Problem:
        place = Place(self.name) if group is None else Place(self.name, "row group", group)
        reason = " ".join(str(error).split()).rstrip(".")
        return Problem(
            "unreadable",
            place,
            f"It cannot be read as Parquet: {reason}.",
            "The file is cut short or damaged; write or fetch it again.",
        )


def _rows(group: pa.parquet.RowGroupMetaData) -> int:
    each = max(1, group.total_byte_size // max(1, group.num_rows))
    return int(max(1, min(_ROWS, _BATCH_BYTES // each)))
