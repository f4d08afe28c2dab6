"""What we said in a card last: the base of the three-way merge.

Every commit of ours to a card ends with a line ``Hfl-Card: {…}`` that holds the values of all
fields that we have ever set, as we set them. So the base is in the history of the branch, where it
costs no file and no field, and goes wherever the branch goes.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["remembered", "trailer", "trailer_in"]

_KEY = "Hfl-Card: "
# As far back as is looked. Cards live on branches for people, which are short.
_LONGEST_HISTORY = 2_000
_PAGE = 200


def trailer(said: Mapping[str, Any]) -> str:
    """Return the line that ends a commit's message."""
    return _KEY + json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def trailer_in(message: str) -> dict[str, Any] | None:
    """Return what the line in a commit's message holds, or None without one."""
    for line in reversed(message.splitlines()):
        if line.startswith(_KEY):
            try:
                found = json.loads(line[len(_KEY) :])
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None


def remembered(hub: Hub, target: Target) -> dict[str, Any]:
    """Look in the history of a revision for what we said last.

    Args:
        hub: The Hub.
        target: The repository with the revision to start from.

    Returns:
        Field to value; empty when we never said anything, or it is not in the history any more.
    """
    path = target.api("commits", target.revision or "main")
    commits = hub.pages(path, target, params={"limit": _PAGE})
    for commit in itertools.islice(commits, _LONGEST_HISTORY):
        found = trailer_in(str(commit.get("message") or ""))
        if found is not None:
            return found
    return {}
