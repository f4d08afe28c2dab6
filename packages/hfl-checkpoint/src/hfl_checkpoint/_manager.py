"""The one object that a training script holds: saves, keeps, finds, verifies and restores."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any, Collection, Dict, Literal, Mapping

from hfl_checkpoint import _arguments, _cleanup
from hfl_checkpoint._background import BackgroundSaver, PendingCheckpoint
from hfl_checkpoint._catalog import Catalog
from hfl_checkpoint._checkpoint import Checkpoint, CleanupPlan, RestoreReport
from hfl_checkpoint._components import capture, kinds_of
from hfl_checkpoint._find import Which
from hfl_checkpoint._metrics import as_numbers
from hfl_checkpoint._naming import Naming
from hfl_checkpoint._policies import SaveContext, SavePolicy
from hfl_checkpoint._protocol import TrainingStateLike
from hfl_checkpoint._provenance import describe_run, version_warnings
from hfl_checkpoint._reader import read_components
from hfl_checkpoint._restore import restore_components
from hfl_checkpoint._retention import KeepAll, KeepPolicy
from hfl_checkpoint._select import selected
from hfl_checkpoint._snapshot import Arena
from hfl_checkpoint._writer import Draft, pack_all, write_checkpoint
from hfl_checkpoint.errors import (
    CheckpointExistsError,
    CheckpointNotFoundError,
    MissingComponentError,
)
from hfl_core import ConfigError, get_logger, translated_os_errors

if TYPE_CHECKING:
    import os
    from types import TracebackType

    import torch

_log = get_logger(__name__)


@dataclasses.dataclass
class _Line:
    """Where training stands: which run it belongs to, and its last checkpoint."""

    run_id: str | None = None
    parent: str | None = None
    step: int | None = None


class CheckpointManager(Catalog):
    """Keeps the checkpoints of one run in a directory.

    Nothing is created before the first save. A manager that restores goes on with the run that it
    found; one that saves without having restored begins a run of its own, and what other runs left in
    the directory is neither counted nor deleted.

    Args:
        directory: The run's directory.
        save: When `step` saves; None leaves it to calls of `save`.
        keep: Which checkpoints stay. The newest verified one always does.
        naming: Pattern of the directories' names, with ``{step}`` or ``{sequence}`` in it, and
            ``{epoch}`` and ``{run}`` if wanted.
        background: Write on another thread; the caller pays for a copy in memory. Errors come up at
            the next call of `step`, `save`, `wait` or `close`.
        when_busy: What `step` does when a save is due and the one before it is still being written:
            ``"wait"``, or ``"skip"`` it and say so in the log. `save` always waits.
        metadata: More to record in each checkpoint's ``metadata.json``: name to what JSON can hold.

    Raises:
        ConfigError: An argument makes no sense, or `directory` is a file.

    Example:
        >>> import tempfile, torch
        >>> from hfl_checkpoint import CheckpointManager, KeepLast
        >>> model = torch.nn.Linear(2, 1)
        >>> with CheckpointManager(tempfile.mkdtemp(), keep=KeepLast(2)) as checkpoints:
        ...     pending = checkpoints.save(1, model=model)
        ...     checkpoints.restore("latest", model=model).checkpoint.name
        'step-00000001'
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        save: SavePolicy | None = None,
        keep: KeepPolicy = KeepAll(),  # noqa: B008  # immutable
        naming: str = "step-{step:08d}",
        background: bool = True,
        when_busy: Literal["wait", "skip"] = "wait",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        _arguments.check_policies(save, keep, when_busy)
        super().__init__(directory)
        self._save_policy = save
        self._keep = keep
        self._naming = Naming(naming)
        self._when_busy = when_busy
        self._metadata = dict(metadata or {})
        self._saver = BackgroundSaver() if background else None
        self._arena = Arena()
        self._line = _Line()
        self._previous: tuple[int, int | None] = (0, None)
        self._warned: set[str] = set()
        self._is_closed = False
        self._turn = threading.RLock()

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

    def load(
        self,
        which: Which = "latest",
        *,
        only: Collection[str] | None = None,
        map_location: str | torch.device | None = None,
    ) -> Dict[str, Any]:
        """Read states without touching a live object.

        Args:
            which: ``"latest"``, ``"best:<metric>"``, a step, a name or label, or a `Checkpoint`.
            only: The components to read; None reads all.
            map_location: A device to copy the tensors to. None leaves them mapped from the files:
                they are read when they are used, and writing to them does not reach the files.

        Returns:
            Component to state dict, as ``load_state_dict`` of the saved class takes it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged.
            MissingComponentError: It lacks a component of `only`.
        """
        self.wait()
        with selected(self._run, which, strict=False) as selection:
            available = selection.manifest.components
            names = list(available) if only is None else list(only)
            absent = [name for name in names if name not in available]
            if absent:
                raise MissingComponentError(
                    selection.checkpoint.name, missing=absent, available=list(available)
                )
            saved = read_components(
                selection.checkpoint.path, selection.manifest, names, map_location=map_location
            )
        return {name: item.as_state_dict() for name, item in saved.items()}

    def restore(
        self,
        which: Which = "latest",
        *,
        strict: bool = False,
        allow_missing: Collection[str] = (),
        **components: Any,
    ) -> RestoreReport:
        """Put a checkpoint's states into live objects.

        Everything is verified and compared before the first object is touched. A damaged newest
        checkpoint is set aside, and the one before it is restored whole.

        Args:
            which: As for `load`.
            strict: Raise for a damaged newest checkpoint instead of going back.
            allow_missing: Components that the checkpoint may lack.
            **components: Name to live object, as for `save`.

        Returns:
            What was restored, from where, and what to know about it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged, or all are.
            MissingComponentError: A component is not in it, and was not allowed to be missing.
            StateMismatchError: A saved state does not fit its live object; none was touched.
        """
        self._require_open()
        self.wait()
        kinds_of(components)
        with selected(self._run, which, strict=strict) as selection:
            checkpoint, manifest = selection.checkpoint, selection.manifest
            missing = _arguments.missing_components(
                checkpoint.name, manifest, components, allow_missing
            )
            present = {name: item for name, item in components.items() if name not in missing}
            saved = read_components(checkpoint.path, manifest, present)
            restored = restore_components(saved, present)
        self._run.adopt(checkpoint.run_id)
        self._line = _Line(checkpoint.run_id, checkpoint.name, checkpoint.step)
        self._previous = (checkpoint.step, checkpoint.epoch)
        warnings = [*selection.warnings, *version_warnings(manifest.versions)]
        warnings += [
            f"{name!r} is in the checkpoint and was not restored"
            for name in manifest.components
            if name not in components
        ]
        for warning in warnings[len(selection.warnings) :]:  # those were logged when they came up
            _log.warning("%s: %s", checkpoint.name, warning)
        return RestoreReport(
            checkpoint, restored, tuple(missing), selection.quarantined, tuple(warnings)
        )

    def resume(
        self, state: TrainingStateLike | None = None, **components: Any
    ) -> RestoreReport | None:
        """Restore the newest verified checkpoint; do nothing on a fresh run.

        Args:
            state: The training state; its components are restored.
            **components: More of them, or all when there is no state object.

        Returns:
            What was restored, or None when the run has no checkpoint yet.

        Raises:
            CheckpointDamagedError: There are checkpoints, and all are damaged.
            HflError: As for `restore`.
        """
        everything = {**(state.components() if state is not None else {}), **components}
        try:
            return self.restore("latest", **everything)
        except CheckpointNotFoundError:
            return None

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

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the save under way.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It is still being written.
            HflError: What went wrong with it.
        """
        if self._saver is not None:
            self._saver.wait(timeout)

    def settle(self) -> None:
        """Wait for the save under way."""
        self.wait()

    def close(self) -> None:
        """Finish the save under way and give memory back; the manager saves no more after it.

        Raises:
            HflError: What went wrong with the save.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self.wait()
        finally:
            if self._saver is not None:
                self._saver.close()
            self._arena.release()

    def __enter__(self) -> CheckpointManager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except Exception:  # noqa: BLE001  # the block's own error is the one to see
            _log.exception("the last save failed as well")

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
        self._line = _Line(run_id, checkpoint.name, draft.step)
        try:
            _cleanup.clean(self._run, self._keep)
        except Exception:  # noqa: BLE001  # a policy of the user's may raise anything
            # The checkpoint is safe; what could not be deleted is tried again after the next save.
            _log.exception("the clean-up after %s failed", checkpoint.name)
        return checkpoint

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ConfigError("This checkpoint manager is closed.", hint="Make a new one.")
