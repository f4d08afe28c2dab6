"""When a Trainer's step is saved, and with what."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Dict, Literal, Mapping

from hfl_checkpoint import (
    Checkpoint,
    CheckpointExistsError,
    CheckpointManager,
    PendingCheckpoint,
)
from hfl_core import ConfigError, get_logger
from hfl_integrations._trainer._compat import decides_best_at_evaluation
from hfl_integrations._trainer._components import TrainerPosition, TrainerRank, components_of
from hfl_integrations._trainer._epochs import EpochStart
from hfl_integrations._trainer._plan import best_metric, best_mode
from hfl_integrations._trainer._ranks import first_says

_log = get_logger(__name__)

# What the Trainer logs beside what was measured.
_NOT_METRICS = {"epoch", "step", "total_flos", "num_input_tokens_seen"}
_NOT_MEASURED = ("_runtime", "_per_second")

# For these reasons a run stops to go on in another process.
_STOPPING = frozenset({"preemption", "deadline"})


@dataclasses.dataclass(frozen=True)
class _Moment:
    """A step as `CheckpointManager.step` wants it."""

    step: int
    epoch: int
    components: Callable[[], Mapping[str, Any]]


class Saves:
    """The saving side.

    Args:
        trainer: The Trainer.
        manager: Where to.
        follows_trainer: Whether the Trainer's ``save_strategy`` decides when.
        on_change: What to do with the random streams of another number of processes.

    Attributes:
        epoch: Where the epoch in hand began.
        position: The component with the Trainer's state.
        rank: The component with this process's random streams.
        is_after_epoch: Whether the Trainer has just called ``on_epoch_end``.
        is_preempted: Whether training was stopped to go on elsewhere.
    """

    def __init__(
        self,
        trainer: Any,
        manager: CheckpointManager,
        *,
        follows_trainer: bool,
        on_change: Literal["error", "override"],
    ) -> None:
        self._trainer = trainer
        self._manager = manager
        self._follows_trainer = follows_trainer
        self.epoch = EpochStart(trainer, on_change=on_change)
        self.position = TrainerPosition(trainer, self.epoch)
        self.rank = TrainerRank(trainer, self.epoch, on_change=on_change)
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier training left behind."""
        self.epoch.forget()
        self.is_after_epoch = False
        self.is_preempted = False
        self._is_postponed = False
        self._saved_step: int | None = None
        self._evaluated: tuple[int, Mapping[str, Any]] = (-1, {})

    def components(self) -> Dict[str, Any]:
        """What is saved and restored."""
        return components_of(self._trainer, self.position, self.rank)

    def went_on_from(self, step: int) -> None:
        """Learn that a step is saved already."""
        self._saved_step = step

    def on_evaluate(self, metrics: Mapping[str, Any]) -> None:
        """Learn what an evaluation found."""
        self._evaluated = (self._trainer.state.global_step, dict(metrics))

    def after_step(self, log_save_evaluate: Callable[[], Any]) -> Any:
        """Let the Trainer log and evaluate, and save when that is due.

        At the last step of an epoch, and of training, the Trainer does this twice: once after the step,
        and once after the epoch, where it may evaluate. Evaluating draws random numbers, and early stopping
        counts in it: what was saved before would not be what training goes on from. So it waits.
        """
        trainer = self._trainer
        control, is_after_epoch = trainer.control, self.is_after_epoch
        self.is_after_epoch = False
        ends_epoch = not is_after_epoch and self._ends_epoch()
        if not is_after_epoch:
            self.epoch.on_step(is_last=ends_epoch)
        # To such a step the Trainer comes back after the epoch.
        if not is_after_epoch and (ends_epoch or control.should_training_stop):
            self._is_postponed = self._is_postponed or control.should_save
            control.should_save = False
            return log_save_evaluate()
        if is_after_epoch:
            control.should_save = control.should_save or self._is_postponed
            self._is_postponed = False
            if self.is_preempted:
                control.should_evaluate = control.should_save = False
        result = log_save_evaluate()
        if not self._follows_trainer:
            self._track_best()
        self._ask_policy()
        if is_after_epoch and trainer.control.should_training_stop:
            self._finish()
        return result

    def asked_by_trainer(self, *_: Any, **__: Any) -> None:
        """Save because the Trainer, or a callback of the user's, says so."""
        self._track_best()
        strategy = str(getattr(self._trainer.args.save_strategy, "value", ""))
        reason = {"steps": "interval", "epoch": "interval", "best": "best"}.get(strategy, "manual")
        if self._trainer.control.should_training_stop and reason == "interval":
            reason = "final"
        self._write(reason)

    def load_best_model(self) -> None:
        """Give the model the weights of the best checkpoint, as ``load_best_model_at_end`` asks for."""
        if self.is_preempted:
            return  # training is not at its end
        trainer = self._trainer
        best = self.find_best()
        if best is None:
            return
        _log.info("loading the best model, of step %d", best.step)
        # With a manager of its own: the run goes on from where it is, not from there.
        with CheckpointManager(self._manager.directory, keep="all", background=False) as reader:
            reader.restore(best, partial=True, model=trainer.model)

    def find_best(self) -> Any:
        """Tell the Trainer which checkpoint is the best; there may be none."""
        trainer = self._trainer
        metric = best_metric(trainer.args)
        if metric is None:
            return None
        self._manager.wait()
        best = first_says(lambda: self._manager.best(metric, best_mode(trainer.args)))
        if best is not None:
            trainer.state.best_model_checkpoint = str(best.path)
            if hasattr(trainer.state, "best_global_step"):
                trainer.state.best_global_step = best.step
        elif trainer.args.load_best_model_at_end:
            _log.warning(
                "load_best_model_at_end=True, and no checkpoint of this run was saved at a step with %r: "
                "the model stays as it is. Save at the steps at which you evaluate, or with OnBest(%r)",
                metric,
                metric,
            )
        return best

    # -- inside -------------------------------------------------------------------------------

    def _ends_epoch(self) -> bool:
        """Whether the epoch has no further step."""
        trainer = self._trainer
        return bool(
            trainer.state.epoch == int(trainer.state.epoch)
            or trainer.accelerator.gradient_state.end_of_dataloader
        )

    def _ask_policy(self) -> None:
        if self.is_preempted:
            return
        state = self._trainer.state
        moment = _Moment(state.global_step, self._epochs(), self._counted)
        saved = self._manager.step(moment, **self._metrics())
        if saved is None:
            return
        self._saved_step = state.global_step
        self._tell_callbacks()
        # An urgent save has been waited for; of others the reason does not matter here.
        reason = (
            saved.result().reason if isinstance(saved, PendingCheckpoint) and saved.done() else ""
        )
        reason = saved.reason if isinstance(saved, Checkpoint) else reason
        if not _STOPPING.isdisjoint(reason.split("+")):
            _log.warning(
                "training stops after step %d, which is saved (%s); resume_from_checkpoint=True goes on",
                state.global_step,
                reason,
            )
            self.is_preempted = True
            self._trainer.control.should_training_stop = True

    def _finish(self) -> None:
        """Save the last step, however training came to its end."""
        args = self._trainer.args
        strategy = str(getattr(args.save_strategy, "value", args.save_strategy))
        if self.is_preempted:
            return
        if not self._follows_trainer or strategy != "no":
            self._save("final")
        self.find_best()

    def _save(self, reason: str) -> None:
        """Save, and tell the callbacks as the Trainer does."""
        if self._write(reason):
            self._tell_callbacks()

    def _write(self, reason: str) -> bool:
        step = int(self._trainer.state.global_step)
        if step == self._saved_step:
            return False
        try:
            self._manager.save(
                step,
                epoch=self._epochs(),
                metrics=self._metrics(),
                reason=reason,
                **self._counted(),
            )
        except CheckpointExistsError:
            return False  # a callback asked a second time
        self._saved_step = step
        return True

    def _tell_callbacks(self) -> None:
        trainer = self._trainer
        trainer.control = trainer.callback_handler.on_save(
            trainer.args, trainer.state, trainer.control
        )

    def _counted(self) -> Mapping[str, Any]:
        self._trainer.store_flos()
        return self.components()

    def _epochs(self) -> int:
        return math.floor((self._trainer.state.epoch or 0) + 1e-6)

    def _metrics(self) -> Dict[str, float]:
        """What was logged at this step."""
        state = self._trainer.state
        found: Dict[str, float] = {}
        for entry in reversed(state.log_history):
            if entry.get("step") != state.global_step:
                break
            for name, value in entry.items():
                if _is_metric(name, value):
                    found.setdefault(name, float(value))
        return found

    def _has_evaluated(self) -> bool:
        return self._evaluated[0] == int(self._trainer.state.global_step)

    def _track_best(self) -> None:
        """Compare with the best so far, where the Trainer leaves that to its own saving."""
        trainer = self._trainer
        metric = best_metric(trainer.args)
        if metric is None or not self._has_evaluated() or decides_best_at_evaluation(trainer):
            return
        metrics = self._evaluated[1]
        if metric not in metrics:
            raise ConfigError(
                f"metric_for_best_model is {metric!r}, and the evaluation has only "
                f"{', '.join(sorted(metrics))}.",
                hint="Choose one of these, or return it from compute_metrics.",
            )
        value, best = metrics[metric], trainer.state.best_metric
        is_better = best is None or (
            value > best if trainer.args.greater_is_better else value < best
        )
        if is_better:
            trainer.state.best_metric = value


def _is_metric(name: str, value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and name not in _NOT_METRICS and not name.endswith(_NOT_MEASURED)
