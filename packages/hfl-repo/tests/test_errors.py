from __future__ import annotations

from hfl_core import check_errors
from hfl_core.errors import (
    ConflictError,
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

EXAMPLES = [
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


def test_every_error_keeps_the_contract() -> None:
    assert check_errors(errors, EXAMPLES) == []


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
