"""What can go wrong when a dataset is published, versioned or read.

::

    HflError
    ├── ValidationError              (ValueError)
    │   ├── DatasetValidationError   the data is not fit to be published
    │   └── SchemaMismatchError      columns or types differ where they must not
    ├── ConfigError                  (ValueError)
    │   └── UnsupportedSourceError   (TypeError)    nothing that a dataset can be made from
    ├── NotFoundError
    │   ├── SourceNotFoundError      (FileNotFoundError)  no file of that name, or none with data
    │   └── SplitNotFoundError       (LookupError)  no split of that name
    └── IntegrityError
        ├── RowCountError            rows were lost or doubled on the way
        └── UnreadableDataError      (ValueError)   a file cannot be read, from some place on
"""

from __future__ import annotations

import errno
from typing import Mapping, Sequence

from hfl_core.errors import ConfigError, IntegrityError, NotFoundError, ValidationError

__all__ = [
    "DatasetValidationError",
    "RowCountError",
    "SchemaMismatchError",
    "SourceNotFoundError",
    "SplitNotFoundError",
    "UnreadableDataError",
    "UnsupportedSourceError",
]


class DatasetValidationError(ValidationError):
    """The data is not fit to be published; nothing was sent.

    Args:
        source: What was looked at, as a person would name it.
        findings: What is wrong, a sentence without a full stop each.

    Attributes:
        source: As given.
        findings: As given, as a tuple.

    Example:
        >>> print(DatasetValidationError("train.csv", ["row 7 has 3 columns, not 4"]).message)
        train.csv cannot be published: row 7 has 3 columns, not 4.
    """

    def __init__(self, source: str, findings: Sequence[str]) -> None:
        super().__init__(
            f"{source} cannot be published: {'; '.join(findings)}.",
            hint="Mend these and validate again with: hfl dataset validate",
        )
        self.source = source
        self.findings = tuple(findings)


class SchemaMismatchError(ValidationError):
    """Columns or types differ between splits, or from the version that is published.

    Args:
        where: What was compared with what: ``"split 'test' and split 'train'"``.
        differences: Column to (type that was expected, type that was found); None stands for
            a column that is not there.

    Attributes:
        where: As given.
        differences: As given, as a new dict in the order of the columns.

    Example:
        >>> error = SchemaMismatchError(
        ...     "split 'test' and split 'train'", {"label": ("int64", "float64")}
        ... )
        >>> print(error.message)
        The columns of split 'test' and split 'train' differ. label: int64 expected, float64 found.
    """

    def __init__(
        self, where: str, differences: Mapping[str, tuple[str | None, str | None]]
    ) -> None:
        self.where = where
        self.differences = dict(sorted(differences.items()))
        listed = "; ".join(
            f"{column}: {expected or 'nothing'} expected, {found or 'nothing'} found"
            for column, (expected, found) in self.differences.items()
        )
        super().__init__(
            f"The columns of {where} differ. {listed}.",
            hint="Cast the columns to one type, or publish under another name.",
        )


class SplitNotFoundError(NotFoundError):
    """The dataset has no split of that name.

    Args:
        split: The name that was asked for.
        available: The names that exist.

    Attributes:
        split: As given.
        available: As given, as a tuple.

    Example:
        >>> print(SplitNotFoundError("dev", available=["train", "test"]).message)
        There is no split 'dev'. These exist: train, test.
    """

    def __init__(self, split: str, *, available: Sequence[str] = ()) -> None:
        exist = f"These exist: {', '.join(available)}." if available else "There are none."
        super().__init__(f"There is no split {split!r}. {exist}", hint="Pass one that exists.")
        self.split = split
        self.available = tuple(available)


class RowCountError(IntegrityError):
    """What arrived does not hold as many rows as what was sent.

    Args:
        split: The split that was counted.
        expected: Rows that were sent.
        found: Rows that arrived.

    Attributes:
        split: As given.
        expected: As given.
        found: As given.

    Example:
        >>> print(RowCountError("train", expected=100, found=98).message)
        Split 'train' holds 98 rows after the transfer, not 100.
    """

    def __init__(self, split: str, *, expected: int, found: int) -> None:
        super().__init__(
            f"Split {split!r} holds {found} rows after the transfer, not {expected}.",
            hint="Upload it again; what was published before is unchanged.",
        )
        self.split = split
        self.expected = expected
        self.found = found


class SourceNotFoundError(NotFoundError, FileNotFoundError):
    """What was given names no file, or no file that a dataset can be made from.

    Args:
        source: What was given.
        reason: What is there instead, as a sentence.

    Attributes:
        source: As given.

    Example:
        >>> print(SourceNotFoundError("data/*.csv", "No file matches.").message)
        There is no data in 'data/*.csv'. No file matches.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"There is no data in {source!r}. {reason}",
            hint="Pass a file, a folder or a pattern that exists.",
        )
        self.source = source
        self.errno = errno.ENOENT
        self.filename = source


class UnsupportedSourceError(ConfigError, TypeError):
    """A dataset cannot be made from what was given.

    Args:
        source: What was given, as a person would name it.
        supported: What can be given.

    Attributes:
        source: As given.

    Example:
        >>> print(UnsupportedSourceError("notes.docx", "Files: csv, parquet.").message)
        A dataset cannot be made from notes.docx.
    """

    def __init__(self, source: str, supported: str) -> None:
        super().__init__(f"A dataset cannot be made from {source}.", hint=supported)
        self.source = source


class UnreadableDataError(IntegrityError, ValueError):
    """A file cannot be read, from some place on.

    Args:
        place: Where: ``"train.csv, line 17"``.
        reason: What is wrong, as a sentence.
        hint: What to do about it.
        column: The column, where there is one.

    Attributes:
        place: As given.
        reason: As given.
        column: As given.

    Example:
        >>> error = UnreadableDataError("a.csv, line 3", "The line has 3 fields.", hint="Mend it.")
        >>> print(error.message)
        a.csv, line 3: The line has 3 fields.
    """

    def __init__(self, place: str, reason: str, *, hint: str, column: str | None = None) -> None:
        super().__init__(f"{place}: {reason[:1].upper()}{reason[1:]}", hint=hint)
        self.place = place
        self.reason = reason
        self.column = column
