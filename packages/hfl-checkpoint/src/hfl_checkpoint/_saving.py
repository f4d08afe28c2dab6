"""Saving: what is captured, when a policy asks for it, and what is kept afterwards."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, List, Literal, Mapping, Tuple

from hfl_checkpoint import _arguments, _cleanup, _endings
from hfl_checkpoint._arena import Arena
from hfl_checkpoint._components import capture
from hfl_checkpoint._find import metrics_of
from hfl_checkpoint._joint_save import conduct, contribute
from hfl_checkpoint._lazy import Deferrable
from hfl_checkpoint._metrics import as_numbers
from hfl_checkpoint._naming import Naming
from hfl_checkpoint._news import News, Notify, goals_of
from hfl_checkpoint._parts_of_ranks import part_of
from hfl_checkpoint._policies import SaveContext, SavePolicy, tell
from hfl_checkpoint._provenance import RunDescription
from hfl_checkpoint._ranks import Alone, Team
from hfl_checkpoint._reuse import Previous
from hfl_checkpoint._session import Line, Session
from hfl_checkpoint._snapshot import Snapshot
from hfl_checkpoint._space import Room, WhenFull
from hfl_checkpoint._votes import absent_metrics
from hfl_checkpoint._writer import Draft, pack_all, shard_all, write_checkpoint
from hfl_checkpoint.errors import CheckpointExistsError, SnapshotChangedError
from hfl_core import get_logger, log_context, translated_os_errors

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._background import BackgroundSaver, PendingCheckpoint
    from hfl_checkpoint._channel import Channel
    from hfl_checkpoint._checkpoint import Checkpoint, CleanupPlan, RestoreReport
    from hfl_checkpoint._component_files import Storage
    from hfl_checkpoint._retention import KeepPolicy

_log = get_logger(__name__)


class Saving(Session):
    """The saving side of a checkpoint manager, whose arguments are described there."""

    def __init__(  # noqa: PLR0913  # the manager's
        self,
        directory: str | os.PathLike[str],
        *,
        save: SavePolicy | None,
        keep: KeepPolicy,
        naming: str | Naming,
        background: bool,
        when_busy: Literal["wait", "skip", "coalesce"],
        metadata: Mapping[str, Any] | None,
        storage: Storage,
        snapshot: Literal["lazy", "eager"],
        when_full: WhenFull,
        notify: Notify | None,
    ) -> None:
        super().__init__(directory, background=background)
        self._save_policy = save
        self._keep = keep
        self._naming = naming if isinstance(naming, Naming) else Naming(naming)
        self._when_busy = when_busy
        self._description = RunDescription(metadata or {})
        self._storage = storage
        self._is_lazy = snapshot == "lazy"
        self._news = News(self._run.path.name, notify, goals_of(save, keep))
        self._room = Room(
            self._run, keep, when_full, tell=self._news.disk_low, give_up=self._give_up_for
        )
        # One is being written from; with "coalesce", another one may wait.
        self._arenas = [Arena()]
        self._waiting: Tuple[Snapshot, Arena] | None = None
        self._owed: str | None = None
        self._skipped: List[int] = []
        # The highest place in the order of commits that is known to be no surprise.
        self._seen: int | None = None

    @property
    def skipped(self) -> Tuple[int, ...]:
        """The steps that were due, or asked for, and not saved because the disk was too slow."""
        return tuple(self._skipped)

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
            ConfigError: The step, the epoch, the reason or a component's name makes no sense.
            CheckpointExistsError: This step is the last one that was saved or restored.
            UnknownTypeError: A state holds what a checkpoint cannot; nothing was written.
            DiskSpaceError: There is no room; nothing was committed.
            HflError: The error of the background save before this one.

        Example:
            >>> import tempfile
            >>> from hfl_checkpoint import CheckpointManager
            >>> checkpoints = CheckpointManager(tempfile.mkdtemp(), background=False)
            >>> checkpoints.save(10, metrics={"loss": 0.5}, counters={"seen": 320}).metrics
            {'loss': 0.5}
        """
        team = self._team
        facts = {"step": step, "components": tuple(sorted(components))} if team.is_several else {}

        def begin() -> None:
            _arguments.require_facts(epoch, {} if metrics is None else metrics, reason)
            self._before_save(team, step, components)

        with self._turn:  # there is one snapshot, so there is one save at a time
            team.agree(begin, **facts)
            with _endings.termination_postponed():
                draft = team.agree(
                    lambda: self._draft(team, step, epoch, metrics or {}, reason, components)
                )
                run_id = team.first(self._attach)
                if not team.is_first:
                    self._line.run_id = run_id
                    self._run.adopt(run_id)
                self._enter_log(run_id, step)
                self._began(team)
                context = SaveContext(step, epoch, *self._previous, metrics or {})
                tell(self._save_policy, "on_save", context)
                return self._begin(team, run_id, draft, components)

    def _before_save(self, team: Alone, step: int, components: Mapping[str, Any]) -> None:
        """Wait for the save before this one, and refuse one that makes no sense."""
        self._require_open()
        _arguments.require_step(step)
        if team.is_several:
            _arguments.require_joint(components, when_busy=self._when_busy)
        if self._when_busy == "coalesce" and self._saver is not None:
            self._saver.raise_error()
        else:
            self._wait_my_turn(step)
        self._refuse_twice(step)
        for name in self._storage.unknown(components):
            self._warn_once(
                f"{name!r} is to be compressed, and no component is called so: {', '.join(components)}"
            )

    def _draft(
        self,
        team: Alone,
        step: int,
        epoch: int | None,
        metrics: Mapping[str, Any],
        reason: str,
        components: Mapping[str, Any],
    ) -> Draft:
        captured = capture(components, rank=team.rank)
        packed = pack_all(captured)
        previous = self._previous_files() if team.is_first else None
        return Draft(
            step=step,
            epoch=epoch,
            metrics=as_numbers(metrics, self._warned) if team.is_first else {},
            reason=reason,
            parent=None,  # known when its turn comes
            components=captured,
            tensors=packed,
            shards=shard_all(captured, packed, self._storage, previous),
            metadata=self._description.text() if team.is_first else None,
            previous=previous,
        )

    @property
    def _is_busy(self) -> bool:
        return self._saver is not None and self._saver.is_busy

    def _wait_my_turn(self, step: int) -> None:
        is_late = self._is_busy
        begin = time.monotonic()
        self.wait()
        if is_late:
            self._warn_once(
                "saving takes longer than the training between two saves, which waits for it; save "
                "less often, or pass when_busy='skip' or 'coalesce'"
            )
            seconds = time.monotonic() - begin
            _log.info("step %d waited %.1f s for the save before it", step, seconds)

    def _refuse_twice(self, step: int) -> None:
        newest = self._saver.newest() if self._saver is not None else None
        if newest is not None and newest.step == step:
            newest.wait()
            if newest.error() is None:  # else the step may be tried again
                raise CheckpointExistsError(
                    newest.result().name, step=step, directory=str(self._run.path)
                )
        if step == self._line.step:
            raise CheckpointExistsError(
                str(self._line.parent), step=step, directory=str(self._run.path)
            )

    def _begin(
        self, team: Alone, run_id: str, draft: Draft, components: Mapping[str, Any]
    ) -> Checkpoint | PendingCheckpoint:
        saver = self._saver
        if saver is None:
            channel = team.caller if isinstance(team, Team) else None
            return self._conclude(team, channel, run_id, lambda: draft)
        channel = team.open_writer() if isinstance(team, Team) else None
        arena = self._free_arena(saver, draft.step)
        deferrable = Deferrable(components if self._is_lazy and team.is_first else {})
        snapshot = Snapshot.take(arena, draft.changeable, deferrable)
        if saver.is_busy:
            # The thread that would copy is writing, and the next optimizer step must not wait for that.
            threading.Thread(target=snapshot.copy_beside, name="hfl-snapshot").start()

        def finish() -> Draft:
            try:
                snapshot.finish()
            except SnapshotChangedError:
                # Once is enough to know that this program is not made for it.
                self._is_lazy = False
                raise
            return draft.with_copies(snapshot.packed)

        def write() -> Checkpoint:
            if self._waiting is not None and self._waiting[0] is snapshot:
                self._waiting = None
            try:
                return self._conclude(team, channel, run_id, finish)
            finally:
                self._arenas.append(arena)

        self._waiting = (snapshot, arena)
        return saver.start(draft.step, write)

    def _conclude(
        self, team: Alone, channel: Channel | None, run_id: str, finish: Callable[[], Draft]
    ) -> Checkpoint:
        """Write and commit; with several processes, jointly."""
        if channel is None:
            draft = finish()
            with log_context(step=draft.step):  # the training may be further by now
                return self._commit(run_id, draft)
        if team.is_first:
            return conduct(
                channel,
                finish,
                lambda draft, parts, ready: self._commit(
                    run_id, dataclasses.replace(draft, parts=parts, before_commit=ready)
                ),
            )
        began = time.monotonic()
        there = contribute(channel, team.rank, lambda: part_of(finish()))
        checkpoint = dataclasses.replace(there, path=self._run.path / there.name)
        self._line = Line(run_id, checkpoint.name, checkpoint.step)
        tell(self._save_policy, "on_commit", time.monotonic() - began)
        return checkpoint

    def _free_arena(self, saver: BackgroundSaver, newer: int) -> Arena:
        """Memory for a snapshot; a save that waits for its turn gives up its own."""
        waiting = self._waiting
        withdrawn = saver.withdraw(newer)
        if withdrawn is not None and waiting is not None:
            snapshot, arena = waiting
            snapshot.abandon()
            self._arenas.append(arena)
            self._skip(withdrawn.step, f"step {newer} takes its place")
        return self._arenas.pop() if self._arenas else Arena()

    def _skip(self, step: int, why: str) -> None:
        self._skipped.append(step)
        _log.warning("step %d is not saved: %s", step, why)

    def _release(self) -> None:
        for arena in self._arenas:
            arena.release()

    def clean(self, dry_run: bool = True) -> CleanupPlan:
        """Delete what the policy does not keep.

        This happens by itself after each save.

        Args:
            dry_run: Only say what would happen.

        Returns:
            For each checkpoint what happens to it, and why.

        Raises:
            HflError: What went wrong with the save under way.
            PermissionDeniedError: The directory cannot be written.
        """
        self.wait()
        if dry_run:
            return _cleanup.plan(self._run, self._keep)
        with translated_os_errors(f"clean {str(self._run.path)!r}"):
            return _cleanup.clean(self._run, self._keep)

    def _previous_files(self) -> Previous | None:
        """The last checkpoint of this line, as a source of files that need not be written again."""
        parent = self._line.parent
        return None if parent is None else Previous.read(self._run.path / parent)

    def _warn_of_company(self, newest: Checkpoint) -> None:
        """Say when somebody else commits to this run as well; two trainings of one run by mistake."""
        seen, self._seen = self._seen, newest.sequence
        others = [
            item.name
            for item in self._run.scan().checkpoints
            if seen is not None and seen < item.sequence < newest.sequence
        ]
        if others:
            self._warn_once(
                f"somebody also saves into {self._run.path}: {', '.join(others)} did not come from here. "
                "Nothing is lost, but a resume takes whichever is newest: give each training a directory "
                "of its own",
                key="company",
            )

    def _warn_of_absent_metrics(self) -> None:
        checkpoints = self._run.scan().checkpoints
        if len(checkpoints) < 2:  # before there is a choice, a metric may well be on its way
            return
        known = metrics_of(checkpoints)
        for metric in absent_metrics(self._keep, checkpoints):
            self._warn_once(
                f"none of the {len(checkpoints)} checkpoints has the metric {metric!r}, by which the best "
                f"ones are to be kept; they have {', '.join(known) or 'no metrics'}",
                key=f"absent metric {metric}",
            )

    def _began(self, team: Alone) -> None:
        if not self._news.is_under_way and team.is_first:
            self._news.begin(self._line.step)

    def _now_training(self, report: RestoreReport | None) -> None:
        if report is not None:
            self._enter_log(report.checkpoint.run_id, report.checkpoint.step)
        self._began(self._known_team)

    def _after_restore(self) -> None:
        checkpoints = self._team.first(self.checkpoints)
        self._seen = checkpoints[-1].sequence if checkpoints else None
        tell(self._save_policy, "on_restore", checkpoints)

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
        began = time.monotonic()
        parent, previous = self._line.parent, draft.previous
        # Others may have been committed before its turn came.
        if previous is None or previous.name != parent:
            previous = self._previous_files()
        draft = dataclasses.replace(draft, parent=parent, previous=previous)
        self._room.look_ahead(draft.size, run_id)
        checkpoint = self._room.make(
            lambda: write_checkpoint(self._run, run_id, self._naming, draft), draft, run_id
        )
        self._line = Line(run_id, checkpoint.name, draft.step)
        self._committed(checkpoint)  # first: what waits to be published is not deleted
        tell(self._save_policy, "on_commit", time.monotonic() - began)
        self._news.committed(checkpoint, self.checkpoints)
        try:
            self._warn_of_company(checkpoint)
            self._warn_of_absent_metrics()
            _cleanup.clean(self._run, self._keep)
        except Exception:  # noqa: BLE001  # a policy of the user's may raise anything
            # The checkpoint is safe; what could not be deleted is tried again after the next save.
            _log.exception("the clean-up after %s failed", checkpoint.name)
        return checkpoint
