"""Putting a training back where it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

from hfl_checkpoint import CheckpointManager
from hfl_core import IncompatibleStateError, get_logger
from hfl_integrations._lightning import _content, _progress
from hfl_integrations._lightning._compat import begin_afresh, without_restarting
from hfl_integrations._lightning._rank import RankState
from hfl_integrations._lightning._together import from_first

if TYPE_CHECKING:
    from hfl_checkpoint import Checkpoint
    from hfl_integrations._lightning._saves import Saves

_log = get_logger(__name__)


class Resume:
    """The resuming side.

    Lightning loads its dictionary: the model, callbacks, schedules, counters. The rest is put back
    when the loop is where it was, because Lightning draws random numbers and makes loaders on its way.

    Args:
        trainer: The Trainer.
        manager: The run's manager.
        saves: The saving side, which has the loaders.
        on_change: ``"error"`` or ``"override"``.

    Attributes:
        is_validation_due: Whether the last batch is still to be followed by a validation.
    """

    def __init__(
        self, trainer: Any, manager: CheckpointManager, saves: Saves, *, on_change: str
    ) -> None:
        self._trainer = trainer
        self._manager = manager
        self._saves = saves
        self._on_change = on_change
        self._own: Mapping[str, Any] | None = None
        self._position: Mapping[str, Any] = {}
        self._rank: RankState | None = None
        self._is_within_epoch = False
        self._is_due = False
        self.is_validation_due = False

    def take(self, checkpoint: Mapping[str, Any]) -> None:
        """Learn what Lightning is restoring.

        Args:
            checkpoint: Its dictionary.
        """
        own = checkpoint.get(_content.OWN)
        self._own = own if own and "hfl_position" in checkpoint else None
        self._position = checkpoint.get("hfl_position", {})

    def begin(self) -> None:
        """Before the loop runs: restore what Lightning does not, and set its counters right.

        Raises:
            IncompatibleStateError: The saved state does not fit; the message says in what.
        """
        own, self._own = self._own, None
        if own is None:
            return
        trainer, position = self._trainer, self._position
        self._is_within_epoch = bool(position["within_epoch"])
        self._is_due = True
        self._restore_from(own["source"])
        begin_afresh(trainer.fit_loop)
        progress = trainer.fit_loop.epoch_progress
        for counts in (progress.total, progress.current):
            counts.ready = counts.started = counts.processed = counts.completed
        if position["stopped"] and _has_early_stopping(trainer):
            _log.warning(
                "early stopping ended this run at step %d already, and nothing is left to train",
                trainer.global_step,
            )
            trainer.should_stop = True

    def before_epoch(self) -> None:
        """Between two epochs: everything is restored when training has begun."""
        if self._is_due and not self._is_within_epoch:
            self._finish(None)

    def reset_epoch(self) -> bool:
        """Keep the counts of the epoch that goes on; False when it is a new one."""
        if not (self._is_due and self._is_within_epoch):
            return False
        loop = self._trainer.fit_loop.epoch_loop
        counts = loop.batch_progress
        for each in (counts.total, counts.current):
            each.ready = each.started = each.processed = each.completed
        loop.scheduler_progress.reset_on_restart()
        loop.automatic_optimization.optim_progress.reset_on_restart()
        return True

    def within_epoch(self, data_fetcher: Any, original: Callable[[Any], None]) -> bool:
        """Go on in the middle of the data; False when it is a new epoch."""
        if not (self._is_due and self._is_within_epoch):
            return False
        self.is_validation_due = bool(self._position["validation_due"])
        self._finish(data_fetcher)
        with without_restarting(self._trainer.fit_loop.epoch_loop):
            original(data_fetcher)
        return True

    # -- inside -------------------------------------------------------------------------------

    def _restore_from(self, source: Checkpoint) -> None:
        trainer = self._trainer
        directory = source.path.parent
        is_own = from_first(lambda: directory.resolve() == Path(self._manager.directory).resolve())
        manager = self._manager
        if not is_own:
            manager = CheckpointManager(directory, keep="all", background=False)
        manager.run_directory.adopt(source.run_id)
        self._rank = RankState([], {}, on_change=self._on_change)
        states = manager.load(source, only=["model"])
        components: Dict[str, Any] = {
            "model": _content.SavedModule(states["model"], trainer.lightning_module),
            _content.CONTENT: _content.Content(),
            _content.RANK: self._rank,
        }
        # Again, after Lightning: torch's own way gives moments the data type of their parameters.
        optimizers = trainer.optimizers
        components.update(zip(_content.optimizer_names(len(optimizers)), optimizers))
        manager.restore(source, strict=True, **components)
        if is_own:
            path = Path(manager.directory) / source.name
            self._saves.written = (int(trainer.global_step), str(path))
        else:
            manager.close()
        _log.info("going on from %s, step %d", source.name, trainer.global_step)

    def _finish(self, data_fetcher: Any) -> None:
        """Set everything right that was moved on the way here; the random streams at the end."""
        self._is_due = False
        rank = self._rank
        if rank is None or rank.saved is None:
            raise AssertionError("restored in begin()")
        self._require_same_accumulation()
        self._set_up_validation()
        self._go_to(rank.saved["loaders"])
        if data_fetcher is not None:
            iter(data_fetcher)  # a new iterator, which goes on there
        _progress.restore(self._trainer, rank.saved["progress"], within_epoch=self._is_within_epoch)
        rank.restore_streams()
        self._rank = None  # no checkpoint stays in memory

    def _go_to(self, positions: List[Any]) -> None:
        loaders = [loader for _, loader in sorted(self._saves.loaders.items())]
        loop = self._trainer.fit_loop.epoch_loop
        goes_on = (
            self._is_within_epoch
            and loop.batch_progress.current.completed > 0
            and not loop._num_ready_batches_reached()
        )
        if len(loaders) != len(positions):
            raise IncompatibleStateError(
                f"There were {len(positions)} training loaders, and there are {len(loaders)}.",
                hint="Go on with the same loaders, or begin a new run in another directory.",
            )
        for loader, position in zip(loaders, positions):
            if loader is not None and position is not None:
                loader.go_to(position, within_epoch=goes_on)

    def _require_same_accumulation(self) -> None:
        was, here = self._position["accumulate_grad_batches"], self._trainer.accumulate_grad_batches
        if was == here:
            return
        text = f"accumulate_grad_batches was {was} and is {here}."
        if self._on_change == "error" and self._is_within_epoch:
            raise IncompatibleStateError(
                f"{text} A step in the middle of an epoch would have other batches.",
                hint="Use the old setting, or LifecycleCheckpoint(…, on_change='override').",
            )
        _log.warning("%s The run goes on, and is no longer what it would have been.", text)

    def _set_up_validation(self) -> None:
        """Loaders draw a number when their workers start; those that run already draw none later."""
        trainer = self._trainer
        saved = self._position["validation_loaders"]
        if saved is None:
            return
        loop = trainer.fit_loop.epoch_loop.val_loop
        if loop._combined_loader is None:
            trainer.validating = True
            loop.setup_data()
            trainer.training = True
        flattened = () if loop._combined_loader is None else loop._combined_loader.flattened
        for is_running, loader in zip(saved, flattened):
            if is_running and getattr(loader, "_iterator", self) is None:
                iter(loader)


def _has_early_stopping(trainer: Any) -> bool:
    return any(
        cls.__name__ == "EarlyStopping"
        for callback in trainer.callbacks
        for cls in type(callback).__mro__
    )
