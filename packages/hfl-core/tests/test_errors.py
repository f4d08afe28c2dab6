from __future__ import annotations

import copy
import errno
import pickle
import types
from concurrent.futures import ProcessPoolExecutor

import pytest

import hfl_core
from hfl_core import (
    AuthError,
    ConfigError,
    ConflictError,
    DiskSpaceError,
    HflError,
    IncompatibleStateError,
    IntegrityError,
    MissingExtraError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
    check_errors,
)
from hfl_core import errors as errors_module

# The exit codes are documented for scripts: 2 usage, 3 not authenticated, 4 not found, 5 damaged
# data, 6 conflict, 7 network, 8 disk, 9 refused; 1 is everything else.
TABLE = [
    (HflError("x"), Exception, 1),
    (ConfigError("x"), ValueError, 2),
    (ValidationError("x"), ValueError, 1),
    (AuthError("x"), HflError, 3),
    (PermissionDeniedError("x"), PermissionError, 9),
    (NotFoundError("x"), LookupError, 4),
    (ConflictError("x"), HflError, 6),
    (IncompatibleStateError("x"), ValueError, 6),
    (IntegrityError("x"), HflError, 5),
    (DiskSpaceError("x", required=10, available=3), OSError, 8),
    (NetworkError("x"), ConnectionError, 7),
    (RateLimitError("x", retry_after=2.5), NetworkError, 7),
    (MissingExtraError("compression", extra="hfl-checkpoint[compression]"), ImportError, 1),
]
EACH = pytest.mark.parametrize(
    ("error", "builtin", "code"), TABLE, ids=[type(row[0]).__name__ for row in TABLE]
)


def test_the_table_covers_every_public_error():
    assert {type(error).__name__ for error, _, _ in TABLE} == set(errors_module.__all__)


@EACH
@pytest.mark.parametrize("way", ["itself", "family", "builtin"])
def test_an_error_can_be_caught_three_ways(error: HflError, builtin: type, code: int, way: str):
    kind = {"itself": type(error), "family": HflError, "builtin": builtin}[way]
    with pytest.raises(kind):
        raise error


@EACH
def test_an_error_has_its_documented_exit_code(error: HflError, builtin: type, code: int):
    assert error.exit_code == code


@EACH
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling(error: HflError, builtin: type, code: int, protocol: int):
    error.hint = "Do this."
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert again.args == error.args


def test_an_error_survives_copying():
    error = RateLimitError("Slow down.", hint="Wait.", retry_after=3)
    assert vars(copy.copy(error)) == vars(error)


def fail_with_everything() -> None:
    raise DiskSpaceError("Full.", hint="Free some.", required=10, available=3)


def test_an_error_crosses_a_process_boundary_whole():
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(fail_with_everything)
        with pytest.raises(DiskSpaceError, match=r"Full\. Free some\.") as caught:
            future.result()
    assert (caught.value.required, caught.value.available) == (10, 3)
    assert caught.value.errno == errno.ENOSPC


def test_the_text_ends_with_the_hint():
    error = NotFoundError("No run in 'runs'.", hint="Check the path.")
    assert str(error) == "No run in 'runs'. Check the path."
    assert (error.message, error.hint) == ("No run in 'runs'.", "Check the path.")


def test_a_missing_extra_names_what_to_install():
    error = MissingExtraError("compression", extra="hfl-checkpoint[compression]")
    assert "Compression needs" in str(error)
    assert "pip install 'hfl-checkpoint[compression]'" in str(error)


def test_errors_are_the_ones_of_the_package():
    assert hfl_core.HflError is errors_module.HflError


class BrokenError(NotFoundError):
    def __init__(self, name, *, kept=None):
        super().__init__(f"There is no {name}.")
        self.kept = kept


class ForgetfulError(NotFoundError, LookupError):
    def __init__(self, name, other="x"):
        super().__init__(f"There is no {name} but {other}.", hint="Look.")

    def __reduce__(self):
        return type(self), ("something",)


def test_a_breach_of_the_contract_of_errors_is_named():
    module = types.ModuleType("errors_of_nobody")
    module.__all__ = ["BrokenError", "UnseenError"]
    breaches = check_errors(
        module,
        [
            (BrokenError("thing", kept=lambda: None), (OSError,), 5),
            (ForgetfulError("thing"), (LookupError,), 4),
        ],
    )
    assert breaches[:3] == [
        "BrokenError is not caught as OSError.",
        "BrokenError ends with 4, not with 5.",
        "BrokenError has no hint.",
    ]
    assert breaches[3].startswith("BrokenError does not reach another process: ")
    assert breaches[4].startswith("ForgetfulError reaches another process as ")
    assert breaches[5:] == [
        "UnseenError has no example.",
        "0 of 0 examples in the documentation fail.",
    ]


def test_a_token_that_somebody_passed_is_masked_and_a_path_is_not(tmp_path):
    error = HflError(f"There is no 'hf_{'a1B2' * 8}' in '{tmp_path}'.")
    assert str(error) == f"There is no '***' in '{tmp_path}'."
    assert error.args == (error.message,)
