from __future__ import annotations

import doctest
import pickle

import pytest

from hfl_core.errors import (
    ConflictError,
    HflError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
)
from hfl_repo import errors
from hfl_repo.errors import (
    CardConflictError,
    ConfirmationError,
    EntryNotFoundError,
    GatedRepoError,
    HeadMovedError,
    InvalidCardError,
    RefExistsError,
    RepoArchivedError,
    RepoExistsError,
    RepoNotFoundError,
    RevisionNotFoundError,
    TransferTimeoutError,
    UnsafeUploadError,
    UploadConflictError,
    VisibilityMismatchError,
)

ALL = [
    (RepoNotFoundError("me/a"), (NotFoundError, LookupError), 4),
    (RevisionNotFoundError("me/a", "v1"), (NotFoundError, LookupError), 4),
    (RepoExistsError("me/a"), (ConflictError, FileExistsError), 6),
    (VisibilityMismatchError("me/a", wanted_private=True), (ConflictError,), 6),
    (UploadConflictError("me/a", "main", paths=["b"]), (ConflictError,), 6),
    (TransferTimeoutError(60, wait=90), (NetworkError, TimeoutError), 7),
    (UnsafeUploadError({"b": "an access token"}), (PermissionDeniedError, PermissionError), 9),
    (EntryNotFoundError("me/a", "b"), (NotFoundError, FileNotFoundError), 4),
    (RefExistsError("me/a", "b", kind="tag"), (ConflictError, FileExistsError), 6),
    (HeadMovedError("me/a", "main"), (ConflictError,), 6),
    (CardConflictError("me/a", fields=["b"]), (ConflictError,), 6),
    (InvalidCardError("me/a", problems=["b"]), (ValidationError, ValueError), 1),
    (GatedRepoError("me/a", endpoint="http://h"), (PermissionDeniedError, PermissionError), 9),
    (RepoArchivedError("me/a"), (PermissionDeniedError, PermissionError), 9),
    (ConfirmationError("me/a", action="deleted"), (PermissionDeniedError, PermissionError), 9),
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


def test_a_missing_repository_names_who_looked() -> None:
    assert "'ann' can see" in str(RepoNotFoundError("me/a", account="ann"))
    assert "a visitor without a token can see" in str(RepoNotFoundError("me/a"))


def test_a_missing_revision_names_those_that_exist() -> None:
    assert "These exist: main, v1." in str(
        RevisionNotFoundError("me/a", "v2", available=["main", "v1"])
    )
    assert "These exist" not in str(RevisionNotFoundError("me/a", "v2"))


def test_a_visibility_mismatch_says_which_way_round_it_is() -> None:
    assert "is public, but a private" in str(VisibilityMismatchError("me/a", wanted_private=True))
    assert "is private, but a public" in str(VisibilityMismatchError("me/a", wanted_private=False))


def test_a_conflict_names_the_files_in_order() -> None:
    error = UploadConflictError("me/a", "main", paths=["z", "b"])
    assert "b, z" in str(error)
    assert error.paths == ("b", "z")


def test_a_refused_upload_names_every_finding() -> None:
    error = UnsafeUploadError({"z.txt": "a home path", "args.json": "an access token"})
    assert "args.json: an access token; z.txt: a home path" in str(error)
    assert list(error.findings) == ["args.json", "z.txt"]


def test_the_examples_in_the_documentation_are_true() -> None:
    results = doctest.testmod(errors)
    assert results.attempted > 0
    assert results.failed == 0
