"""Saving: what is captured, when a policy asks for it, and what is kept afterwards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, Mapping

from hfl_checkpoint import _arguments, _cleanup
from hfl_checkpoint._components import capture
from hfl_checkpoint._metrics import as_numbers
from hfl_checkpoint._naming import Naming
from hfl_checkpoint._policies import SaveContext, SavePolicy
from hfl_checkpoint._provenance import describe_run
from hfl_checkpoint._session import Line, Session
from hfl_checkpoint._snapshot import Arena
from hfl_checkpoint._writer import Draft, pack_all, write_checkpoint
from hfl_checkpoint.errors import CheckpointExistsError
from hfl_core import get_logger, translated_os_errors

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._background import PendingCheckpoint
    from hfl_checkpoint._checkpoint import Checkpoint, CleanupPlan
    from hfl_checkpoint._protocol import TrainingStateLike
    from hfl_checkpoint._retention import KeepPolicy

_log = get_logger(__name__)


class Saving(Session):
    """The saving side of a checkpoint manager, whose arguments are described there."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        save: SavePolicy | None,
        keep: KeepPolicy,
        naming: str,
        background: bool,
        when_busy: Literal["wait", "skip"],
        metadata: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(directory, background=background)
        self._save_policy = save
        self._keep = keep
        self._naming = Naming(naming)
        self._when_busy = when_busy
        self._metadata = dict(metadata or {})
        self._arena = Arena()

    def save(
        self,
        step: int,
        /,
        *,
        epoch: int | None = None,
        metrics: Mapping[str, Any] | None = None,
        reason: str = "manual",
        **components: Any,
    ) -> Checkpoint | PendingCheckpoint:
        """Save components now.

        Args:
            step: Optimizer steps taken, 0 or more.
            epoch: Completed epochs, if they are counted.
            metrics: Metric to number, for finding and keeping the best.
            reason: Why; recorded with the checkpoint.
            **components: Name to model, optimizer, object with ``state_dict``, or dict.

        Returns:
            The checkpoint, or with ``background=True`` a handle on it.

        Raises:
            CheckpointExistsError: This step is the last one that was saved or restored.
            UnknownTypeError: A state holds what a checkpoint cannot; nothing was written.
            DiskSpaceError: There is no room; nothing was committed.
            HflError: The error of the background save before this one.

        Example:
            >>> import tempfile
            >>> checkpoints = CheckpointManager(tempfile.mkdtemp(), background=False)
            >>> checkpoints.save(10, metrics={"loss": 0.5}, counters={"seen": 320}).metrics
            {'loss': 0.5}
        """
        self._require_open()
        _arguments.require_step(step)
        _arguments.refuse_many_processes()
        with self._turn:  # there is one snapshot, so there is one save at a time
            return self._save(step, epoch, metrics or {}, reason, components)

    def _save(
        self,
        step: int,
        epoch: int | None,
        metrics: Mapping[str, Any],
        reason: str,
        components: Mapping[str, Any],
    ) -> Checkpoint | PendingCheckpoint:
        self.wait()
        if step == self._line.step:
            raise CheckpointExistsError(
                str(self._line.parent), step=step, directory=str(self._run.path)
            )
        captured = capture(components)
        draft = Draft(
            step=step,
            epoch=epoch,
            metrics=as_numbers(metrics, self._warned),
            reason=reason,
            parent=self._line.parent,
            components=captured,
            tensors=pack_all(captured),
            metadata=describe_run(self._metadata),
        )
        run_id = self._attach()
        if self._saver is None:
            return self._commit(run_id, draft)
        snapshot = dataclasses.replace(draft, tensors=self._arena.copy(draft.tensors))
        return self._saver.start(step, lambda: self._commit(run_id, snapshot))

    def step(
        self, state: TrainingStateLike, /, **metrics: Any
    ) -> Checkpoint | PendingCheckpoint | None:
        """Tell the manager that a step was taken; it saves when its policy says so.

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
        if self._saver is not None:
            self._saver.raise_error()
        previous, self._previous = self._previous, (state.step, state.epoch)
        if self._save_policy is None:
            self._warn_once(
                "step() saves nothing, since no save= was given; call save(), or pass EverySteps(500)"
            )
            return None
        context = SaveContext(state.step, state.epoch, *previous, metrics)
        reason = self._save_policy.should_save(context)
        if reason is None or state.step == self._line.step:
            return None
        if self._when_busy == "skip" and self._saver is not None and self._saver.is_busy:
            _log.warning("step %d is not saved: an earlier save is still being written", state.step)
            self._previous = previous  # still due: the next step makes up for it
            return None
        return self.save(
            state.step, epoch=state.epoch, metrics=metrics, reason=reason, **state.components()
        )

    def clean(self, dry_run: bool = True) -> CleanupPlan:
        """Delete what the policy does not keep.

        This happens by itself after each save.

        Args:
            dry_run: Only say what would happen.

        Returns:
            For each checkpoint what happens to it, and why.
        """
        self.wait()
        if dry_run:
            return _cleanup.plan(self._run, self._keep)
        with translated_os_errors(f"clean {str(self._run.path)!r}"):
            return _cleanup.clean(self._run, self._keep)

    def _attach(self) -> str:
        """The run that this save belongs to; one of its own when nothing was restored."""
        self._run.create()
        with translated_os_errors(f"begin a run in {str(self._run.path)!r}"):
            if self._line.run_id is None:
                self._line.run_id = self._run.begin(self._naming.pattern)
            else:
                self._run.go_on(self._line.run_id, self._naming.pattern)
        return self._line.run_id

    def _commit(self, run_id: str, draft: Draft) -> Checkpoint:
        checkpoint = write_checkpoint(self._run, run_id, self._naming, draft)
        self._line = Line(run_id, checkpoint.name, draft.step)
        try:
            _cleanup.clean(self._run, self._keep)
        except Exception:  # noqa: BLE001  # a policy of the user's may raise anything
            # The checkpoint is safe; what could not be deleted is tried again after the next save.
            _log.exception("the clean-up after %s failed", checkpoint.name)
        return checkpoint
