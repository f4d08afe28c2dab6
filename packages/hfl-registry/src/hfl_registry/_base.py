"""What all parts of `ModelRegistry` stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfl_repo import RepoManager

__all__ = ["RegistryBase"]


class RegistryBase:
    """Which Hub, and as whom. Nothing is asked before a method is called.

    Args:
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.
    """

    def __init__(self, *, profile: str | None = None, endpoint: str | None = None) -> None:
        self._profile = profile
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}(profile={self._profile!r}, endpoint={self._endpoint!r})"

    def _repo(self, repo_id: str) -> RepoManager:
        """Make the manager of a repository."""
        from hfl_repo import RepoManager

        return RepoManager(repo_id, profile=self._profile, endpoint=self._endpoint)
