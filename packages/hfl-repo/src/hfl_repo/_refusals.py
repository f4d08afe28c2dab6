"""Errors that say no to a person: what is not theirs to see, not to be written, or not confirmed."""

from __future__ import annotations

from hfl_core.errors import PermissionDeniedError

__all__ = ["ConfirmationError", "GatedRepoError", "RepoArchivedError"]


class GatedRepoError(PermissionDeniedError):
    """The repository's files are for those who asked for access and got it.

    Args:
        repo_id: The repository.
        endpoint: The Hub's address.

    Attributes:
        repo_id: As given.

    Example:
        >>> print(GatedRepoError("meta/llama", endpoint="https://huggingface.co").hint)
        Ask for access at https://huggingface.co/meta/llama
    """

    def __init__(self, repo_id: str, *, endpoint: str) -> None:
        super().__init__(
            f"The files of {repo_id!r} are for those who were granted access.",
            hint=f"Ask for access at {endpoint}/{repo_id}",
        )
        self.repo_id = repo_id


class RepoArchivedError(PermissionDeniedError):
    """The repository is archived, so nothing is written to it.

    Args:
        repo_id: The repository.

    Attributes:
        repo_id: As given.

    Example:
        >>> print(RepoArchivedError("me/digits").message)
        'me/digits' is archived: nothing is written to it.
    """

    def __init__(self, repo_id: str) -> None:
        super().__init__(
            f"{repo_id!r} is archived: nothing is written to it.",
            hint="Bring it back with: hfl repo archive --undo",
        )
        self.repo_id = repo_id


class ConfirmationError(PermissionDeniedError):
    """What cannot be undone was not confirmed by the repository's name. Nothing was done.

    Args:
        repo_id: The repository.
        action: What was about to happen, as in ``"deleted"``.

    Attributes:
        repo_id: As given.

    Example:
        >>> print(ConfirmationError("me/digits", action="deleted"))
        'me/digits' was not deleted: the confirmation is not its name. Pass confirm='me/digits'
    """

    def __init__(self, repo_id: str, *, action: str) -> None:
        super().__init__(
            f"{repo_id!r} was not {action}: the confirmation is not its name.",
            hint=f"Pass confirm={repo_id!r}",
        )
        self.repo_id = repo_id
