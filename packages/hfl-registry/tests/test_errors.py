from __future__ import annotations

import doctest
import pickle

import pytest

from hfl_core.errors import HflError, IntegrityError, ValidationError
from hfl_registry import errors
from hfl_registry.errors import (
    ModelValidationError,
    RoundTripError,
    UnpinnedBaseError,
    UnportableCodeError,
)

ALL = [
    (ModelValidationError("Digits", ["it is empty"]), (ValidationError, ValueError), 1),
    (UnportableCodeError("Digits", missing=["lab"]), (ValidationError, ValueError), 1),
    (UnpinnedBaseError("base", reason="it is a folder"), (ValidationError, ValueError), 1),
    (RoundTripError("Digits", difference=0.5, tolerance=0.0), (IntegrityError,), 5),
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


def test_every_problem_of_a_model_is_named_at_once() -> None:
    error = ModelValidationError("Digits", ["it is empty", "it has no config"])
    assert "it is empty; it has no config." in str(error)
    assert error.problems == ("it is empty", "it has no config")


def test_unportable_code_names_what_is_missing_in_order() -> None:
    error = UnportableCodeError("Digits", missing=["lab.z", "lab.a"])
    assert "lab.a, lab.z" in str(error)
    assert error.missing == ("lab.a", "lab.z")


def test_a_base_that_nobody_finds_comes_with_the_reason() -> None:
    assert "by others: it is a folder." in str(UnpinnedBaseError("base", reason="it is a folder"))


def test_a_failed_round_trip_gives_both_numbers() -> None:
    error = RoundTripError("Digits", difference=0.25, tolerance=1e-5)
    assert "0.25" in str(error)
    assert "1e-05" in str(error)


def test_the_examples_in_the_documentation_are_true() -> None:
    results = doctest.testmod(errors)
    assert results.attempted > 0
    assert results.failed == 0
