"""What can go wrong with repositories on a Hub.

::

    HflError
    ├── NotFoundError
    │   ├── RepoNotFoundError        (LookupError)      no such repository, or it is not ours to see
    │   └── RevisionNotFoundError    (LookupError)      no such branch, tag or commit
    ├── ConflictError
    │   ├── RepoExistsError          (FileExistsError)  a repository of that name exists
    │   ├── VisibilityMismatchError                     it is public where private was asked for
    │   └── UploadConflictError                         somebody else changed the same files
    └── PermissionDeniedError
        └── UnsafeUploadError        (PermissionError)  the gate found what must not leave the machine
"""

from __future__ import annotations

from typing import Mapping, Sequence

from hfl_core.errors import ConflictError, NotFoundError, PermissionDeniedError

__all__ = [
    "RepoExistsError",
    "RepoNotFoundError",
    "RevisionNotFoundError",
    "UnsafeUploadError",
    "UploadConflictError",
    "VisibilityMismatchError",
]


class RepoNotFoundError(NotFoundError):
    """The repository does not exist, or the account may not know that it does.

    A Hub gives the same answer in both cases, so the message names both.

    Args:
        repo_id: The repository, as ``namespace/name``.
        repo_type: ``"model"``, ``"dataset"`` or ``"space"``.
        account: Who asked; None for nobody in particular.

    Attributes:
        repo_id: As given.
        repo_type: As given.
        account: As given.

    Example:
        >>> print(RepoNotFoundError("me/digits", account="ann").message)
        There is no model repository 'me/digits' that 'ann' can see.
    """

    def __init__(
        self, repo_id: str, *, repo_type: str = "model", account: str | None = None
    ) -> None:
        viewer = f"{account!r}" if account else "a visitor without a token"
        super().__init__(
            f"There is no {repo_type} repository {repo_id!r} that {viewer} can see.",
            hint="Check the name; a private repository also needs a token that may read it.",
        )
        self.repo_id = repo_id
        self.repo_type = repo_type
        self.account = account


class RevisionNotFoundError(NotFoundError):
    """The repository has no such branch, tag or commit.

    Args:
        repo_id: The repository.
        revision: What was asked for.
        available: The branches and tags that exist.

    Attributes:
        repo_id: As given.
        revision: As given.
        available: As given, as a tuple.

    Example:
        >>> print(RevisionNotFoundError("me/digits", "v2", available=["main", "v1"]).message)
        'me/digits' has no revision 'v2'. These exist: main, v1.
    """

    def __init__(self, repo_id: str, revision: str, *, available: Sequence[str] = ()) -> None:
        exist = f" These exist: {', '.join(available)}." if available else ""
        super().__init__(
            f"{repo_id!r} has no revision {revision!r}.{exist}",
            hint="Pass one that exists, or create it first with: hfl repo branch",
        )
        self.repo_id = repo_id
        self.revision = revision
        self.available = tuple(available)


class RepoExistsError(ConflictError, FileExistsError):
    """A repository of that name exists and was not to be reused.

    Args:
        repo_id: The repository.

    Attributes:
        repo_id: As given.

    Example:
        >>> print(RepoExistsError("me/digits").message)
        The repository 'me/digits' exists already.
    """

    def __init__(self, repo_id: str) -> None:
        super().__init__(
            f"The repository {repo_id!r} exists already.",
            hint="Pass on_conflict='reuse' to use it or on_conflict='rename' for a free name.",
        )
        self.repo_id = repo_id


class VisibilityMismatchError(ConflictError):
    """The repository exists with another visibility than the one that was asked for.

    It is raised before anything is sent: private data must not reach a public repository.

    Args:
        repo_id: The repository.
        wanted_private: True if a private repository was asked for.

    Attributes:
        repo_id: As given.
        wanted_private: As given.

    Example:
        >>> print(VisibilityMismatchError("me/digits", wanted_private=True).message)
        'me/digits' is public, but a private repository was asked for. Nothing was sent.
    """

    def __init__(self, repo_id: str, *, wanted_private: bool) -> None:
        wanted, found = ("private", "public") if wanted_private else ("public", "private")
        super().__init__(
            f"{repo_id!r} is {found}, but a {wanted} repository was asked for. Nothing was sent.",
            hint="Use another name, change the repository's visibility, or leave it out to accept it.",
        )
        self.repo_id = repo_id
        self.wanted_private = wanted_private


class UploadConflictError(ConflictError):
    """Somebody else changed the same files while an upload was under way.

    Args:
        repo_id: The repository.
        revision: The branch that was written to.
        paths: The files that both sides changed.

    Attributes:
        repo_id: As given.
        revision: As given.
        paths: As given, sorted, as a tuple.

    Example:
        >>> print(UploadConflictError("me/digits", "main", paths=["README.md"]).message)
        'me/digits' changed on 'main' during the upload, in the same files: README.md.
    """

    def __init__(self, repo_id: str, revision: str, *, paths: Sequence[str]) -> None:
        names = tuple(sorted(paths))
        super().__init__(
            f"{repo_id!r} changed on {revision!r} during the upload, in the same files: "
            f"{', '.join(names)}.",
            hint="Look at the other change, then upload again.",
        )
        self.repo_id = repo_id
        self.revision = revision
        self.paths = names


class UnsafeUploadError(PermissionDeniedError):
    """The gate in front of every upload found something that must not leave the machine.

    Args:
        findings: Path inside the upload to the reason why it may not leave. Reasons describe a
            secret ("an access token"), they never contain it.

    Attributes:
        findings: As given, as a new dict in the order of the paths.

    Example:
        >>> print(UnsafeUploadError({"args.json": "an access token"}).message)
        The upload was refused, nothing was sent. args.json: an access token.
    """

    def __init__(self, findings: Mapping[str, str]) -> None:
        self.findings = dict(sorted(findings.items()))
        listed = "; ".join(f"{path}: {reason}" for path, reason in self.findings.items())
        super().__init__(
            f"The upload was refused, nothing was sent. {listed}.",
            hint="Remove these from the folder or exclude them, then upload again.",
        )
