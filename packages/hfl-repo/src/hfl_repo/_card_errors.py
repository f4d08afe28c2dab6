"""What can go wrong with a card; public in `hfl_repo.errors`."""

from __future__ import annotations

from typing import Sequence

from hfl_core.errors import ConflictError, ValidationError

__all__ = ["CardConflictError", "InvalidCardError"]


class CardConflictError(ConflictError):
    """A field of the card was changed on the Hub and has to change here too, to something else.

    Args:
        repo_id: The repository.
        fields: The fields of the card's metadata.

    Attributes:
        repo_id: As given.
        fields: As given, sorted, as a tuple.

    Example:
        >>> print(CardConflictError("me/digits", fields=["license"]).message)
        The card of 'me/digits' was changed on the Hub in fields that change here too: license.
    """

    def __init__(self, repo_id: str, *, fields: Sequence[str]) -> None:
        names = tuple(sorted(fields))
        super().__init__(
            f"The card of {repo_id!r} was changed on the Hub in fields that change here too: "
            f"{', '.join(names)}.",
            hint="Say which side wins: on_conflict='ours' or on_conflict='theirs'.",
        )
        self.repo_id = repo_id
        self.fields = names


class InvalidCardError(ValidationError):
    """The card is not one that the Hub takes.

    Args:
        repo_id: The repository.
        problems: What is wrong, one sentence each.

    Attributes:
        repo_id: As given.
        problems: As given, as a tuple.

    Example:
        >>> print(InvalidCardError("me/digits", problems=["license: unknown"]).message)
        The card of 'me/digits' is not valid: license: unknown.
    """

    def __init__(self, repo_id: str, *, problems: Sequence[str]) -> None:
        listed = "; ".join(problem.rstrip(".") for problem in problems)
        super().__init__(
            f"The card of {repo_id!r} is not valid: {listed}.",
            hint="Mend README.md; nothing else of the repository depends on it.",
        )
        self.repo_id = repo_id
        self.problems = tuple(problems)
