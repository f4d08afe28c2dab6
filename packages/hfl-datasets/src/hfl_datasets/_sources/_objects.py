"""Objects in memory: Arrow tables, frames, objects of the `datasets` library, generators."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional

import pyarrow as pa

from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._types import fit, merge_schemas

__all__ = ["DatasetFile", "GeneratorFile", "TableFile", "frame_to_table"]

_ROWS = 16_384
_BATCH_BYTES = 16 * 1024 * 1024


class TableFile:
    """An Arrow table, or a function that makes batches.

    Args:
        name: How messages name it.
        table: The table.
    """

    format = "table"

    def __init__(self, name: str, table: pa.Table) -> None:
        self.name = name
        self.table = table

    def size(self) -> Optional[int]:
        """Return its bytes in memory."""
        return int(self.table.nbytes)

    def schema(
        self,
        report: Optional[Report] = None,  # noqa: ARG002  # the interface's
    ) -> pa.Schema:
        """Return the table's schema."""
        return self.table.schema

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # the interface's
        report: Optional[Report] = None,  # noqa: ARG002  # the interface's
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        row = 0
        for batch in self.table.to_batches(max_chunksize=rows_for(self.table)):
            yield Located(batch, self, row)
            row += batch.num_rows


class DatasetFile:
    """A `datasets.Dataset` or `IterableDataset`.

    Args:
        name: How messages name it.
        dataset: The object.
    """

    format = "datasets"

    def __init__(self, name: str, dataset: Any) -> None:
        self.name = name
        self.dataset = dataset
        self._schema: Optional[pa.Schema] = None

    def size(self) -> Optional[int]:
        """Return None: what it is made of may be files, memory or the network."""
        return None

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the schema of its features; an iterable without any is read whole the first time."""
        features = getattr(self.dataset, "features", None)
        if features is not None:
            return features.arrow_schema
        if self._schema is None:
            for _ in self.read(None, report):
                pass
        return self._schema if self._schema is not None else pa.schema([])

    def read(
        self, schema: Optional[pa.Schema] = None, report: Optional[Report] = None
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        del report
        row, seen = 0, None
        rows = 1000 if not hasattr(self.dataset, "data") else rows_for(self.dataset.data)
        for table in self.dataset.with_format("arrow").iter(batch_size=rows):
            found = table if isinstance(table, pa.Table) else pa.table(table)
            if schema is None:
                seen, _ = merge_schemas([found.schema] if seen is None else [seen, found.schema])
            for batch in found.combine_chunks().to_batches():
                yield Located(batch, self, row)
                row += batch.num_rows
        if schema is None:
            self._schema = seen


class GeneratorFile:
    """Rows that a function or an iterator yields, as dictionaries, batches or tables.

    What can be asked once only is kept in a temporary file, because a source is read more than once.

    Args:
        name: How messages name it.
        rows: A function without arguments that returns an iterable, or an iterable.
    """

    format = "generator"

    def __init__(self, name: str, rows: Any) -> None:
        self.name = name
        self._rows = rows
        self._spool: Optional[str] = None
        self._schema: Optional[pa.Schema] = None

    def size(self) -> Optional[int]:
        """Return None: it is not known before all rows were made."""
        return None

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the columns and types that hold all rows; makes them all the first time."""
        if self._schema is None:
            self._keep(report)
        return self._schema if self._schema is not None else pa.schema([])

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # the interface's
        report: Optional[Report] = None,
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        if self._spool is None:
            self._keep(report)
        assert self._spool is not None  # noqa: S101  # made above  # nosec B101
        row = 0
        for path in sorted(Path(self._spool).iterdir()):
            with pa.OSFile(str(path)) as opened, pa.ipc.open_stream(opened) as stream:
                for batch in stream:
                    yield Located(batch, self, row)
                    row += batch.num_rows

    def _keep(self, report: Optional[Report]) -> None:
        """Write all rows to a temporary file; a new one for each change of their types."""
        folder = tempfile.mkdtemp(prefix="hfl-rows-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        seen: Optional[pa.Schema] = None
        with contextlib.ExitStack() as stack:
            writer: Any = None
            for number, batch in enumerate(self._batches(report)):
                merged, _ = merge_schemas([batch.schema] if seen is None else [seen, batch.schema])
                if merged is not None:
                    seen = merged
                fitting = batch
                with contextlib.suppress(pa.ArrowInvalid):
                    fitting = fit(batch, seen) if seen is not None else batch
                if writer is None or not writer[0].equals(fitting.schema):
                    stack.close()
                    path = Path(folder, f"{number:08d}.arrows")
                    sink = stack.enter_context(pa.OSFile(str(path), "wb"))
                    opened = stack.enter_context(pa.ipc.new_stream(sink, fitting.schema))
                    writer = (fitting.schema, opened)
                writer[1].write_batch(fitting)
        self._schema, self._spool = seen, folder

    def _batches(self, report: Optional[Report]) -> Iterator[pa.RecordBatch]:
        rows = self._rows() if callable(self._rows) else self._rows
        waiting: List[Mapping[str, Any]] = []
        done = 0
        for item in rows:
            if isinstance(item, (pa.RecordBatch, pa.Table)):
                batches = [item] if isinstance(item, pa.RecordBatch) else item.to_batches()
                yield from batches
                done += item.num_rows
                continue
            waiting.append(item)
            if len(waiting) == 1000:
                yield from self._made(waiting, done, report)
                done += len(waiting)
                waiting = []
        if waiting:
            yield from self._made(waiting, done, report)

    def _made(
        self, rows: List[Mapping[str, Any]], done: int, report: Optional[Report]
    ) -> Iterator[pa.RecordBatch]:
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns, kept = [], []
        for name in names:
            try:
                columns.append(pa.array([row.get(name) for row in rows]))
                kept.append(name)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                problem = self._mixed(rows, name, done, error)
                if report is None:
                    raise problem.error() from error
                report(problem)
        yield pa.RecordBatch.from_arrays(columns, names=kept)

    def _mixed(
        self, rows: List[Mapping[str, Any]], name: str, done: int, error: Exception
    ) -> Problem:
        index = next(
            (
                end
                for end in range(len(rows))
                if not _is_array([row.get(name) for row in rows[: end + 1]])
            ),
            0,
        )
        return Problem(
            "mixed-types",
            Place(self.name, "row", done + index + 1),
            f"Column {name!r} holds a {type(rows[index].get(name)).__name__}, unlike the rows before: {error}.",
            "Give every row of a column the same type.",
            name,
        )


def _is_array(values: List[Any]) -> bool:
    try:
        pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def rows_for(table: Any) -> int:
    """Say how many rows of a table make a batch of bounded size."""
    each = max(1, table.nbytes // max(1, table.num_rows))
    return int(max(1, min(_ROWS, _BATCH_BYTES // each)))


def frame_to_table(frame: Any) -> pa.Table:
    """Convert a pandas frame; an index that has a name becomes a column, one without is left out."""
    has_named_index = any(name is not None for name in frame.index.names)
    return pa.Table.from_pandas(frame, preserve_index=has_named_index)
