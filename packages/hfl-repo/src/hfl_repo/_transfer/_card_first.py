"""README.md never stops the weights: a card that the Hub refuses is left out and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import get_logger
from hfl_core.errors import NetworkError
from hfl_repo._card._check import find_problems
from hfl_repo._transfer._plan import Plan

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["CARD", "card_problems"]

_LOG = get_logger(__name__)
CARD = "README.md"
_LARGEST = 2 << 20


def card_problems(hub: Hub, target: Target, plan: Plan) -> tuple[str, ...]:
    """Ask what is wrong with the card of an upload, here first and then on the Hub.

    Args:
        hub: The Hub.
        target: The repository.
        plan: What is to be uploaded.

    Returns:
        Why the Hub would refuse it; nothing when it would not, or when there is no card in it.
    """
    changed = [file for file in plan.to_send if file.path == CARD]
    if not changed or changed[0].size > _LARGEST:
        return ()
    try:
        found = find_problems(hub, changed[0].source.read_bytes(), target.repo_type)
    except NetworkError as error:
        # Whether the card is fine is not worth the weights; the Hub says so when it arrives.
        _LOG.info("The Hub could not be asked about the card: %s", error)
        return ()
    for warning in found.warnings:
        _LOG.info("About %s: %s", CARD, warning)
    return found.errors
