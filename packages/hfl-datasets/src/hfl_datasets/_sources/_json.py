"""JSON lines, and JSON files that hold one array of objects or one object of columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa
from pyarrow import json as arrow_json

from hfl_datasets._sources._blocks import BLOCK, Block, UnendingRecordError, blocks, in_order
from hfl_datasets._sources._bytes import DAMAGED, SourcePath
from hfl_datasets._sources._json_rows import as_text, salvage
from hfl_datasets._sources._json_values import JsonSyntaxError, array_values
from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._problems import damage, tell
from hfl_datasets._sources._types import merge_schemas
from hfl_datasets._sources._utf8 import mended

__all__ = ["JsonFile"]


@dataclass(frozen=True)
class _Records:
    """A block of JSON lines, with the line of each where that is not simply counted."""

    block: Block
    lines: Optional[Tuple[int, ...]] = None


class JsonFile:
    """A JSON or JSON lines file.

    Args:
        path: The file.
        encoding: What it is written in; UTF-8, or what a byte order mark says, if None.
        is_lines: Whether every line is an object of its own; found out if None.
    """

    def __init__(
        self,
        path: SourcePath,
        *,
        encoding: Optional[str] = None,
        is_lines: Optional[bool] = None,
    ) -> None:
        self.path = path
        self.name = path.name
        self.format = "jsonl" if is_lines else "json"
        self.encoding = encoding
        self._is_lines = is_lines
        self._schema: Optional[pa.Schema] = None

    def size(self) -> Optional[int]:
        """Return its bytes on disk."""
        return self.path.size()

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the columns and types that hold everything in it; reads it whole the first time."""
        if self._schema is None:
            for _ in self.read(None, report):
                pass
        return self._schema if self._schema is not None else pa.schema([])

    def read(
        self, schema: Optional[pa.Schema] = None, report: Optional[Report] = None
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        try:
            with self.path.open_text(self.encoding) as stream:
                yield from self._read(self._records(stream, report), schema, report)
        except JsonSyntaxError as error:
            place = Place(self.name, "line", error.line)
            hint = "The file is cut short or was edited by hand; write it again."
            tell(
                Problem("unreadable", place, f"It is no JSON: {error.reason}.", hint), report, error
            )
        except UnendingRecordError as error:
            place = Place(self.name, "line", error.line)
            hint = "Write one object on each line."
            tell(Problem("too-long-row", place, "The line does not end.", hint), report)
        except FileNotFoundError:
            raise
        except (UnicodeError, *DAMAGED) as error:
            tell(damage(self.name, error), report, error)

    def _records(self, stream: IO[bytes], report: Optional[Report]) -> Iterator[_Records]:
        if self._is_lines or (self._is_lines is None and self._looks_like_lines()):
            for block in blocks(stream, quoted=False):
                yield _Records(block)
        elif self._first_mark() == "[":
            yield from _array_records(stream, self.name, report)
        else:
            yield from self._object_records(stream)

    def _read(
        self, records: Iterator[_Records], schema: Optional[pa.Schema], report: Optional[Report]
    ) -> Iterator[Located]:
        known: Dict[str, pa.DataType] = (
            {} if schema is None else {field.name: field.type for field in schema}
        )
        seen: Optional[pa.Schema] = None
        row = 0

        def parse(item: _Records) -> Tuple[_Records, Optional[pa.RecordBatch], List[Problem]]:
            return (item, *self._parse(item, known))

        for item, batch, problems in in_order(parse, records):
            for problem in problems:
                tell(problem, report)
            if batch is None:
                continue
            if schema is None:
                merged, _ = merge_schemas([batch.schema] if seen is None else [seen, batch.schema])
                seen = seen if merged is None else merged
                known.update(_settled(seen))
            yield Located(batch, self, row, self._locator(item, row, batch.num_rows))
            row += batch.num_rows
        if schema is None:
            self._schema = seen

    def _parse(
        self, item: _Records, known: Mapping[str, pa.DataType]
    ) -> Tuple[Optional[pa.RecordBatch], List[Problem]]:
        data, problem = mended(item.block, self.name)
        problems = [] if problem is None else [problem]
        if not data.strip():
            return None, problems
        table = _attempt(data, known) if known else None
        if table is None:
            table = _attempt(data, {})
            texts = {} if table is None else _texts(table.schema)
            if texts:  # what looks like a date is text in JSON, and comes back as it was written
                table = _attempt(data, texts)
        if table is not None:
            return _one_batch(table), problems
        rows = data.decode("utf-8").split("\n")
        batch, found = salvage(rows, self._places(item, len(rows)), known)
        return batch, [*problems, *found]

    def _places(self, item: _Records, count: int) -> Sequence[Place]:
        lines = item.lines or range(item.block.line, item.block.line + count)
        return [Place(self.name, "line", line) for line in lines]

    def _locator(self, item: _Records, first_row: int, rows: int) -> Any:
        def locate(row: int) -> Place:
            if item.lines is not None and row < len(item.lines):
                return Place(self.name, "line", item.lines[row])
            if item.lines is None and item.block.data.rstrip(b"\n").count(b"\n") + 1 == rows:
                return Place(self.name, "line", item.block.line + row)
            return Place(self.name, "row", first_row + row + 1)

        return locate

    def _first_mark(self) -> str:
        with self.path.open_text(self.encoding) as stream:
            return stream.read(4096).decode("utf-8", "replace").lstrip()[:1]

    def _looks_like_lines(self) -> bool:
        """Say whether the first line of a file called .json is an object of its own."""
        with self.path.open_text(self.encoding) as stream:
            first = next(iter(blocks(stream, quoted=False, size=256 * 1024)), None)
        if first is None:
            return True
        line, _, rest = first.data.lstrip().partition(b"\n")
        try:
            return isinstance(json.loads(line), dict) and bool(rest.strip())
        except ValueError:
            return False

    def _object_records(self, stream: IO[bytes]) -> Iterator[_Records]:
        """Read one object: of columns, where its values are lists of one length; else one row."""
        text = b"".join(iter(lambda: stream.read(BLOCK), b"")).decode("utf-8", "replace")
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise JsonSyntaxError(error.msg, error.lineno) from error
        rows = [value]
        if isinstance(value, dict) and _are_columns(list(value.values())):
            rows = [dict(zip(value, cells)) for cells in zip(*value.values())]
        for start in range(0, len(rows), 1000):
            part = rows[start : start + 1000]
            yield _Records(Block(as_text(part), 1), (1,) * len(part))


def _are_columns(values: List[Any]) -> bool:
    return all(isinstance(item, list) for item in values) and len({len(v) for v in values}) == 1


def _array_records(stream: IO[bytes], name: str, report: Optional[Report]) -> Iterator[_Records]:
    rows: List[Any] = []
    lines: List[int] = []
    for line, value in array_values(stream):
        if not isinstance(value, dict):
            problem = Problem(
                "mixed-types",
                Place(name, "line", line),
                f"The array holds a {_NAMES.get(type(value), type(value).__name__)} here, where every entry has "
                "to be an object.",
                "Write every row as an object with the columns' names as keys.",
                None,
                repr(value)[:80],
            )
            tell(problem, report)
            continue
        rows.append(value)
        lines.append(line)
        if len(rows) == 4096:
            yield _Records(Block(as_text(rows), lines[0]), tuple(lines))
            rows, lines = [], []
    if rows:
        yield _Records(Block(as_text(rows), lines[0]), tuple(lines))


_NAMES: Dict[type, str] = {list: "list", str: "string", int: "number", float: "number"}


def _attempt(data: bytes, types: Mapping[str, pa.DataType]) -> Optional[pa.Table]:
    try:
        return arrow_json.read_json(
            pa.BufferReader(data),
            arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            arrow_json.ParseOptions(
                explicit_schema=pa.schema(list(types.items())) if types else None,
                unexpected_field_behavior="infer",
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _one_batch(table: pa.Table) -> Optional[pa.RecordBatch]:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else None


def _settled(schema: Optional[pa.Schema]) -> Dict[str, pa.DataType]:
    """Return the types that nothing is open about: a null anywhere inside may become anything."""
    return {field.name: field.type for field in schema or () if "null" not in str(field.type)}


def _texts(schema: pa.Schema) -> Dict[str, pa.DataType]:
    found = {}
    for field in schema:
        kind = _without_times(field.type)
        if not kind.equals(field.type):
            found[field.name] = kind
    return found


def _without_times(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([(field.name, _without_times(field.type)) for field in fields])
    return kind
