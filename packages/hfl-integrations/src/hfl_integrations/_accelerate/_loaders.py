"""The positions of all prepared data loaders, as one component of a checkpoint."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from hfl_core import ConfigError, IncompatibleStateError, get_logger
from hfl_integrations._accelerate._compat import broadcast_object_list
from hfl_integrations._accelerate._position import INSIDE, LoaderPosition

_log = get_logger(__name__)

FORMAT = 1
_FIELDS = {"iteration", "place", "restarts", "begun", "seed", "sampler_seed", "position"}


class Loaders:
    """Where the data loaders of one accelerator stand.

    Args:
        accelerator: The accelerator.
        on_change: ``"error"`` or ``"override"``.
    """

    per_rank = True

    def __init__(self, accelerator: Any, *, on_change: str) -> None:
        self._accelerator = accelerator
        self._on_change = on_change
        self._positions: List[LoaderPosition] = []
        self.find()

    @property
    def epoch(self) -> int:
        """Epochs of the first loader that are over."""
        return int(self._positions[0].loader.iteration) if self._positions else 0

    @property
    def are_known(self) -> bool:
        """Whether every loader could go on where it is."""
        return not any(each.reason is not None and each.place == INSIDE for each in self._positions)

    def find(self) -> None:
        """Take over the loaders that were prepared since the last look.

        Raises:
            ConfigError: One of them is in the middle of a loop already.
        """
        accelerator = self._accelerator
        known = {id(each.loader) for each in self._positions}
        active = [
            id(each)
            for each in accelerator.gradient_state.dataloader_references
            if each is not None
        ]
        fresh = [each for each in accelerator._dataloaders if id(each) not in known]
        for loader in fresh:
            if id(loader) in active:
                raise ConfigError(
                    "A data loader that was prepared after AcceleratedCheckpoints was made is in use already, "
                    "and nobody has counted its batches.",
                    hint="Make AcceleratedCheckpoints after accelerator.prepare(...), before the first loop.",
                )
        found = [
            LoaderPosition(loader, number, num_processes=accelerator.num_processes)
            for number, loader in enumerate(fresh, len(self._positions))
        ]
        if not found:
            return
        for position in found:
            if position.reason is not None:
                _log.warning(
                    "data loader %d can be saved between two loops over it, not within one: %s",
                    position.number,
                    position.reason,
                )
        seeds: List[Any] = [each.seed for each in found]
        if accelerator.num_processes > 1:
            broadcast_object_list(seeds)  # all processes cut their batches from one order
        for position, seed in zip(found, seeds):
            position.seed = seed
        self._positions += found

    def saving(self) -> None:
        """Learn that the positions go into a checkpoint, unless nobody knows one of them.

        Raises:
            ConfigError: A loop is in the middle of an epoch where it could not go on.
        """
        for position in self._positions:
            if position.reason is not None and position.place == INSIDE:
                raise ConfigError(
                    f"Data loader {position.number} is in the middle of an epoch, and could not go on there: "
                    f"{position.reason}",
                    hint="Save between two epochs, or change the loader as it says.",
                )
        for position in self._positions:
            position.saving()

    def give_back(self) -> None:
        """Give all loaders their own loops again."""
        for position in self._positions:
            position.give_back()
        self._positions = []

    def state_dict(self) -> Dict[str, Any]:
        """Return all positions, in the order in which the loaders were prepared."""
        return {"format": FORMAT, "loaders": [each.state_dict() for each in self._positions]}

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps saved positions from being gone back to; nothing is changed."""
        loaders = saved.get("loaders")
        if saved.get("format") != FORMAT or not isinstance(loaders, list):
            return ["It does not hold the positions of prepared data loaders."]
        if any(not isinstance(each, Mapping) or set(each) != _FIELDS for each in loaders):
            return ["It does not hold the positions of prepared data loaders."]
        if len(loaders) != len(self._positions):
            here = len(self._positions)
            return [f"{len(loaders)} data loaders were prepared, and {here} are now."]
        return [
            f"data loader {position.number}: {text}"
            for position, each in zip(self._positions, loaders)
            for text in position.check(each, is_override=self._on_change == "override")
        ]

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Let the next loop over each loader go on where it was.

        Raises:
            IncompatibleStateError: The positions don't fit these loaders.
        """
        problems = self.check(saved)
        if problems:
            raise IncompatibleStateError(" ".join(problems))
        for position, each in zip(self._positions, saved["loaders"]):
            position.load_state_dict(each)
