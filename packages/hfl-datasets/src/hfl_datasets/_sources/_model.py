"""What a source looks like, whatever it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence

import pyarrow as pa

from hfl_datasets._sources._types import fit, merge_schemas, type_name
from hfl_datasets.errors import SchemaMismatchError, UnreadableDataError

__all__ = ["Located", "Place", "Problem", "Report", "Source", "SourceFile", "SplitSource"]


@dataclass(frozen=True)
class Place:
    """Where something is: a file and, in it, a line, a row group or a row.

    Attributes:
        file: The file's name as the user gave it, or what stands in for one ("the data frame").
        unit: "line", "row group" or "row"; empty for the file as a whole.
        number: Which one. Lines and rows count from 1, row groups from 0, as pyarrow does.

    Example:
        >>> str(Place("train.csv", "line", 17))
        'train.csv, line 17'
    """

    file: str
    unit: str = ""
    number: Optional[int] = None

    def __str__(self) -> str:
        return f"{self.file}, {self.unit} {self.number}" if self.unit else self.file


@dataclass(frozen=True)
class Problem:
    """Something that keeps a part of a file from being read.

    Attributes:
        rule: Which rule of validation it breaks.
        place: Where it is.
        message: What is wrong, as a sentence.
        hint: What to do about it.
        column: The column, where there is one.
        example: What stands there.
    """

    rule: str
    place: Place
    message: str
    hint: str
    column: Optional[str] = None
    example: Optional[str] = None

    def error(self) -> UnreadableDataError:
        """Make the error that reading ends with where nobody collects problems."""
        return UnreadableDataError(
            str(self.place), self.message, hint=self.hint, column=self.column
        )


Report = Callable[[Problem], None]


@dataclass(frozen=True)
class Located:
    """A batch, and where it came from.

    Attributes:
        batch: The rows.
        file: The file that they are from.
        first_row: How many rows of the file come before them.
        locate: Says where the row of that index in the batch is.
    """

    batch: pa.RecordBatch
    file: SourceFile
    first_row: int
    locate: Optional[Callable[[int], Place]] = field(default=None, compare=False)

    def place(self, row: int) -> Place:
        """Say where a row of the batch is.

        Args:
            row: Its index in the batch.

        Returns:
            Its file and line, row group or row.
        """
        if self.locate is not None:
            return self.locate(row)
        return Place(self.file.name, "row", self.first_row + row + 1)


class SourceFile(Protocol):
    """One file, or one object in memory, that rows are read from."""

    name: str
    format: str

    def size(self) -> Optional[int]:
        """Return its bytes on disk; None if that is not known."""

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the columns and types that hold everything in it."""

    def read(
        self, schema: Optional[pa.Schema] = None, report: Optional[Report] = None
    ) -> Iterator[Located]:
        """Yield its rows, a bounded number at a time.

        Args:
            schema: The columns and types to read; without it, batches have the types that were found so far.
            report: Takes what cannot be read, and reading goes on behind it; without it, that is raised.
        """


class SplitSource:
    """The rows of one split.

    Args:
        name: The split's name.
        files: What its rows are read from, in order.
        features: The features that the `datasets` library declares for them, where that is known.

    Attributes:
        name: As given.
        files: As given, as a tuple.
        features: As given.
    """

    def __init__(self, name: str, files: Sequence[SourceFile], features: Any = None) -> None:
        self.name = name
        self.files = tuple(files)
        self.features = features
        self._schema: Optional[pa.Schema] = None

    def __repr__(self) -> str:
        return f"SplitSource({self.name!r}, {len(self.files)} files)"

    @property
    def schema(self) -> pa.Schema:
        """The columns and types that hold the rows of all files; text formats are read once to find them.

        Raises:
            SchemaMismatchError: A column's types cannot be brought together.
            UnreadableDataError: A file cannot be read.
        """
        if self._schema is None:
            self._schema = self._merged([item.schema() for item in self.files])
        return self._schema

    def settle(self, schema: pa.Schema) -> None:
        """Set the schema, where something else has read the whole split and knows it."""
        self._schema = schema

    @property
    def num_bytes(self) -> Optional[int]:
        """The size of all files; None if one of them is not known."""
        sizes = [item.size() for item in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in batches of bounded size, all with `schema`.

        Raises:
            UnreadableDataError: Some of them cannot be read; the message says where.
        """
        for located in self.located():
            yield located.batch

    def located(self, report: Optional[Report] = None) -> Iterator[Located]:
        """Yield all rows as `batches` does, with the place that each batch came from.

        Args:
            report: See `SourceFile.read`.
        """
        schema = self.schema
        for item in self.files:
            for located in item.read(schema, report):
                batch = fitted(located, schema, report)
                if batch is not None:
                    yield batch

    def _merged(self, schemas: List[pa.Schema]) -> pa.Schema:
        merged, clashes = merge_schemas(
            schemas, to_text=all(item.format in ("csv", "tsv") for item in self.files)
        )
        if clashes:
            raise SchemaMismatchError(
                f"the files of split {self.name!r}",
                {
                    name: (type_name(types[0]), type_name(types[1]))
                    for name, types in clashes.items()
                },
            )
        return pa.schema([]) if merged is None else merged


def fitted(
    located: Located, schema: pa.Schema, report: Optional[Report] = None
) -> Optional[Located]:
    """Bring a located batch into a schema, or say which column does not fit."""
    if located.batch.schema.equals(schema, check_metadata=True):
        return located
    try:
        batch = fit(located.batch, schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        problem = _misfit(located, schema, error)
        if report is None:
            raise problem.error() from error
        report(problem)
        return None
    return Located(batch, located.file, located.first_row, located.locate)


def _misfit(located: Located, schema: pa.Schema, error: Exception) -> Problem:
    column, found = None, None
    for candidate in schema:
        index = located.batch.schema.get_field_index(candidate.name)
        if index < 0:
            continue
        try:
            located.batch.column(index).cast(candidate.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            column, found = candidate.name, located.batch.schema.field(index).type
            break
    expected = schema.field(column).type if column is not None else None
    return Problem(
        "type-drift",
        located.place(0),
        f"Column {column!r} holds {found} from here on, which does not fit {expected}: {error}.",
        "Cast the column to one type.",
        column,
    )


@dataclass(frozen=True)
class Source:
    """A dataset that was given: its splits, each with a schema and rows.

    Attributes:
        name: What was given, as a person would name it.
        splits: Name to split, in the order in which they were found.
    """

    name: str
    splits: Mapping[str, SplitSource]

    def __iter__(self) -> Iterator[SplitSource]:
        return iter(self.splits.values())

    @property
    def schemas(self) -> Dict[str, pa.Schema]:
        """The schema of each split."""
        return {name: split.schema for name, split in self.splits.items()}
