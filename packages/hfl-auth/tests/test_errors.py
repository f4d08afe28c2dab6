from __future__ import annotations

from pathlib import Path

from hfl_auth import errors
from hfl_auth.errors import (
    InsecureFileError,
    InvalidTokenError,
    LoginError,
    MalformedTokenError,
    ProfileNotFoundError,
    TokenNotFoundError,
    WrongAccountError,
    WrongEndpointError,
)
from hfl_core import check_errors
from hfl_core.errors import AuthError, NotFoundError, PermissionDeniedError

EXAMPLES = [
    (LoginError("The code is too old.", hint="Try again."), (AuthError,), 3),
    (MalformedTokenError("HF_TOKEN", reason="it is empty"), (AuthError, ValueError), 3),
    (WrongEndpointError("HF_TOKEN", home="http://a", endpoint="http://b"), (AuthError,), 3),
    (TokenNotFoundError(["HF_TOKEN"]), (AuthError, LookupError), 3),
    (InvalidTokenError("HF_TOKEN", endpoint="http://127.0.0.1:1"), (AuthError,), 3),
    (ProfileNotFoundError("work"), (NotFoundError, LookupError), 4),
    (InsecureFileError(Path("tokens"), mode=0o644), (PermissionDeniedError, PermissionError), 9),
    (WrongAccountError("acme", account="ann"), (PermissionDeniedError, PermissionError), 9),
]


def test_every_error_keeps_the_contract() -> None:
    assert check_errors(errors, EXAMPLES) == []


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
