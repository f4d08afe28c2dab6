"""The seams of one Trainer at which the manager takes the place of its own saving and loading.

They are set on the object: no class of transformers is changed, and other Trainers do not notice.
"""

from __future__ import annotations

import contextlib
import functools
import signal
from typing import TYPE_CHECKING, Any, Dict, Iterator, Literal, Mapping

from hfl_core import ConfigError, get_logger
from hfl_integrations._trainer import _ranks
from hfl_integrations._trainer._compat import Trainer, carries_gradients_over_epochs
from hfl_integrations._trainer._plan import plan_for, wanted_metrics
from hfl_integrations._trainer._resume import Resume
from hfl_integrations._trainer._saves import Saves
from hfl_integrations._trainer._workers import keep_steady, start_persistent_workers

if TYPE_CHECKING:
    from hfl_integrations._trainer._callback import LifecycleCallback
    from hfl_integrations._trainer._policies import KeepAsConfigured, Preemption

_log = get_logger(__name__)


class Takeover:
    """What replaces parts of one Trainer.

    Args:
        trainer: The Trainer.
        callback: The callback that it has.
        preemption: The policy that listens to SIGTERM where the Trainer is asked to.
        on_change: ``"error"`` or ``"override"``.
        options: The manager's options, as given.
        configured: The retention that follows the Trainer's settings.

    Raises:
        ConfigError: The Trainer's settings and the options contradict each other.
    """

    def __init__(
        self,
        trainer: Any,
        callback: LifecycleCallback,
        *,
        preemption: Preemption,
        on_change: Literal["error", "override"],
        options: Mapping[str, Any],
        configured: KeepAsConfigured,
    ) -> None:
        _refuse_sharded(trainer)
        self.trainer = trainer
        self._callback = callback
        self._manager = callback.manager
        self._preemption = preemption
        self._options = options
        self._plan = plan_for(
            trainer.args,
            save=options.get("save"),
            keep=options.get("keep"),
            hub=options.get("hub"),
            configured=configured,
        )
        self._saves = Saves(
            trainer,
            self._manager,
            follows_trainer=self._plan.follows_trainer,
            on_change=on_change,
        )
        self._resume = Resume(trainer, self._manager, self._saves, on_change=on_change)
        self._originals: Dict[str, Any] = {}
        self._is_announced = False
        self._is_metric_checked = False

    @property
    def is_preempted(self) -> bool:
        """Whether training was stopped to go on in another process."""
        return self._saves.is_preempted

    def install(self) -> None:
        """Put the seams in place."""
        _disarm_jit(self.trainer)
        for name, replacement in {
            "train": self._train,
            "_maybe_log_save_evaluate": self._after_step,
            "_save_checkpoint": self._saves.asked_by_trainer,
            "_load_from_checkpoint": self._load_from_checkpoint,
            "_load_optimizer_and_scheduler": self._load_optimizer_and_scheduler,
            "_load_scaler": self._load_scaler,
            "_load_rng_state": self._load_rng_state,
            "_load_best_model": self._saves.load_best_model,
            "_save": self._save_model_files,
            "_init_training_state": self._init_training_state,
            "get_train_dataloader": self._get_train_dataloader,
            "get_eval_dataloader": self._get_eval_dataloader,
        }.items():
            original = getattr(self.trainer, name, None)
            if original is not None:
                self._originals[name] = original
                # `wraps` keeps the signature, which some integrations look at.
                setattr(self.trainer, name, functools.wraps(original)(_plain(replacement)))
        own = type(self.trainer)._save_checkpoint
        if own is not Trainer._save_checkpoint:
            _log.warning(
                "%s._save_checkpoint is not called: checkpoints are written by the manager",
                type(self.trainer).__name__,
            )
        self._be_last()

    # -- events -------------------------------------------------------------------------------

    def on_train_begin(self) -> None:
        """Restore the callbacks' counters, now that all of them have begun."""
        self._be_last()
        self._warn_of_gradients_that_no_checkpoint_holds()
        self._resume.on_train_begin()

    def on_epoch_begin(self) -> None:
        """Remember where the epoch begins, or go back to where it did."""
        self._saves.epoch.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """The next look at saving is the one after the epoch."""
        self._saves.epoch.on_epoch_end()
        self._saves.is_after_epoch = True

    def on_evaluate(self, metrics: Mapping[str, Any]) -> None:
        """Remember the metrics, and say which of the wanted ones never come."""
        self._saves.on_evaluate(metrics)
        if self._is_metric_checked:
            return
        self._is_metric_checked = True
        wanted = wanted_metrics(self._options.get("save"), self._options.get("keep"))
        for name in wanted:
            if name.startswith("eval_") and name not in metrics:
                _log.warning(
                    "%r decides what is saved or kept, and this evaluation does not have it; it has %s",
                    name,
                    ", ".join(sorted(metrics)),
                )

    def on_train_end(self) -> None:
        """Wait for the save under way, so that its error comes up in `train`."""
        self._manager.wait()

    # -- seams --------------------------------------------------------------------------------

    def _train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("trial") is not None or (args and args[0] is not None):
            raise ConfigError(
                "A hyperparameter search trains many runs, and one directory holds one.",
                hint="Search without LifecycleCallback, or with one for each trial's Trainer.",
            )
        self._be_last()
        self._announce(resume_from_checkpoint)
        original = self._originals["train"]
        with self._own_settings(), self._listening(), self._resume.going_on_from(
            resume_from_checkpoint
        ) as place:
            return self._resume.run(lambda: original(place, *args, **kwargs))

    def _after_step(self, *args: Any, **kwargs: Any) -> Any:
        return self._saves.after_step(
            lambda: self._originals["_maybe_log_save_evaluate"](*args, **kwargs)
        )

    def _init_training_state(self, *args: Any, **kwargs: Any) -> Any:
        return self._resume.place(*self._originals["_init_training_state"](*args, **kwargs))

    def _get_train_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        return keep_steady(self._originals["get_train_dataloader"](*args, **kwargs))

    def _get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        return keep_steady(self._originals["get_eval_dataloader"](*args, **kwargs))

    def _load_from_checkpoint(self, checkpoint: Any, *args: Any, **kwargs: Any) -> Any:
        if self._resume.owns(checkpoint):
            return (
                None  # with the optimizer, once that exists: all is verified before all is changed
            )
        return self._originals["_load_from_checkpoint"](checkpoint, *args, **kwargs)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> Any:
        if self._resume.owns(checkpoint):
            return self._resume.restore()
        return self._originals["_load_optimizer_and_scheduler"](checkpoint)

    def _load_scaler(self, checkpoint: Any) -> Any:
        if self._resume.owns(checkpoint):
            return None
        return self._originals["_load_scaler"](checkpoint)

    def _load_rng_state(self, checkpoint: Any) -> Any:
        if self._resume.owns(checkpoint):
            start_persistent_workers(self.trainer)
            return self._saves.rank.restore_streams()
        return self._originals["_load_rng_state"](checkpoint)

    def _save_model_files(self, *args: Any, **kwargs: Any) -> Any:
        # ``training_args.bin`` is a pickle of the arguments, the token for the Hub among them.
        arguments = self.trainer.args
        token, arguments.hub_token = arguments.hub_token, None
        try:
            return self._originals["_save"](*args, **kwargs)
        finally:
            arguments.hub_token = token

    # -- inside -------------------------------------------------------------------------------

    def _be_last(self) -> None:
        """Hear of everything after the other callbacks, whose decisions count here."""
        handler = self.trainer.callback_handler
        # A new list: the handler may be walking through the old one.
        handler.callbacks = [
            *(item for item in handler.callbacks if item is not self._callback),
            self._callback,
        ]

    @contextlib.contextmanager
    def _own_settings(self) -> Iterator[None]:
        """Keep the Trainer from saving and deleting by itself while it trains."""
        args = self.trainer.args
        names = (
            "save_strategy",
            "eval_on_start",  # put out of force where it is no start
            "save_total_limit",  # it would delete what an earlier Trainer left in output_dir
            "restore_callback_states_from_checkpoint",  # it makes new callbacks; here the old ones stay
        )
        before = {name: getattr(args, name) for name in names}
        args.save_total_limit = None
        args.restore_callback_states_from_checkpoint = False
        if not self._plan.follows_trainer:
            args.save_strategy = type(args.save_strategy)("no")
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(args, name, value)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        if self._plan.listens:
            self._preemption.listen()
        try:
            yield
        finally:
            self._preemption.rest()

    def _warn_of_gradients_that_no_checkpoint_holds(self) -> None:
        loader, count = (
            self.trainer.callback_handler.train_dataloader,
            self.trainer.args.gradient_accumulation_steps,
        )
        with contextlib.suppress(
            TypeError
        ):  # a loader without a length has no end that would matter
            if len(loader) % count and carries_gradients_over_epochs():
                _log.warning(
                    "an epoch has %d batches, no multiple of gradient_accumulation_steps=%d; this version "
                    "of transformers carries gradients into the next epoch, which no checkpoint holds: a "
                    "resumed run will not be bit for bit the same. Upgrade transformers, or set "
                    "dataloader_drop_last and a batch size that fit",
                    len(loader),
                    count,
                )

    def _announce(self, resume_from_checkpoint: Any) -> None:
        """Say once, in one warning, what is not as the settings say."""
        notes = list(self._plan.notes)
        left = [] if resume_from_checkpoint else self._manager.checkpoints()
        if left:
            notes.append(
                f"{self._manager.directory} holds {len(left)} checkpoints of an earlier run, the newest at "
                f"step {left[-1].step}, and a new run begins beside them; "
                "train(resume_from_checkpoint=True) goes on with it"
            )
        if self._is_announced or not notes or not _ranks.speaks(self.trainer):
            return
        self._is_announced = True
        _log.warning("LifecycleCallback has taken over: %s.", "; ".join(notes))


def _plain(method: Any) -> Any:
    """A function that calls a method: `functools.wraps` cannot write on methods."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return call


def _refuse_sharded(trainer: Any) -> None:
    for attribute, name in (
        ("is_fsdp_enabled", "FSDP"),
        ("is_deepspeed_enabled", "DeepSpeed"),
        ("is_fsdp_xla_enabled", "FSDP on XLA"),
    ):
        if getattr(trainer, attribute, False):
            raise ConfigError(
                f"This Trainer uses {name}, whose sharded states LifecycleCallback does not save yet.",
                hint="Leave LifecycleCallback out, or train with DDP or in one process.",
            )


def _disarm_jit(trainer: Any) -> None:
    """Take the place of the Trainer's own saving on SIGTERM, which would save a second time."""
    for callback in trainer.callback_handler.callbacks:
        own = getattr(callback, "jit_manager", None)
        if own is None or type(callback).__name__ != "JITCheckpointCallback":
            continue
        handler = getattr(own, "_sigterm_handler", None)
        with contextlib.suppress(ValueError):  # only the main thread may, and only it did
            if signal.getsignal(signal.SIGTERM) == handler:
                signal.signal(signal.SIGTERM, own._original_sigterm_handler or signal.SIG_DFL)
        callback.jit_manager = None
