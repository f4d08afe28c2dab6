"""The repository that a run is published to: made if it is not there, and never more public than meant."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, List

from hfl_checkpoint._remote._address import FOLDER

if TYPE_CHECKING:
    from hfl_checkpoint._remote._queue import Target
    from hfl_checkpoint._remote._state import RemoteState
    from hfl_repo import RepoManager


class Repository:
    """One branch of one repository.

    Args:
        target: Which.

    Raises:
        ValidationError: The name is none.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._is_ready = False
        self._is_fresh = False

    @functools.cached_property
    def manager(self) -> RepoManager:
        """The repository. Nothing is asked of the Hub before it is used."""
        from hfl_repo import RepoManager

        return RepoManager(
            self._target.repo_id, profile=self._target.profile, endpoint=self._target.endpoint
        )

    def prepare(self) -> None:
        """Make sure that there is the repository, as private as it has to be, and the branch.

        Raises:
            VisibilityMismatchError: It is public where private was asked for, or the reverse.
            PermissionDeniedError: The account may not write here.
            NetworkError: The Hub cannot be reached.
        """
        if self._is_ready:
            return
        manager = self.manager
        manager.create(private=self._target.private)
        if self._target.revision not in {ref.name for ref in manager.list_branches()}:
            # Where the history begins, so that a branch for checkpoints does not drag along what
            # people put on main.
            first = None
            for commit in manager.history():
                first = commit.id
            manager.create_branch(self._target.revision, first, exist_ok=True)
            self._is_fresh = True
        self._is_ready = True

    def leftovers(self, state: RemoteState) -> List[str]:
        """What a branch that was just made has from where it began, and has no use for."""
        if not self._is_fresh or any(path.startswith(f"{FOLDER}/") for path in state.tree.files):
            return []
        return [path for path in state.tree.files if path != ".gitattributes"]
