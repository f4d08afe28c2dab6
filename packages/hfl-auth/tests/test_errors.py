from __future__ import annotations

import doctest
import pickle
from pathlib import Path

import pytest

from hfl_auth import errors
from hfl_auth.errors import (
    InsecureFileError,
    InvalidTokenError,
    ProfileNotFoundError,
    TokenNotFoundError,
    WrongAccountError,
)
from hfl_core.errors import AuthError, HflError, NotFoundError, PermissionDeniedError

ALL = [
    (TokenNotFoundError(["HF_TOKEN"]), (AuthError, LookupError), 3),
    (InvalidTokenError("HF_TOKEN", endpoint="http://127.0.0.1:1"), (AuthError,), 3),
    (ProfileNotFoundError("work"), (NotFoundError, LookupError), 4),
    (InsecureFileError(Path("tokens"), mode=0o644), (PermissionDeniedError, PermissionError), 9),
    (WrongAccountError("acme", account="ann"), (PermissionDeniedError, PermissionError), 9),
]


@pytest.mark.parametrize(("error", "families", "exit_code"), ALL, ids=lambda value: str(value)[:20])
def test_an_error_is_caught_as_its_family_and_as_the_builtin(error, families, exit_code) -> None:
    assert isinstance(error, (HflError, *families))
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


def test_a_missing_token_names_the_places_in_their_order() -> None:
    error = TokenNotFoundError(["HF_TOKEN", "the keyring"])
    assert "HF_TOKEN, the keyring" in str(error)
    assert "Looked in" not in str(TokenNotFoundError())


def test_an_unknown_profile_names_those_that_exist() -> None:
    assert "home, work" in str(ProfileNotFoundError("wrk", available=["work", "home"]))
    assert "None exists yet" in str(ProfileNotFoundError("wrk"))


def test_a_path_in_the_home_directory_does_not_show_whose_it_is(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    inside = InsecureFileError(tmp_path / "cache" / "token", mode=0o604)
    assert "'~/cache/token'" in str(inside)
    assert str(tmp_path) not in str(inside)
    assert "mode 604" in str(inside)
    assert inside.path == tmp_path / "cache" / "token"


def test_a_path_elsewhere_is_shown_whole() -> None:
    assert "'/etc/token'" in str(InsecureFileError(Path("/etc/token"), mode=0o644))


def test_a_wrong_account_names_where_it_may_write() -> None:
    assert "ann, lab" in str(WrongAccountError("acme", account="ann", allowed=["ann", "lab"]))
    assert "only read" in str(WrongAccountError("acme", account="ann"))


def test_the_examples_in_the_documentation_are_true() -> None:
    results = doctest.testmod(errors)
    assert results.attempted > 0
    assert results.failed == 0
