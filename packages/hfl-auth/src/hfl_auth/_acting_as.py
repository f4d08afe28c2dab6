"""Which profile this thread or task acts as, inside ``with auth.use(…):``."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import Iterator

# Each entry: the manager that was asked, and the profile. A new thread starts with none, a new
# asyncio task with those of the task that made it; what either changes stays its own.
_STACK: ContextVar[tuple[tuple[object, str], ...]] = ContextVar("hfl_auth_acting_as", default=())


@contextlib.contextmanager
def acting_as(owner: object, profile: str) -> Iterator[None]:
    """Act as a profile until the block ends.

    Args:
        owner: The manager that was asked.
        profile: The profile's name.
    """
    reset = _STACK.set((*_STACK.get(), (owner, profile)))
    try:
        yield
    finally:
        _STACK.reset(reset)


def profile_in_use(owner: object, *, is_explicit: bool) -> str | None:
    """Return the profile that a manager has to act as.

    Args:
        owner: The manager.
        is_explicit: Whether it was made for a profile or a token of its own. Such a one follows
            only its own ``use``.

    Returns:
        The innermost profile that holds for it, or None.
    """
    for asked, profile in reversed(_STACK.get()):
        if asked is owner or not is_explicit:
            return profile
    return None
