"""Where a training state and a checkpoint manager meet; neither knows the other's package."""

from __future__ import annotations

from typing import Any, Mapping, Protocol


class TrainingStateLike(Protocol):
    """What `CheckpointManager.step` and `resume` take: `hfl_state.TrainingState`, or an object like it."""

    @property
    def step(self) -> int:
        """Optimizer steps taken."""

    @property
    def epoch(self) -> int | None:
        """Completed epochs, or None."""

    def components(self) -> Mapping[str, Any]:
        """Name to object with a state, in the order in which they are restored."""
