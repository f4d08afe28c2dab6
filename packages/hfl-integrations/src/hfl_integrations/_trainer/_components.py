"""What of a Trainer goes into a checkpoint beside model, optimizer and learning rate schedule."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Literal, Mapping

from hfl_core import IncompatibleStateError
from hfl_integrations._trainer._callbacks import states_of
from hfl_integrations._trainer._compat import ExportableState
from hfl_integrations._trainer._epochs import EpochStart
from hfl_integrations._trainer._fingerprint import fingerprint
from hfl_state import RngState

FORMAT = 1

# The component that tells a checkpoint of a Trainer from others.
POSITION = "trainer"


class TrainerPosition:
    """Where a Trainer stands: its state, that of its callbacks, and the settings that positions depend on.

    Args:
        trainer: The Trainer; None for one that only reads.
        epoch: Where its epoch in hand began.

    Attributes:
        saved: What was loaded last, or None.
    """

    def __init__(self, trainer: Any = None, epoch: EpochStart | None = None) -> None:
        self._trainer = trainer
        self._epoch = epoch
        self.saved: Dict[str, Any] | None = None

    def state_dict(self) -> Dict[str, Any]:
        """Return what the Trainer would write into ``trainer_state.json``, and more."""
        trainer = self._trainer
        if trainer is None:
            return {"format": FORMAT} if self.saved is None else self.saved
        state = dataclasses.asdict(trainer.state)
        state["stateful_callbacks"] = _exportable(trainer)
        # A path says where the run was; the manager knows where it is now.
        state["best_model_checkpoint"] = None
        return {
            "format": FORMAT,
            "state": _plain(state),
            "epoch": None if self._epoch is None else self._epoch.counts(),
            "callbacks": states_of(trainer.callback_handler.callbacks),
            "settings": fingerprint(trainer),
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from being used."""
        if saved.get("format") != FORMAT or not isinstance(saved.get("state"), Mapping):
            return ["It is not the position of a Trainer that this version understands."]
        return []

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Keep a saved state; it is used when training begins.

        Raises:
            IncompatibleStateError: It is none.
        """
        problems = self.check(saved)
        if problems:
            raise IncompatibleStateError(" ".join(problems))
        self.saved = dict(saved)


class TrainerRank:
    """What every process has of its own: random streams, and the loss since it was logged last.

    The streams are not moved when a state is loaded but when the Trainer asks for it: only it knows when
    the data loader has drawn what it draws.

    Args:
        trainer: The Trainer.
        epoch: Where its epoch in hand began.
        on_change: What to do with the streams of another number of processes: ``"override"`` derives new
            ones from those of rank 0.

    Attributes:
        saved: What was loaded last, or None.
    """

    per_rank = True
    restore_last = True

    def __init__(
        self,
        trainer: Any,
        epoch: EpochStart,
        *,
        on_change: Literal["error", "override"] = "error",
    ) -> None:
        self._trainer = trainer
        self._epoch = epoch
        self._rng = RngState(on_change=on_change)
        self.saved: Dict[str, Any] | None = None

    def state_dict(self) -> Dict[str, Any]:
        """Return where the streams stand."""
        loss = getattr(self._trainer, "_tr_loss", None)
        return {
            "format": FORMAT,
            "rng": self._rng.state_dict(),
            "epoch_rng": self._epoch.rng,
            "pending_loss": None if loss is None else float(loss),
            "last_logged": int(getattr(self._trainer, "_globalstep_last_logged", 0)),
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps the streams from being restored."""
        if saved.get("format") != FORMAT or not isinstance(saved.get("rng"), Mapping):
            return ["It does not hold the random streams of a Trainer."]
        found = [saved["rng"], saved.get("epoch_rng")]
        return [text for rng in found if rng is not None for text in self._rng.check(rng)]

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Keep a saved state."""
        self.saved = dict(saved)

    def restore_streams(self) -> None:
        """Put the random streams where they were."""
        if self.saved is not None:
            self._rng.load_state_dict(self.saved["rng"])
            self._epoch.went_back_to(self.saved["rng"])

    def go_into_epoch(self, counts: Mapping[str, Any] | None) -> None:
        """Let the epoch in hand begin where it began."""
        if self.saved is not None and counts is not None:
            self._epoch.go_into(counts, self.saved.get("epoch_rng"))

    def restore_pending_loss(self) -> None:
        """Go on with the mean of losses that was being formed, where the Trainer keeps it in reach."""
        trainer, saved = self._trainer, self.saved
        loss = getattr(trainer, "_tr_loss", None)
        if saved is None or loss is None or saved["pending_loss"] is None:
            return
        loss.fill_(saved["pending_loss"])
        trainer._globalstep_last_logged = saved["last_logged"]
        # It belongs to steps of an earlier process, and the Trainer's mean is over this one's.
        trainer._total_loss_scalar = -float(loss)


def components_of(trainer: Any, position: TrainerPosition, rank: TrainerRank) -> Dict[str, Any]:
    """Name what a checkpoint of a Trainer holds, in the order in which it is restored.

    Args:
        trainer: The Trainer, whose optimizer and schedule exist.
        position: Its position.
        rank: What this process has of its own.
    """
    found: Dict[str, Any] = {
        "model": trainer.model,
        "optimizer": bare_optimizer(trainer.optimizer),
        "scheduler": trainer.lr_scheduler,
    }
    scaler = getattr(trainer.accelerator, "scaler", None)
    if scaler is not None:
        found["scaler"] = scaler
    companion = getattr(trainer, "processing_class", None)
    if callable(getattr(companion, "save_pretrained", None)):
        found[companion_name(companion)] = companion
    return {**found, POSITION: position, "rank": rank}


def companion_name(companion: Any) -> str:
    """What the tokenizer or the processor is called."""
    return "tokenizer" if hasattr(companion, "convert_tokens_to_ids") else "processor"


def bare_optimizer(optimizer: Any) -> Any:
    """The optimizer inside accelerate's wrapper."""
    while type(optimizer).__name__ == "AcceleratedOptimizer":
        optimizer = optimizer.optimizer
    return optimizer


def _exportable(trainer: Any) -> Dict[str, Any]:
    """The states of callbacks in the form that ``trainer_state.json`` has them in.

    Made anew: the Trainer's own list of the states of two callbacks of one class grows with every save.
    """
    found: Dict[str, List[Any]] = {}
    for callback in [*trainer.callback_handler.callbacks, trainer.control]:
        if isinstance(callback, ExportableState):
            found.setdefault(type(callback).__name__, []).append(callback.state())
    return {name: states[0] if len(states) == 1 else states for name, states in found.items()}


def _plain(value: Any) -> Any:
    """A copy with numbers of NumPy and torch as plain ones: what is logged is the user's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, bool, int, float, type(None))):
        return value
    if callable(getattr(value, "item", None)) and getattr(value, "shape", ()) == ():
        return value.item()
    if callable(getattr(value, "tolist", None)):
        return _plain(value.tolist())
    return str(value)
