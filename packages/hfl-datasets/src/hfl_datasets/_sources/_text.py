"""Plain text: one row for each line, in a column called text."""

from __future__ import annotations

from typing import Iterator, Optional

import pyarrow as pa

from hfl_datasets._sources._blocks import Block, UnendingRecordError, blocks
from hfl_datasets._sources._bytes import DAMAGED, SourcePath
from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._problems import damage, tell
from hfl_datasets._sources._utf8 import mended

__all__ = ["TextFile"]

_SCHEMA = pa.schema([("text", pa.string())])


class TextFile:
    """A file of plain text.

    Args:
        path: The file.
        encoding: What it is written in; UTF-8, or what a byte order mark says, if None.
    """

    format = "text"

    def __init__(self, path: SourcePath, *, encoding: Optional[str] = None) -> None:
        self.path = path
        self.name = path.name
        self.encoding = encoding

    def size(self) -> Optional[int]:
        """Return its bytes on disk."""
        return self.path.size()

    def schema(
        self,
        report: Optional[Report] = None,  # noqa: ARG002  # the interface's
    ) -> pa.Schema:
        """Return the schema of every text."""
        return _SCHEMA

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # the interface's
        report: Optional[Report] = None,
    ) -> Iterator[Located]:
        """Yield its lines; see `SourceFile.read`."""
        row = 0
        try:
            with self.path.open_text(self.encoding) as stream:
                for block in blocks(stream, quoted=False):
                    batch = self._batch(block, report)
                    yield Located(batch, self, row, self._locator(block))
                    row += batch.num_rows
        except UnendingRecordError as error:
            place = Place(self.name, "line", error.line)
            tell(Problem("too-long-row", place, "The line does not end.", "Is it text?"), report)
        except FileNotFoundError:
            raise
        except (UnicodeError, *DAMAGED) as error:
            tell(damage(self.name, error), report, error)

    def _batch(self, block: Block, report: Optional[Report]) -> pa.RecordBatch:
        data, problem = mended(block, self.name)
        if problem is not None:
            tell(problem, report)
        lines = data.decode("utf-8").split("\n")
        if not lines[-1]:
            lines.pop()
        if b"\r" in data:
            lines = [line[:-1] if line.endswith("\r") else line for line in lines]
        return pa.RecordBatch.from_arrays([pa.array(lines, pa.string())], schema=_SCHEMA)

    def _locator(self, block: Block):  # type: ignore[no-untyped-def]  # a closure of one line
        return lambda row: Place(self.name, "line", block.line + row)
