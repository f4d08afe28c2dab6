from __future__ import annotations

import doctest
import pickle

import pytest

from hfl_core.errors import HflError, IntegrityError, NotFoundError, ValidationError
from hfl_datasets import errors
from hfl_datasets.errors import (
    DatasetValidationError,
    RowCountError,
    SchemaMismatchError,
    SplitNotFoundError,
)

ALL = [
    (DatasetValidationError("a.csv", ["it is empty"]), (ValidationError, ValueError), 1),
    (SchemaMismatchError("a and b", {"x": ("int64", None)}), (ValidationError, ValueError), 1),
    (SplitNotFoundError("dev"), (NotFoundError, LookupError), 4),
    (RowCountError("train", expected=2, found=1), (IntegrityError,), 5),
]


@pytest.mark.parametrize(("error", "families", "exit_code"), ALL, ids=lambda value: str(value)[:20])
def test_an_error_is_caught_as_its_family_and_as_the_builtin(error, families, exit_code) -> None:
    assert isinstance(error, HflError)
    assert all(isinstance(error, family) for family in families)
    assert error.exit_code == exit_code
    assert error.hint


@pytest.mark.parametrize(
    "error", [error for error, _, _ in ALL], ids=lambda error: type(error).__name__
)
def test_an_error_survives_the_way_to_another_process(error) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


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


def test_the_examples_in_the_documentation_are_true() -> None:
    results = doctest.testmod(errors)
    assert results.attempted > 0
    assert results.failed == 0
