from __future__ import annotations

from hfl_core import check_errors
from hfl_core.errors import (
    ConflictError,
    IncompatibleStateError,
    IntegrityError,
    NotFoundError,
    ValidationError,
)
from hfl_registry import errors
from hfl_registry.errors import (
    AdapterMismatchError,
    MergeError,
    ModelValidationError,
    QuantizedMergeError,
    RegistrationConflictError,
    RoundTripError,
    StageNotFoundError,
    UnpinnedBaseError,
    UnportableCodeError,
)

EXAMPLES = [
    (ModelValidationError("Digits", ["it is empty"]), (ValidationError, ValueError), 1),
    (UnportableCodeError("Digits", missing=["lab"]), (ValidationError, ValueError), 1),
    (UnpinnedBaseError("base", reason="it is a folder"), (ValidationError, ValueError), 1),
    (
        RegistrationConflictError("bert", holder="BertConfig", suggestion="my-bert"),
        (ConflictError,),
        6,
    ),
    (
        AdapterMismatchError("default", "BertModel", problems=["no module 'c_attn'"]),
        (IncompatibleStateError, ValueError),
        6,
    ),
    (QuantizedMergeError("Llama", method="torchao"), (ValidationError, ValueError), 1),
    (
        MergeError("Digits", difference=0.5, tolerance=0.0, dtype_path="float32"),
        (IntegrityError,),
        5,
    ),
    (StageNotFoundError("me/x", "production", occupied=[]), (NotFoundError, LookupError), 4),
    (RoundTripError("Digits", difference=0.5, tolerance=0.0), (IntegrityError,), 5),
]


def test_every_error_keeps_the_contract() -> None:
    assert check_errors(errors, EXAMPLES) == []


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
