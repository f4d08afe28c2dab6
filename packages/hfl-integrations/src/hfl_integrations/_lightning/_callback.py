"""The object that people add to their Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Literal, Mapping, Tuple

from hfl_checkpoint import CheckpointManager
from hfl_core import ConfigError, get_logger
from hfl_integrations._lightning import _bookkeeping, _places
from hfl_integrations._lightning._arguments import split
from hfl_integrations._lightning._compat import bound, resolve_directory
from hfl_integrations._lightning._naming import NamedSteps, as_directory_name
from hfl_integrations._lightning._paths import require_local
from hfl_integrations._lightning._plan import announce, refuse_unsupported, require_same_framework
from hfl_integrations._lightning._resume import Resume
from hfl_integrations._lightning._retention import KeepAsModelCheckpoint
from hfl_integrations._lightning._saves import Request, Saves, is_within_epoch
from hfl_integrations._lightning._seams import Replaced, Seams, as_first_says, load_ours
from hfl_integrations._lightning._together import are_several
from hfl_state import RngState

if TYPE_CHECKING:
    import os

    from lightning.pytorch.callbacks import ModelCheckpoint as _Base
else:
    _Base = object

_log = get_logger(__name__)


class LifecycleCheckpoint(_Base):
    """A ModelCheckpoint that hands saving, retention, publishing and resuming to a checkpoint manager.

    Write it in the place of ModelCheckpoint, with the same arguments. ``trainer.fit(model,
    ckpt_path="last")`` goes on from the newest verified checkpoint, on this disk or on the Hub, at the very
    batch, and begins anew where there is none. ``best_model_path``, ``best_k_models``,
    ``last_model_path`` and ``ckpt_path="best"`` work as before; a path is that of a directory.

    Args:
        dirpath: The run's directory. As with ModelCheckpoint, None stands for a folder of the logger's
            or the Trainer's; a logger that begins a new folder each time leaves nothing to resume.
        filename: Pattern of the checkpoints' names.
        monitor: The metric that ``save_top_k`` goes by.
        on_change: What to do when a run goes on with another batch size, number of processes or dataset,
            so that samples would be repeated or left out: ``"error"``, or ``"override"`` to go on and say so.
        **arguments: More of ModelCheckpoint's (``mode``, ``save_top_k``, ``save_last``, ``every_n_epochs``,
            ``every_n_train_steps`` …), and of `hfl_checkpoint.CheckpointManager` (``hub``, ``keep``, ``save``,
            ``background`` …). A policy passed as ``save`` saves more than the arguments ask for, one passed
            as ``keep`` keeps more.

    Raises:
        ConfigError: An argument makes no sense. What ModelCheckpoint refuses, it refuses in its own words.
        UnsupportedFrameworkError: This version of Lightning is not supported.
        MissingExtraError: Lightning is not installed.

    Example:
        .. code-block:: python

            checkpoint = LifecycleCheckpoint("runs/digits", monitor="val_loss", save_last=True)
            trainer = Trainer(callbacks=[checkpoint], max_epochs=10)
            trainer.fit(model, ckpt_path="last")
    """

    def __new__(cls, *_: Any, **__: Any) -> LifecycleCheckpoint:
        """Make an instance that the Lightning in use takes for a ModelCheckpoint."""
        made = bound(cls, "callbacks", "ModelCheckpoint", needed_by="LifecycleCheckpoint")
        instance: LifecycleCheckpoint = object.__new__(made)
        return instance

    def __init__(
        self,
        dirpath: str | os.PathLike[str] | None = None,
        filename: str | None = None,
        monitor: str | None = None,
        *,
        on_change: Literal["error", "override"] = "error",
        **arguments: Any,
    ) -> None:
        own, options = split(type(self), arguments, on_change)
        self._notes: Tuple[str, ...] = _bookkeeping.give_way(own)
        directory = None if dirpath is None else require_local(dirpath)
        super().__init__(dirpath=directory, filename=filename, monitor=monitor, **own)
        self._on_change = on_change
        self._state_key: str | None = None
        self._naming = NamedSteps()
        self._keep = KeepAsModelCheckpoint(
            lambda: _bookkeeping.named(self), options.pop("keep", None)
        )
        self._has_policy = options.get("save") is not None
        self._options = options
        self._manager: CheckpointManager | None = None
        self._replaced = Replaced()
        self._saves: Saves | None = None
        self._resume: Resume | None = None
        self._request: Request | None = None
        self._is_postponed = False
        self._is_deferring = False
        if self.dirpath is not None:
            self._manager = self._make_manager(str(self.dirpath))

    # -- for people ---------------------------------------------------------------------------

    @property
    def manager(self) -> CheckpointManager:
        """The checkpoint manager.

        Raises:
            ConfigError: The directory is not known before the Trainer is: `dirpath` is None.
        """
        if self._manager is None:
            raise ConfigError(
                "Where this LifecycleCheckpoint saves is only known when its Trainer runs.",
                hint="Pass dirpath=, or ask for the manager after trainer.fit().",
            )
        return self._manager

    @property
    def is_preempted(self) -> bool:
        """Whether training was stopped by a signal or a deadline, and is to go on in another process."""
        return self._saves is not None and self._saves.is_preempted

    # -- what the Trainer calls ---------------------------------------------------------------

    @property
    def state_key(self) -> str:
        """The name of its state; Lightning asks for it with every call of every hook."""
        if self._state_key is None:
            self._state_key = str(super().state_key)
        return self._state_key

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Find the directory, and take the places in the Trainer at which something is to happen."""
        require_same_framework(self, trainer)
        super().setup(trainer, pl_module, stage)
        self._require_manager(trainer)
        self._replaced.take_back()
        self._replaced.put(trainer.strategy, "load_checkpoint", load_ours(self))
        connector = trainer._checkpoint_connector
        self._replaced.put(connector, "resume_start", as_first_says)
        if stage != "fit":
            return
        refuse_unsupported(trainer)
        announce(self, trainer, self._notes)
        self._saves = Saves(
            trainer,
            self.manager,
            naming=self._naming,
            keep=self._keep,
            has_policy=self._has_policy,
        )
        self._resume = Resume(trainer, self.manager, self._saves, on_change=self._on_change)
        self._request, self._is_postponed = None, False
        if trainer.fast_dev_run:
            return
        seams = Seams(trainer, self, self._saves, self._resume, on_change=self._on_change)
        seams.install(self._replaced)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave the Trainer as it was."""
        super().teardown(trainer, pl_module, stage)
        self._replaced.take_back()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Decide whether this step is saved, when it is a whole one."""
        every = self._every_n_train_steps
        is_due = self._is_postponed or self._train_time_interval is not None
        if not is_due and (every < 1 or trainer.global_step % every):
            return  # as ModelCheckpoint would find out, which takes longer
        if trainer.fit_loop._should_accumulate():
            return  # gradients that are being summed are in no checkpoint
        self._is_deferring = True
        try:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            if self._is_postponed:
                self._is_postponed = False
                self._after_validation(trainer, pl_module)
        finally:
            self._is_deferring = False

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Decide whether this step is saved, now that its metrics are known."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            if trainer.fit_loop._should_accumulate():
                self._is_postponed = True  # to the end of the step
                return
            self._after_validation(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Decide whether the end of this epoch is saved."""
        self._is_deferring = True
        try:
            super().on_train_epoch_end(trainer, pl_module)
            if self._should_save_on_train_epoch_end(trainer):
                self._keep_last_up_to_date(trainer)
        finally:
            self._is_deferring = False

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Save the last step where that is wanted, and see that everything is saved."""
        if not self.is_preempted:
            super().on_train_end(trainer, pl_module)
            self._keep_last_up_to_date(trainer)
        if self._manager is not None:
            self._manager.wait()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Save where ``save_on_exception`` asks for it, and leave the Trainer as it was."""
        try:
            if not self.is_preempted:
                super().on_exception(trainer, pl_module, exception)
            self._require_manager(trainer).wait()
        except Exception:  # noqa: BLE001  # the error that ends the training is the one to see
            _log.exception("a save at the end of an interrupted training failed")
        finally:
            self._replaced.take_back()

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Dict[str, Any]) -> None:
        """Learn what Lightning is restoring."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if self._resume is not None and trainer.state.fn == "fit":
            self._resume.take(checkpoint)

    def state_dict(self) -> Dict[str, Any]:
        """Return ModelCheckpoint's state, without paths of this machine."""
        return _bookkeeping.without_directory(super().state_dict())

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Take over a state, for the directory that the run is in now."""
        super().load_state_dict(_bookkeeping.in_directory(state_dict, self.dirpath))

    # -- what the seams call ------------------------------------------------------------------

    def before_validation(self) -> Mapping[str, Any]:
        """Save what was decided, as a validation may take long, and return where the random streams stand."""
        streams = RngState().state_dict()
        if self._request is not None:
            self.on_boundary(within_epoch=True, streams=streams)
        return streams

    def on_boundary(
        self,
        *,
        within_epoch: bool,
        is_ending: bool = False,
        streams: Mapping[str, Any] | None = None,
    ) -> None:
        """Save what was decided, now that the step or the epoch is over.

        Args:
            within_epoch: Whether the epoch goes on after this.
            is_ending: Whether Lightning is about to end the training, as it got SIGTERM.
            streams: Where the random streams stood before a validation that is to be made up for.
        """
        saves = self._saves
        if saves is None or saves.is_preempted:
            return
        trainer = saves.trainer
        request, self._request = self._request, None
        if request is None and is_ending and trainer.global_step > 0:
            request = Request(self._next_path(trainer), self.save_weights_only, "preemption")
        if request is not None:
            self._write(request, within_epoch=within_epoch, streams=streams)
        else:
            self._ask_policy(within_epoch)
        if is_ending:
            saves.preempted()

    def arrive(self, path: Any) -> Any:
        """Bring a checkpoint here that is on the Hub, and return where it is."""
        return _places.arrived(path, self.manager, has_hub=bool(self._options.get("hub")))

    # -- what ModelCheckpoint's logic calls ---------------------------------------------------

    def _save_checkpoint(self, trainer: Any, filepath: str) -> None:
        reason = "best" if self.monitor is not None and self.save_top_k > 0 else "interval"
        request = Request(filepath, self.save_weights_only, reason)
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        if self._is_deferring:
            self._request = request
        else:
            self._write(request, within_epoch=is_within_epoch(trainer))

    def _save_last_checkpoint(self, trainer: Any, monitor_candidates: Dict[str, Any]) -> None:
        """``last`` is the newest checkpoint; there is no second copy of it."""
        if not self.save_last:
            return
        if self._last_global_step_saved == trainer.global_step and self._last_checkpoint_saved:
            self.last_model_path = self._last_checkpoint_saved
            return
        filepath = self._get_metric_interpolated_filepath_name(monitor_candidates, trainer)
        self.last_model_path = filepath
        self._save_checkpoint(trainer, filepath)

    def _get_metric_interpolated_filepath_name(
        self,
        monitor_candidates: Dict[str, Any],
        trainer: Any,
        del_filepath: str | None = None,  # noqa: ARG002  # what is deleted later still has its name
    ) -> str:
        self._enable_version_counter = True
        return str(super()._get_metric_interpolated_filepath_name(monitor_candidates, trainer))

    def format_checkpoint_name(self, metrics: Any, *args: Any, **kwargs: Any) -> str:
        """Make the path of a checkpoint; its name is that of one directory."""
        text: str = super().format_checkpoint_name(metrics, *args, **kwargs)
        if self.dirpath is None:
            return text
        directory = str(self.dirpath)
        return str(Path(directory) / as_directory_name(text[len(directory) :].lstrip("/\\")))

    def file_exists(self, filepath: Any, trainer: Any) -> bool:
        """Whether a name is taken: on disk, or by a save that is under way."""
        is_taken = trainer.is_global_zero and (
            Path(filepath).exists() or Path(filepath).name in self._naming
        )
        return bool(trainer.strategy.broadcast(is_taken))

    def _remove_checkpoint(self, trainer: Any, filepath: str) -> None:
        """Do nothing: the manager deletes what is named no longer, when its successor is safe."""

    def _find_last_checkpoints(self, trainer: Any) -> Any:
        manager = self._require_manager(trainer)
        # In a second training, say, the processes can talk to each other by now, and all have to ask.
        if trainer.is_global_zero or are_several():
            manager.fetch_newer()
        newest = manager.latest()
        if newest is None:
            return super()._find_last_checkpoints(trainer)
        is_run = (Path(manager.directory) / _places.RUN).is_file()
        return {
            str(manager.directory if is_run else newest.path)
        }  # a run: its newest that verifies

    # -- inside -------------------------------------------------------------------------------

    def _after_validation(self, trainer: Any, pl_module: Any) -> None:
        self._is_deferring = True
        try:
            super().on_validation_end(trainer, pl_module)
            if not self._should_save_on_train_epoch_end(trainer):
                self._keep_last_up_to_date(trainer)
        finally:
            self._is_deferring = False

    def _keep_last_up_to_date(self, trainer: Any) -> None:
        """With ``save_last``, save although the step is not among the best: last is the last one."""
        if (
            not self._should_skip_saving_checkpoint(trainer)
            and self.save_last
            and trainer.global_step > 0
        ):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def _write(
        self,
        request: Request,
        *,
        within_epoch: bool,
        streams: Mapping[str, Any] | None = None,
    ) -> None:
        saves = self._saves
        if saves is None:
            raise AssertionError("only called while a Trainer fits")
        actual = saves.write(request, within_epoch=within_epoch, streams=streams)
        if actual != request.path:
            _bookkeeping.rename(self, request.path, actual)
        for logger in saves.trainer.loggers if saves.trainer.is_global_zero else ():
            logger.after_save_checkpoint(self)

    def _ask_policy(self, within_epoch: bool) -> None:
        saves = self._saves
        if saves is None or not self._has_policy:
            return
        if within_epoch and saves.trainer.fit_loop._should_accumulate():
            return
        is_saved = saves.ask_policy(
            lambda: self._next_path(saves.trainer),
            weights_only=self.save_weights_only,
            within_epoch=within_epoch,
        )
        if is_saved:
            self._last_global_step_saved, self._last_checkpoint_saved = saves.written

    def _next_path(self, trainer: Any) -> str:
        candidates = self._monitor_candidates(trainer)
        return self._get_metric_interpolated_filepath_name(candidates, trainer)

    def _require_manager(self, trainer: Any) -> CheckpointManager:
        if self._manager is None:
            directory = trainer.strategy.broadcast(resolve_directory(self, trainer))
            self._manager = self._make_manager(require_local(directory))
        return self._manager

    def _make_manager(self, directory: str) -> CheckpointManager:
        return CheckpointManager(directory, naming=self._naming, keep=self._keep, **self._options)
