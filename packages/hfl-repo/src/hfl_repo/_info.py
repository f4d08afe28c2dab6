"""What a Hub says about a repository."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Mapping

from hfl_repo._target import RepoType

__all__ = ["RepoInfo"]

ARCHIVE_KEY = "hfl_archived"  # in a card: the visibility before it was put away


@dataclass(frozen=True)
class RepoInfo:
    """A repository as it was when it was asked for.

    Attributes:
        repo_id: ``namespace/name``.
        repo_type: ``"model"``, ``"dataset"`` or ``"space"``.
        url: Its page.
        is_private: Whether only its owners see it.
        is_archived: Whether `RepoManager.archive` has put it away.
        gated: Whether access has to be asked for: ``False``, ``"auto"`` or ``"manual"``.
        sha: The commit at the head of the revision that was asked for.
        license: The card's licence, if it names one.
        tags: Its tags, those that the Hub derives included.
        downloads: How often it was downloaded lately.
        likes: How many people like it.
        created_at: When it was created.
        last_modified: When it last changed.
        used_storage: Bytes of large files that it holds, old versions included; None if not told.
    """

    repo_id: str
    repo_type: RepoType
    url: str
    is_private: bool
    is_archived: bool = False
    gated: str | bool = False
    sha: str | None = None
    license: str | None = None  # the card's own name for it
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    created_at: dt.datetime | None = None
    last_modified: dt.datetime | None = None
    used_storage: int | None = None


def info_from(data: Mapping[str, Any], repo_type: RepoType, endpoint: str) -> RepoInfo:
    """Read what the Hub sends about a repository, alone or in a list.

    Args:
        data: The JSON object.
        repo_type: Its type.
        endpoint: The Hub's address.

    Returns:
        The facts.
    """
    repo_id = str(data["id"])
    card = data.get("cardData")
    tags = tuple(str(tag) for tag in data.get("tags") or ())
    prefix = "" if repo_type == "model" else f"{repo_type}s/"
    storage = data.get("usedStorage")
    return RepoInfo(
        repo_id=repo_id,
        repo_type=repo_type,
        url=f"{endpoint}/{prefix}{repo_id}",
        is_private=bool(data.get("private")),
        is_archived=isinstance(card, dict) and ARCHIVE_KEY in card,
        gated=data.get("gated") or False,
        sha=data.get("sha"),
        license=_license(card, tags),
        tags=tags,
        downloads=int(data.get("downloads") or 0),
        likes=int(data.get("likes") or 0),
        created_at=time_of(data.get("createdAt")),
        last_modified=time_of(data.get("lastModified")),
        used_storage=int(storage) if isinstance(storage, (int, float)) else None,
    )


def time_of(text: Any) -> dt.datetime | None:
    """Read one of the Hub's times; None when there is none or it is not readable."""
    if not isinstance(text, str):
        return None
    try:
        found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.timezone.utc)


def _license(card: Any, tags: tuple[str, ...]) -> str | None:
    found = card.get("license") if isinstance(card, dict) else None
    if isinstance(found, list):
        return ", ".join(map(str, found)) or None
    if found:
        return str(found)
    marked = [tag[len("license:") :] for tag in tags if tag.startswith("license:")]
    return ", ".join(marked) or None
