"""Saving one moment of a training with Lightning: between two batches, or between two epochs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

import torch

from hfl_checkpoint import Checkpoint, CheckpointExistsError, CheckpointManager, PendingCheckpoint
from hfl_core import get_logger
from hfl_integrations._lightning import _content, _progress
from hfl_integrations._lightning._io import say_left_out
from hfl_integrations._lightning._rank import RankState

if TYPE_CHECKING:
    from hfl_integrations._lightning._loader import PositionedLoader
    from hfl_integrations._lightning._naming import NamedSteps
    from hfl_integrations._lightning._retention import KeepAsModelCheckpoint

_log = get_logger(__name__)

# For these reasons a run stops to go on in another process.
_STOPPING = frozenset({"preemption", "deadline"})


@dataclasses.dataclass(frozen=True)
class Request:
    """What ModelCheckpoint's logic wants saved.

    Attributes:
        path: Where it believes that it will be.
        weights_only: Whether it is the model alone.
        reason: Why.
    """

    path: str
    weights_only: bool
    reason: str


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
        naming: Gets the names.
        keep: Gets what is to be kept.

        has_policy: Whether the manager has a policy that saves by itself.

    Attributes:
        trainer: As given.
        loaders: The training loaders, by their place in Lightning's list; None for one of another kind.
        written: The step that was saved last, and the path of its checkpoint.
        is_preempted: Whether training was stopped to go on elsewhere.
    """

    def __init__(
        self,
        trainer: Any,
        manager: CheckpointManager,
        *,
        naming: NamedSteps,
        keep: KeepAsModelCheckpoint,
        has_policy: bool,
    ) -> None:
        self.trainer = self._trainer = trainer
        self._manager = manager
        self._naming = naming
        self._keep = keep
        self._has_policy = has_policy
        self._left_out: List[str] = []
        self.loaders: Dict[int, PositionedLoader | None] = {}
        self.written: tuple[int, str] = (-1, "")
        self.is_preempted = False

    def write(
        self,
        request: Request,
        *,
        within_epoch: bool,
        streams: Mapping[str, Any] | None = None,
    ) -> str:
        """Save what was asked for; the same step is not saved twice.

        Args:
            request: What was asked for.
            within_epoch: Whether the epoch goes on after this.
            streams: Where the random streams stood before a validation that is to be made up for.

        Returns:
            Where it is.
        """
        step = int(self._trainer.global_step)
        if self.written[0] == step:
            return self.written[1]
        components = self._components(request.weights_only, within_epoch, streams)
        self._announce(step, request.path)
        try:
            self._manager.save(
                step,
                epoch=int(self._trainer.current_epoch),
                metrics=self._metrics(),
                reason=request.reason,
                **components,
            )
        except CheckpointExistsError as error:
            self.written = (step, str(Path(self._manager.directory) / error.name))
            return self.written[1]
        self.written = (step, request.path)
        return request.path

    def ask_policy(
        self, name: Callable[[], str], *, weights_only: bool, within_epoch: bool
    ) -> bool:
        """Let the manager's own policy decide.

        Args:
            name: Makes the path of the checkpoint, if there is to be one.
            weights_only: Whether it is the model alone.
            within_epoch: Whether the epoch goes on after this.

        Returns:
            Whether this step was saved.
        """
        step = int(self._trainer.global_step)
        if not self._has_policy or self.is_preempted or step == 0:
            return False
        path = ""

        def components() -> Mapping[str, Any]:
            nonlocal path
            path = name()
            found = self._components(weights_only, within_epoch, None)
            self._announce(step, path)
            return found

        metrics = dict(self._trainer._logger_connector._callback_metrics)
        saved = self._manager.step(
            _Moment(step, int(self._trainer.current_epoch), components), **_numbers(metrics)
        )
        if saved is None:
            return False
        self.written = (step, path)
        reason = saved.reason if isinstance(saved, Checkpoint) else _reason_of(saved)
        if not _STOPPING.isdisjoint(reason.split("+")):
            self._stop(step, reason)
        return True

    def preempted(self) -> None:
        """Finish the save before Lightning ends the training."""
        self._manager.wait()
        self.is_preempted = True

    # -- inside -------------------------------------------------------------------------------

    def _announce(self, step: int, path: str) -> None:
        self._naming.decide(step, Path(path).name)
        self._keep.note(step)

    def _components(
        self, weights_only: bool, within_epoch: bool, streams: Mapping[str, Any] | None
    ) -> Dict[str, Any]:
        trainer = self._trainer
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only)
        optimizers = () if weights_only else tuple(trainer.optimizers)
        checkpoint["hfl_position"] = {
            "within_epoch": within_epoch,
            "validation_due": streams is not None,
            "stopped": bool(trainer.should_stop) and not self.is_preempted,
            "accumulate_grad_batches": trainer.accumulate_grad_batches,
            "validation_loaders": validation_loaders(trainer),
        }
        left_out: List[str] = []
        found = _content.components_of(
            checkpoint, module=trainer.lightning_module, optimizers=optimizers, left_out=left_out
        )
        if left_out and left_out != self._left_out:
            self._left_out = left_out
            say_left_out(left_out)
        if not weights_only:
            found[_content.RANK] = RankState(
                self.positions(), _progress.capture(trainer), streams=streams
            )
        return found

    def positions(self) -> List[Dict[str, Any] | None]:
        """Where the training loaders stand, as far as anybody has trained on them."""
        fetcher = self._trainer.fit_loop._data_fetcher
        ahead = len(getattr(fetcher, "batches", ()))
        return [
            None if loader is None else loader.position(ahead)
            for _, loader in sorted(self.loaders.items())
        ]

    def _metrics(self) -> Dict[str, float]:
        return _numbers(self._trainer.callback_metrics)

    def _stop(self, step: int, reason: str) -> None:
        _log.warning(
            "training stops after step %d, which is saved (%s); ckpt_path='last' goes on",
            step,
            reason,
        )
        self.is_preempted = True
        trainer = self._trainer
        # Limits from below hold for a decision of the run's own, not for the end of its time.
        trainer.fit_loop.min_epochs, trainer.fit_loop.epoch_loop.min_steps = 0, None
        trainer.should_stop = True


def is_within_epoch(trainer: Any) -> bool:
    """Whether a Trainer is in the middle of an epoch."""
    progress = trainer.fit_loop.epoch_progress.current
    return bool(progress.ready != progress.processed)


def validation_loaders(trainer: Any) -> List[bool] | None:
    """Say of each loader for validation whether it has workers that stay; None before there are any."""
    loaders = trainer.fit_loop.epoch_loop.val_loop._combined_loader
    if loaders is None:
        return None
    return [getattr(item, "_iterator", None) is not None for item in loaders.flattened]


def _numbers(metrics: Mapping[str, Any]) -> Dict[str, Any]:
    """What a checkpoint can be found by: single numbers. They are read from a device when one is due."""
    return {
        name: value
        for name, value in metrics.items()
        if not isinstance(value, torch.Tensor) or value.numel() == 1
    }


def _reason_of(saved: PendingCheckpoint) -> str:
    # An urgent save has been waited for; of others the reason does not matter here.
    return saved.result().reason if saved.done() and saved.error() is None else ""
