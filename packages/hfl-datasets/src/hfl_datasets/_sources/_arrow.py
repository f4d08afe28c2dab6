"""Arrow IPC files and streams; Feather is the same format."""

from __future__ import annotations

from typing import Any, Iterator, Optional

import pyarrow as pa

from hfl_datasets._sources._bytes import SourcePath
from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._problems import tell
from hfl_datasets._sources._spool import local_file

__all__ = ["ArrowFile"]

_FILE_MAGIC, _OLD_FEATHER = b"ARROW1", b"FEA1"
_BATCH_BYTES = 16 * 1024 * 1024


class ArrowFile:
    """An Arrow file or stream, read record batch by record batch.

    Args:
        path: The file.
    """

    format = "arrow"

    def __init__(self, path: SourcePath) -> None:
        self.path = path
        self.name = path.name

    def size(self) -> Optional[int]:
        """Return its bytes on disk."""
        return self.path.size()

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the schema that it begins with."""
        with local_file(self.path) as path:
            try:
                with pa.memory_map(path) as opened:
                    return _reader(opened).schema
            except (pa.ArrowException, OSError, EOFError) as error:
                tell(self._damage(error, None), report, error)
                return pa.schema([])

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # the interface's
        report: Optional[Report] = None,
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`. The number in a message is that of the record batch."""
        row, number = 0, 0
        with local_file(self.path) as path:
            try:
                with pa.memory_map(path) as opened:
                    reader = _reader(opened)
                    is_file = hasattr(reader, "get_batch")
                    batches = (
                        (reader.get_batch(n) for n in range(reader.num_record_batches))
                        if is_file
                        else iter(reader)
                    )
                    for number, batch in enumerate(batches):
                        for piece in _pieces(batch):
                            yield Located(piece, self, row, self._locator(number))
                            row += piece.num_rows
            except (pa.ArrowException, OSError, EOFError) as error:
                tell(self._damage(error, number if row else None), report, error)

    def _locator(self, number: int) -> Any:
        return lambda _: Place(self.name, "record batch", number)

    def _damage(self, error: BaseException, number: Optional[int]) -> Problem:
        place = Place(self.name) if number is None else Place(self.name, "record batch", number)
        reason = " ".join(str(error).split()).rstrip(".")
        return Problem(
            "unreadable",
            place,
            f"It cannot be read as Arrow: {reason}.",
            "The file is cut short or damaged; write or fetch it again.",
        )


def _reader(opened: Any) -> Any:
    start = opened.read(6)
    opened.seek(0)
    if start.startswith(_OLD_FEATHER):
        raise pa.ArrowInvalid("it is Feather version 1; write it as version 2")
    return pa.ipc.open_file(opened) if start == _FILE_MAGIC else pa.ipc.open_stream(opened)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch that is large; a writer may have put the whole file into one."""
    rows = max(1, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
