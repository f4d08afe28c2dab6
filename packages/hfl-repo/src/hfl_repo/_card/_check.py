"""Is a card one that the Hub takes? Asked here first, then there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Mapping

from hfl_core.errors import NotFoundError, ValidationError
from hfl_repo._card import _yaml
from hfl_repo._card._text import CardText, UnreadableCardError
from hfl_repo._licenses import check_license, check_tags

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import RepoType

__all__ = ["CardProblems", "check_on_hub", "checked_fields", "find_problems"]


@dataclasses.dataclass(frozen=True)
class CardProblems:
    """What is wrong with a card.

    Attributes:
        errors: What the Hub refuses.
        warnings: What it takes and does not like.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check what is to be said in a card, before anything is sent.

    Args:
        fields: Field to value; None takes a field away.

    Returns:
        The same as plain data.

    Raises:
        ValidationError: A licence, a tag or a value is none.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if not str(name).strip() or not str(name).isprintable():
            raise ValidationError(f"{name!r} is not the name of a field of a card.")
        try:
            found[str(name)] = _yaml.plain(value)
        except TypeError as error:
            raise ValidationError(
                f"The field {name!r} has a value that it cannot have: {error}.",
                hint="Use text, numbers, booleans, and lists and mappings of them.",
            ) from error
    licence = found.get("license")
    for each in licence if isinstance(licence, list) else [licence]:
        if each is not None:
            check_license(each)
    if found.get("tags") is not None:
        found["tags"] = check_tags(found["tags"])
    return found


def find_problems(hub: Hub, content: bytes, repo_type: RepoType) -> CardProblems:
    """Look for what is wrong with a card, here and then on the Hub.

    An upload asks this before it sends a README.md: a card that the Hub refuses is left out and
    reported, so that it does not take the weights with it.

    Args:
        hub: The Hub.
        content: The file.
        repo_type: The type of the repository.

    Returns:
        What was found.
    """
    try:
        CardText.parse(content)
    except UnreadableCardError as error:
        return CardProblems(errors=(str(error),))
    return check_on_hub(hub, content.decode("utf-8"), repo_type)


def check_on_hub(hub: Hub, text: str, repo_type: RepoType) -> CardProblems:
    """Ask the Hub what it thinks of a card."""
    body = {"content": text, "repoType": repo_type}
    try:
        found = hub.send("POST", "/api/validate-yaml", json=body).json()
    except NotFoundError:  # an older Hub; it will say so when the card arrives
        return CardProblems()
    except ValidationError as error:
        return CardProblems(errors=(error.message,))
    return CardProblems(_texts(found.get("errors")), _texts(found.get("warnings")))


def _texts(items: Any) -> tuple[str, ...]:
    found = items if isinstance(items, list) else []
    return tuple(
        str(item.get("message", item)) if isinstance(item, dict) else str(item) for item in found
    )
