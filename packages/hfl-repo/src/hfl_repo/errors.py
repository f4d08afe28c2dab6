"""What can go wrong with repositories on a Hub.

::

    HflError
    ├── NotFoundError
    │   ├── RepoNotFoundError        (LookupError)        no such repository, or it is not ours to see
    │   ├── RevisionNotFoundError    (LookupError)        no such branch, tag or commit
    │   └── EntryNotFoundError       (FileNotFoundError)  no such file in the repository
    ├── ConflictError
    │   ├── RepoExistsError          (FileExistsError)    a repository of that name exists
    │   ├── RefExistsError           (FileExistsError)    a branch or tag of that name is elsewhere
    │   ├── VisibilityMismatchError                       it is public where private was asked for
    │   ├── HeadMovedError                                somebody else committed meanwhile
    │   ├── UploadConflictError                           … and changed the same files
    │   └── CardConflictError                             … or the same field of the card
    ├── ValidationError
    │   └── InvalidCardError         (ValueError)         the card is not one that the Hub takes
    ├── NetworkError
    │   └── TransferTimeoutError     (TimeoutError)       the time that a transfer was given is over
    └── PermissionDeniedError
        ├── GatedRepoError           (PermissionError)    access has to be asked for first
        ├── RepoArchivedError        (PermissionError)    it is archived: nobody writes to it
        ├── ConfirmationError        (PermissionError)    it was not confirmed by name
        └── UnsafeUploadError        (PermissionError)    the gate found what must not leave the machine
"""

from __future__ import annotations

from typing import Mapping, Sequence

from hfl_core.errors import (
    ConflictError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
)
from hfl_repo._card_errors import CardConflictError, InvalidCardError
from hfl_repo._refusals import ConfirmationError, GatedRepoError, RepoArchivedError

__all__ = [
    "CardConflictError",
    "ConfirmationError",
    "EntryNotFoundError",
    "GatedRepoError",
    "HeadMovedError",
    "InvalidCardError",
    "RefExistsError",
    "RepoArchivedError",
    "RepoExistsError",
    "RepoNotFoundError",
    "RevisionNotFoundError",
    "TransferTimeoutError",
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
        account: Who asked, if that is known.
        source: Where the token came from; None for a visitor without one.

    Attributes:
        repo_id: As given.
        repo_type: As given.
        account: As given.

    Example:
        >>> print(RepoNotFoundError("me/digits", account="ann").message)
        There is no model repository 'me/digits' that 'ann' can see.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        repo_type: str = "model",
        account: str | None = None,
        source: str | None = None,
    ) -> None:
        token = f"the token from {source}" if source else "a visitor without a token"
        viewer = f"{account!r}" if account else token
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
    """A repository of that name exists and was to be created anew, or it has been moved away.

    Args:
        repo_id: The repository.
        moved_to: Its present name, if the one that was asked for only leads to it.

    Attributes:
        repo_id: As given.
        moved_to: As given.

    Example:
        >>> print(RepoExistsError("me/digits").message)
        A repository 'me/digits' exists already.
    """

    def __init__(self, repo_id: str, *, moved_to: str | None = None) -> None:
        if moved_to is None:
            text = f"A repository {repo_id!r} exists already."
            hint = "Pass on_conflict='reuse' to use it, or 'rename' for the next free name."
        else:
            text = f"{repo_id!r} is the former name of {moved_to!r} and leads there."
            hint = f"Use the present name: {moved_to!r}"
        super().__init__(text, hint=hint)
        self.repo_id = repo_id
        self.moved_to = moved_to


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
            hint="Remove these from the folder, exclude them, or let them through by name, as in"
            " allow=['path:kind'] (--allow).",
        )


class TransferTimeoutError(NetworkError, TimeoutError):
    """The time that a transfer was given is over, or would be before the Hub lets it go on.

    Large files that have arrived stay on the Hub for the next attempt.

    Args:
        timeout: The time that it was given, in seconds.
        wait: How long the Hub asks to wait, if that is the reason.

    Attributes:
        timeout: As given.
        wait: As given.

    Example:
        >>> print(TransferTimeoutError(60, wait=2400).message)
        The Hub asks to wait 2,400 s, and the transfer was given 60 s in all.
    """

    def __init__(self, timeout: float, *, wait: float | None = None) -> None:
        text = f"The transfer was not done within the {timeout:,.0f} s that it was given."
        if wait is not None:
            text = (
                f"The Hub asks to wait {wait:,.0f} s, and the transfer was given {timeout:,.0f} s"
                " in all."
            )
        super().__init__(
            text, hint="Do it again, with more time: what has arrived is not sent again."
        )
        self.timeout = timeout
        self.wait = wait


class EntryNotFoundError(NotFoundError, FileNotFoundError):
    """The repository has no such file or folder at that revision.

    Args:
        repo_id: The repository.
        path: What was asked for.
        revision: Where it was looked for.

    Attributes:
        repo_id: As given.
        path: As given.
        revision: As given.

    Example:
        >>> print(EntryNotFoundError("me/digits", "model.bin").message)
        'me/digits' has no 'model.bin' at 'main'.
    """

    def __init__(self, repo_id: str, path: str, *, revision: str = "main") -> None:
        super().__init__(
            f"{repo_id!r} has no {path!r} at {revision!r}.",
            hint="Check the path and the revision.",
        )
        self.repo_id = repo_id
        self.path = path
        self.revision = revision


class RefExistsError(ConflictError, FileExistsError):
    """A branch or tag of that name exists and was not to be reused, or points elsewhere.

    Args:
        repo_id: The repository.
        name: The branch or tag.
        kind: ``"branch"`` or ``"tag"``.
        target: The commit that it points to, if known.

    Attributes:
        repo_id: As given.
        name: As given.
        kind: As given.
        target: As given.

    Example:
        >>> print(RefExistsError("me/digits", "v1", kind="tag", target="c0ffee0" * 5).message)
        'me/digits' has a tag 'v1' already, at c0ffee0c0ffe.
    """

    def __init__(self, repo_id: str, name: str, *, kind: str, target: str | None = None) -> None:
        where = f", at {target[:12]}" if target else ""
        super().__init__(
            f"{repo_id!r} has a {kind} {name!r} already{where}.",
            hint=f"Choose another name, or delete it first with: hfl repo {kind} delete",
        )
        self.repo_id = repo_id
        self.name = name
        self.kind = kind
        self.target = target


class HeadMovedError(ConflictError):
    """The branch is not where the change started from: somebody else committed meanwhile.

    Args:
        repo_id: The repository.
        revision: The branch.

    Attributes:
        repo_id: As given.
        revision: As given.

    Example:
        >>> print(HeadMovedError("me/digits", "main").message)
        Somebody else committed to 'main' of 'me/digits' meanwhile.
    """

    def __init__(self, repo_id: str, revision: str) -> None:
        super().__init__(
            f"Somebody else committed to {revision!r} of {repo_id!r} meanwhile.",
            hint="Look at the other change, then try again.",
        )
        self.repo_id = repo_id
        self.revision = revision
