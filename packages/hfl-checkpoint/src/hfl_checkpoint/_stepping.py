"""Telling a manager of every step, and saving when a policy says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hfl_checkpoint import _arguments, _endings
from hfl_checkpoint._components import components_of
from hfl_checkpoint._policies import SaveContext, is_urgent
from hfl_checkpoint._saving import Saving
from hfl_checkpoint.errors import SnapshotChangedError
from hfl_core import get_logger, set_log_context

if TYPE_CHECKING:
    from hfl_checkpoint._background import PendingCheckpoint
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._protocol import TrainingStateLike
    from hfl_checkpoint._ranks import Alone

_log = get_logger(__name__)


class Stepping(Saving):
    """What a checkpoint manager does in each step."""

    def step(
        self, state: TrainingStateLike, /, **metrics: Any
    ) -> Checkpoint | PendingCheckpoint | None:
        """Tell the manager that a step was taken; it saves when its policy says so.

        It may be called after every batch: where ``state.is_step_boundary`` is false, nothing happens.

        Args:
            state: The training state, after the step.
            **metrics: What was measured; recorded when this step is saved.

        Returns:
            What `save` returns, or None when nothing was due.

        Raises:
            HflError: As for `save`.
        """
        self._require_open()
        _arguments.require_state(state, "step")
        _endings.give_back_termination()
        team = self._team
        if not team.is_several:  # of several, one may hear of an error a step before the others do
            self._raise_error()
        if not getattr(state, "is_step_boundary", True):
            return None  # gradients are being accumulated, and no state holds them
        previous, self._previous = self._previous, (state.step, state.epoch)
        set_log_context(step=state.step)
        self._began(team)
        if self._save_policy is None:
            self._warn_once(
                "step() saves nothing, since no save= was given; call save(), or pass EverySteps(500)"
            )
            return None
        context = SaveContext(state.step, state.epoch, *previous, metrics)
        reason = self._save_policy.should_save(context) or self._owed
        if reason is None:
            return None
        agreed = self._agreed(team, reason, state.step)
        if agreed is None:
            return None
        saved = self.save(
            state.step, epoch=state.epoch, metrics=metrics, reason=agreed, **components_of(state)
        )
        self._owed = None
        if is_urgent(agreed):
            self.wait()
        return saved

    def _agreed(self, team: Alone, reason: str, step: int) -> str | None:
        """The reason for which all processes save this step, or None when they do not."""
        # One process may be a moment ahead of another, so that only together they know.
        views = team.all((reason, step == self._line.step, self._is_busy))
        agreed = views[0][0]
        if any(is_saved for _, is_saved, _ in views):
            return None
        is_busy = any(is_busy for _, _, is_busy in views)
        if self._when_busy == "skip" and is_busy and not is_urgent(agreed):
            if self._owed is None:
                self._skip(step, "an earlier save is still being written")
            self._owed = agreed  # the next step makes up for it
            return None
        if team.is_several and self._saver is not None:
            self._saver.settle()
            self._raise_error()
        return agreed

    def _raise_error(self) -> None:
        """Raise what went wrong with a save, unless this step can make up for it."""
        if self._saver is None:
            return
        try:
            self._saver.raise_error()
        except SnapshotChangedError as error:
            _log.warning(
                "%s From here on everything is copied before the training goes on, and the save is "
                "made up for now.",
                error,
            )
            self._owed = "interval"
