"""`RepoManager`: one repository on a Hub, and everything that can be done with it."""

from __future__ import annotations

from hfl_repo._archive import Archive
from hfl_repo._attributes import Attributes
from hfl_repo._listing import Lists
from hfl_repo._permissions import Rights
from hfl_repo._storage import Storage
from hfl_repo._transfer._commits import Commits

__all__ = ["RepoManager"]


class RepoManager(Commits, Archive, Attributes, Storage, Rights, Lists):
    """A repository on a Hub. Nothing is asked or sent before a method is called.

    Args:
        repo_id: ``namespace/name``; a bare name means the account's own namespace. None for what
            is not about one repository, such as `list`.
        repo_type: ``"model"``, ``"dataset"`` or ``"space"``.
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.

    Raises:
        ValidationError: The name or the type makes no sense.

    Example:
        >>> repo = RepoManager("ann/digits")
        >>> repo.create(private=True).is_private
        True
        >>> repo.exists()
        True
    """
