from __future__ import annotations

from hfl_core import check_errors
from hfl_core.errors import ConfigError, IntegrityError, NotFoundError, ValidationError
from hfl_datasets import errors
from hfl_datasets.errors import (
    DatasetValidationError,
    RowCountError,
    SchemaMismatchError,
    SourceNotFoundError,
    SplitNotFoundError,
    UnreadableDataError,
    UnsupportedSourceError,
)

EXAMPLES = [
    (DatasetValidationError("a.csv", ["it is empty"]), (ValidationError, ValueError), 1),
    (SchemaMismatchError("a and b", {"x": ("int64", None)}), (ValidationError, ValueError), 1),
    (SplitNotFoundError("dev"), (NotFoundError, LookupError), 4),
    (SourceNotFoundError("a/*.csv", "No file matches."), (NotFoundError, FileNotFoundError), 4),
    (UnreadableDataError("a.csv", "it is cut", hint="Mend it."), (IntegrityError, ValueError), 5),
    (UnsupportedSourceError("a.docx", "Pass a CSV."), (ConfigError, TypeError), 2),
    (RowCountError("train", expected=2, found=1), (IntegrityError,), 5),
]


def test_every_error_keeps_the_contract() -> None:
    assert check_errors(errors, EXAMPLES) == []


def test_every_finding_is_named_at_once() -> None:
    error = DatasetValidationError("a.csv", ["row 1 is empty", "row 7 is too long"])
    assert "row 1 is empty; row 7 is too long." in str(error)
    assert error.findings == ("row 1 is empty", "row 7 is too long")


def test_a_schema_mismatch_tells_a_changed_column_from_a_missing_one() -> None:
    error = SchemaMismatchError("a and b", {"y": (None, "string"), "x": ("int64", None)})
    assert "x: int64 expected, nothing found; y: nothing expected, string found" in str(error)
    assert list(error.differences) == ["x", "y"]


def test_a_missing_split_names_those_that_exist() -> None:
    assert "These exist: train, test." in str(
        SplitNotFoundError("dev", available=["train", "test"])
    )
    assert "There are none." in str(SplitNotFoundError("dev"))


def test_lost_rows_are_counted() -> None:
    assert "holds 98 rows after the transfer, not 100" in str(
        RowCountError("train", expected=100, found=98)
    )
