"""CSV and TSV files."""

from __future__ import annotations

import csv as plain_csv
import io
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from hfl_datasets._sources._blocks import Block, UnendingRecordError, blocks, in_order
from hfl_datasets._sources._bytes import DAMAGED, SourcePath
from hfl_datasets._sources._model import Located, Place, Problem, Report
from hfl_datasets._sources._problems import damage, tell
from hfl_datasets._sources._types import merge_schemas
from hfl_datasets._sources._utf8 import mended

__all__ = ["CsvFile"]

# What stands for "no value" in a column of numbers, as in pandas; in text only the empty field does,
# because NA is Namibia and None is a name.
_NULLS = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
_DELIMITERS = ",;\t|"
_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)


@dataclass(frozen=True)
class _Parsed:
    block: Block
    batch: Optional[pa.RecordBatch]
    problems: Tuple[Problem, ...]


class CsvFile:
    """A CSV or TSV file, read in blocks; the first line names the columns.

    Args:
        path: The file.
        delimiter: What separates fields; a comma, or a tab in a TSV file, if None.
        encoding: What the text is written in; UTF-8, or what a byte order mark says, if None.
    """

    def __init__(
        self,
        path: SourcePath,
        *,
        delimiter: Optional[str] = None,
        encoding: Optional[str] = None,
        is_tsv: bool = False,
    ) -> None:
        self.path = path
        self.name = path.name
        self.format = "tsv" if is_tsv else "csv"
        self.delimiter = delimiter or ("\t" if is_tsv else ",")
        self.encoding = encoding
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
                yield from self._read(stream, schema, report)
        except UnendingRecordError as error:
            tell(_unclosed_at(self.name, error.line), report)
        except (UnicodeError, *DAMAGED) as error:
            if isinstance(error, FileNotFoundError):
                raise
            tell(damage(self.name, error), report, error)

    def _read(
        self, stream: Any, schema: Optional[pa.Schema], report: Optional[Report]
    ) -> Iterator[Located]:
        pieces = blocks(stream, quoted=True)
        first = next(pieces, None)
        names, first, problems = self._header(first)
        for problem in problems:
            tell(problem, report)
        known: Dict[str, pa.DataType] = (
            {} if schema is None else {field.name: field.type for field in schema}
        )
        seen = pa.schema([(name, pa.null()) for name in names])
        rows = 0

        def parse(block: Block) -> _Parsed:
            return self._parse(block, names, known, is_fixed=schema is not None)

        def all_blocks() -> Iterator[Block]:
            if first is not None:
                yield first
            yield from pieces

        for parsed in in_order(parse, all_blocks()):
            for problem in parsed.problems:
                tell(problem, report)
            batch = parsed.batch
            if batch is None:
                continue
            if schema is None:
                merged, _ = merge_schemas([seen, batch.schema], to_text=True)
                seen = seen if merged is None else merged
                # A column that was empty so far stays open.
                known.update(
                    {field.name: field.type for field in seen if not pa.types.is_null(field.type)}
                )
            yield Located(batch, self, rows, self._locator(parsed.block, rows, batch.num_rows))
            rows += batch.num_rows
        if schema is None:
            self._schema = seen

    def _header(self, first: Optional[Block]) -> Tuple[List[str], Optional[Block], List[Problem]]:
        if first is None:
            problem = Problem(
                "no-rows",
                Place(self.name),
                "The file is empty.",
                "Write a line with the columns' names.",
            )
            return [], None, [problem]
        text = io.StringIO(first.data.decode("utf-8", "replace"), newline="")
        reader = plain_csv.reader(text, delimiter=self.delimiter)
        names = next((row for row in reader if row), [])
        skipped = reader.line_num
        position = 0
        for _ in range(skipped):
            position = first.data.find(b"\n", position) + 1 or len(first.data)
        rest = first.data[position:]
        return (
            names,
            Block(rest, first.line + skipped, first.is_last) if rest else None,
            self._header_problems(names, first.line + skipped - 1),
        )

    def _header_problems(self, names: List[str], line: int) -> List[Problem]:
        place = Place(self.name, "line", line)
        if len(names) == 1:
            count, other = max((names[0].count(mark), mark) for mark in _DELIMITERS)
            if count and other != self.delimiter:
                return [
                    Problem(
                        "wrong-delimiter",
                        place,
                        f"There is one column, {names[0][:80]!r}: the fields seem to be separated by {other!r}, "
                        f"not by {self.delimiter!r}.",
                        f"Pass delimiter={other!r}.",
                    )
                ]
        doubles = (
            sorted({name for name in names if names.count(name) > 1})
            if (len(set(names)) < len(names))
            else []
        )
        return [
            Problem(
                "duplicate-column",
                place,
                f"Column {name!r} occurs {names.count(name)} times.",
                "Rename the columns so that each name occurs once.",
                name,
            )
            for name in doubles
        ]

    def _parse(
        self, block: Block, names: List[str], known: Mapping[str, pa.DataType], *, is_fixed: bool
    ) -> _Parsed:
        problems: List[Problem] = []
        wrong: List[csv.InvalidRow] = []

        def attempt(data: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
            del wrong[:]

            def skip(row: csv.InvalidRow) -> str:
                wrong.append(row)
                return "skip"

            return csv.read_csv(
                pa.BufferReader(data),
                csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                csv.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=skip,
                ),
                csv.ConvertOptions(
                    column_types=dict(types), null_values=_NULLS, strings_can_be_null=False
                ),
            )

        if not block.data.strip():
            return _Parsed(block, None, ())
        data, problem = mended(block, self.name)
        problems.extend([] if problem is None else [problem])
        table: Optional[pa.Table] = None
        try:
            table = attempt(data, known)
        except pa.ArrowInvalid as error:
            text = str(error)
            if is_fixed and _VALUE.search(text):
                problems.append(self._misfit(block, names, known, text))
            try:
                table = attempt(data, {})
            except pa.ArrowInvalid as second:
                problems.append(
                    Problem(
                        "unreadable",
                        Place(self.name, "line", block.line),
                        f"From this line on the text cannot be read as CSV: {second}.",
                        "Look for a quotation mark that is not closed or a separator that is not doubled.",
                    )
                )
        table = _hex_is_text(table, data, lambda kinds: attempt(data, {**known, **kinds}))
        problems.extend(self._ragged(block, wrong))
        if block.is_last and block.data.count(b'"') % 2:
            problems.extend(self._unclosed(block))
        if table is None or not table.num_rows:
            return _Parsed(block, None, tuple(problems))
        return _Parsed(block, _blank_is_null(table), tuple(problems))

    def _misfit(
        self, block: Block, names: List[str], known: Mapping[str, pa.DataType], text: str
    ) -> Problem:
        found = _VALUE.search(text)
        value = found.group(1) if found is not None else ""
        number = re.search(r"In CSV column #(\d+)", text)
        column = names[int(number.group(1))] if number is not None else None
        line = block.line + max(0, block.data[: block.data.find(value.encode())].count(b"\n"))
        return Problem(
            "type-drift",
            Place(self.name, "line", line),
            f"Column {column!r} holds {value[:40]!r}, which is no {known.get(column or '')}.",
            "Mend the value, or publish the column as text.",
            column,
            value,
        )

    def _unclosed(self, block: Block) -> Iterator[Problem]:
        """Look for a field that is opened and not closed; only the last block of a file can have one."""
        reader = plain_csv.reader(
            io.StringIO(block.data.decode("utf-8", "replace"), newline=""),
            delimiter=self.delimiter,
            strict=True,
        )
        before = 0
        try:
            for _ in reader:
                before = reader.line_num
        except plain_csv.Error as error:
            if "unexpected end of data" in str(error):
                yield _unclosed_at(self.name, block.line + before)

    def _ragged(self, block: Block, wrong: List[csv.InvalidRow]) -> Iterator[Problem]:
        position = 0
        for row in wrong:
            position = _start_of(block.data, row.text.encode("utf-8", "replace"), position)
            yield Problem(
                "ragged-row",
                Place(self.name, "line", block.line + block.data.count(b"\n", 0, position)),
                f"The line has {row.actual_columns} fields; the header has {row.expected_columns}.",
                "Quote fields that hold the separator, and fill up those that are missing.",
                None,
                row.text,
            )

    def _locator(self, block: Block, first_row: int, rows: int) -> Any:
        def locate(row: int) -> Place:
            data = block.data
            if data.count(b"\n") + (not data.endswith(b"\n")) == rows:
                return Place(self.name, "line", block.line + row)
            # Line ends inside of quotation marks, or empty lines: count them as a reader does.
            text = io.StringIO(data.decode("utf-8", "replace"), newline="")
            reader = plain_csv.reader(text, delimiter=self.delimiter)
            before, found = 0, -1
            for record in reader:
                found += bool(record)
                if found == row:
                    return Place(self.name, "line", block.line + before)
                before = reader.line_num
            return Place(self.name, "row", first_row + row + 1)

        return locate


def _may_hold_hex(data: bytes) -> bool:
    """Look for 0x; four times as fast as bytes.find, which stops at every zero."""
    values = np.frombuffer(data, dtype=np.uint8)
    is_x = (values | 32) == ord("x")
    return bool((is_x[1:] & (values[:-1] == ord("0"))).any())


def _hex_is_text(
    table: Optional[pa.Table],
    data: bytes,
    read_as: Callable[[Dict[str, pa.DataType]], pa.Table],
) -> Optional[pa.Table]:
    """Keep 0xff what it is: Arrow reads it as a number, and one of 64 bits as a negative one."""
    if table is None or not _may_hold_hex(data):
        return table
    at = [index for index, kind in enumerate(table.schema.types) if pa.types.is_integer(kind)]
    texts = read_as({table.schema.names[index]: pa.string() for index in at})
    found = {
        table.schema.names[index]: pa.string()
        for index in at
        if pc.any(pc.match_substring_regex(texts.column(index), r"^\s*[+-]?0[xX]")).as_py()
    }
    return read_as(found) if found else table


def _start_of(data: bytes, record: bytes, position: int) -> int:
    """Find a record of which only the text is known."""
    start = data.find(record, position)
    while start > 0 and (
        data[start - 1 : start] not in b"\r\n"
        or data[start + len(record) : start + len(record) + 1] not in b"\r\n"
    ):
        start = data.find(record, start + 1)
    return max(start, position)


def _unclosed_at(name: str, line: int) -> Problem:
    return Problem(
        "unclosed-quote",
        Place(name, "line", line),
        "A quotation mark is opened here and not closed.",
        "Close it, or double it if it belongs to the text.",
    )


def _blank_is_null(table: pa.Table) -> pa.RecordBatch:
    columns = []
    for column in table.columns:
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if pa.types.is_string(array.type):
            is_blank = pc.equal(pc.binary_length(array), 0)
            if pc.any(is_blank).as_py():
                array = pc.if_else(is_blank, pa.scalar(None, array.type), array)
        columns.append(array)
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
