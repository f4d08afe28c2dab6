"""What all parts of `DatasetManager` stand on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Optional

from hfl_repo import RepoManager

if TYPE_CHECKING:
    from hfl_auth import AuthManager
    from hfl_datasets._hub import RemoteFiles
    from hfl_datasets._known import Known

__all__ = ["DatasetBase"]


class DatasetBase:
    """A dataset's name and the Hub that it is on. Nothing is asked before a method is called.

    Args:
        repo_id: ``namespace/name``; a bare name means the account's own namespace.
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.
    """

    def __init__(
        self, repo_id: str, *, profile: Optional[str] = None, endpoint: Optional[str] = None
    ) -> None:
        self._repo = RepoManager(repo_id, repo_type="dataset", profile=profile, endpoint=endpoint)
        self._name = repo_id
        self._profile = profile
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @functools.cached_property
    def _auth(self) -> AuthManager:
        from hfl_auth import AuthManager

        return AuthManager(profile=self._profile, endpoint=self._endpoint)

    def _remote(self, commit: str) -> RemoteFiles:
        from hfl_datasets._hub import RemoteFiles

        return RemoteFiles(self.repo_id, commit, self._auth.credential())

    @property
    def repo_id(self) -> str:
        """The repository as ``namespace/name``."""
        return self._repo.repo_id

    @property
    def repo(self) -> RepoManager:
        """The repository, for branches, tags, settings and whatever else is not about data."""
        return self._repo

    def _known(self, revision: Optional[str]) -> Known:
        from hfl_datasets._known import read_known

        tree = self._repo.tree(revision)
        return read_known(self._repo, tree, self._remote(tree.commit))
