"""The checkpoints of a branch on the Hub, for looking at them and fetching them. It needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from hfl_checkpoint._naming import DEFAULT_PATTERN
from hfl_checkpoint._remote._address import parse_address, resolve_address
from hfl_checkpoint._remote._fetch import fetch
from hfl_checkpoint._remote._queue import Target
from hfl_checkpoint._remote._repository import Repository
from hfl_checkpoint._remote._state import read_state
from hfl_checkpoint._run import RunDirectory

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._checkpoint import Checkpoint


class HubCatalog:
    """The checkpoints of one branch.

    Args:
        address: ``hf://namespace/name@branch``, maybe with a checkpoint.
        endpoint: The Hub's address; None for what hfl-auth finds.
        profile: The profile to act as; None for what hfl-auth finds.

    Attributes:
        which: The checkpoint that the address names.

    Raises:
        NotFoundError: There is no such repository or branch.
    """

    def __init__(
        self, address: str, *, endpoint: str | None = None, profile: str | None = None
    ) -> None:
        target = Target(parse_address(address).repo_id, "", endpoint, profile)
        self._repo = Repository(target).manager
        revision, self.which = resolve_address(address, self._repo)
        self._state = read_state(self._repo, revision)

    def checkpoints(self) -> List[Checkpoint]:
        """List them, each run's oldest first, and the run that published last at the end."""
        current = self._state.current_run
        found = [item.checkpoint for item in self._state.published]
        return sorted(found, key=lambda item: item.run_id == current)

    def fetch(self, checkpoint: Checkpoint, directory: str | os.PathLike[str]) -> Checkpoint:
        """Bring one into a run's directory, verified.

        Raises:
            CheckpointDamagedError: It is damaged on the Hub.
        """
        item = next(item for item in self._state.published if item.name == checkpoint.name)
        run = RunDirectory(directory)
        return fetch(run, self._repo, self._state, item, naming=DEFAULT_PATTERN)
