"""Where a Trainer goes on from, and how what is saved gets into it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Tuple

from hfl_checkpoint import CheckpointManager, CheckpointNotFoundError, MissingComponentError
from hfl_core import ConfigError, IncompatibleStateError, get_logger
from hfl_integrations._trainer import _callbacks
from hfl_integrations._trainer._compat import TrainerState, TrainOutput, can_correct_epochs
from hfl_integrations._trainer._components import POSITION, TrainerPosition
from hfl_integrations._trainer._epochs import place_of
from hfl_integrations._trainer._fingerprint import (
    changed_plan,
    dataset_length,
    fingerprint,
    moved_data,
)
from hfl_integrations._trainer._ranks import first_says

if TYPE_CHECKING:
    from hfl_checkpoint import Checkpoint
    from hfl_integrations._trainer._saves import Saves

_log = get_logger(__name__)

_STATE = "trainer_state.json"  # by this name the Trainer looks for its state
_MANIFEST = "manifest.json"

# A checkpoint without one of these can be gone on from: they change nothing in training.
_DISPENSABLE = ("tokenizer", "processor")


class _NothingLeftError(Exception):
    """Ends a training that was over when it began; the Trainer would take one more step."""


class Resume:
    """The resuming side.

    The Trainer wants a folder with its state. It gets a temporary one with that and nothing else, by which
    the seams know that the rest is to come from the manager.

    Args:
        trainer: The Trainer.
        manager: From where.
        saves: The saving side, which has the components.
        on_change: ``"error"`` or ``"override"``.
    """

    def __init__(
        self, trainer: Any, manager: CheckpointManager, saves: Saves, *, on_change: str
    ) -> None:
        self._trainer = trainer
        self._manager = manager
        self._saves = saves
        self._on_change = on_change
        self._forget()

    def _forget(self) -> None:
        self._ticket: str | None = None
        self._source: Tuple[CheckpointManager, Checkpoint] | None = None
        self._saved: Mapping[str, Any] | None = None

    def owns(self, checkpoint: Any) -> bool:
        """Whether the Trainer is loading what this object found."""
        return self._ticket is not None and checkpoint == self._ticket

    @contextlib.contextmanager
    def going_on_from(self, wanted: Any) -> Iterator[Any]:
        """Find what is wanted, and give the Trainer what it expects to find.

        Args:
            wanted: What was passed as ``resume_from_checkpoint``.
        """
        self._forget()
        self._saves.begin()
        if not wanted or _is_stock(wanted):
            yield wanted or None
            return
        found = self._find(wanted)
        if found is None:
            yield None
            return
        self._source, self._saved = found[:2], found[2]
        with tempfile.TemporaryDirectory(prefix="hfl-resume-") as folder:
            Path(folder, _STATE).write_text(json.dumps(self._for_trainer()), encoding="utf-8")
            self._ticket = folder
            try:
                yield folder
            finally:
                self._ticket = None

    def restore(self) -> None:
        """Put everything back, now that everything is there."""
        manager, checkpoint = self._known()
        moved = moved_data(self._known_state()["settings"], fingerprint(self._trainer))
        if moved:
            text = f"{checkpoint.name} was saved with other data settings: {'; '.join(moved)}."
            if self._on_change == "error":
                raise IncompatibleStateError(
                    f"{text} Samples would be repeated or left out.",
                    hint="Use the old settings, or LifecycleCallback(…, on_change='override').",
                )
            _log.warning("%s The run goes on, and is no longer what it would have been.", text)
        self._refuse_unknown_epochs()
        manager.restore(checkpoint, allow_missing=_DISPENSABLE, **self._saves.components())
        self._saves.rank.go_into_epoch(self._known_state().get("epoch"))
        if manager is self._manager:
            self._saves.went_on_from(checkpoint.step)
        else:
            manager.close()
        _log.info("going on from %s, step %d", checkpoint.name, checkpoint.step)

    def place(self, epochs: int, batches: int) -> Tuple[int, int]:
        """Correct where the Trainer believes to stand in a dataset whose length it does not know.

        Args:
            epochs: The epochs that it takes to be behind.
            batches: The batches of the one in hand that it takes to be behind.
        """
        counts = None if self._ticket is None else self._known_state().get("epoch")
        trainer = self._trainer
        if counts is None or dataset_length(trainer.train_dataset) is not None:
            return epochs, batches
        epochs, steps = place_of(counts, trainer.state.global_step)
        if trainer.args.ignore_data_skip:
            return epochs, 0
        return epochs, steps * int(trainer.args.gradient_accumulation_steps)

    def on_train_begin(self) -> None:
        """Restore what the Trainer has reset on its way here; stop where there is nothing left to train."""
        if self._saved is None:
            return
        trainer, saved = self._trainer, self._saved
        callbacks = trainer.callback_handler.callbacks
        _callbacks.restore(callbacks, saved["callbacks"])
        self._saves.rank.restore_pending_loss()
        changed = changed_plan(saved["settings"], fingerprint(trainer))
        if changed:
            _log.warning(
                "the run goes on with other settings: %s. The optimizer and the schedule go on from the "
                "values in the checkpoint",
                "; ".join(changed),
            )
        if trainer.args.ignore_data_skip:
            _log.warning(
                "ignore_data_skip=True: the interrupted epoch begins anew, so that its samples are seen "
                "again; the result differs from that of an uninterrupted run"
            )
        if trainer.args.eval_on_start:
            _log.warning(
                "eval_on_start=True: this is no start, so there is no evaluation before it"
            )
            trainer.args.eval_on_start = False
        state = trainer.state
        if _callbacks.stopped_early(callbacks) or state.global_step >= state.max_steps:
            raise _NothingLeftError

    def run(self, train: Callable[[], Any]) -> Any:
        """Run the training, which may turn out to be over."""
        try:
            return train()
        except _NothingLeftError:
            return self._finished()

    # -- inside -------------------------------------------------------------------------------

    def _refuse_unknown_epochs(self) -> None:
        """Old versions would skip past the end of such a dataset, and end the training there."""
        counts, trainer = self._known_state().get("epoch"), self._trainer
        if counts is None or can_correct_epochs() or trainer.args.ignore_data_skip:
            return
        epochs, _ = place_of(counts, 0)
        if epochs and dataset_length(trainer.train_dataset) is None:
            raise IncompatibleStateError(
                f"The dataset has no length, the run was in its pass {epochs + 1}, and this version of "
                "transformers takes all steps for steps of the first one.",
                hint="Upgrade transformers, give the dataset a __len__, or begin the pass anew with "
                "ignore_data_skip=True.",
            )

    def _find(self, wanted: Any) -> Tuple[CheckpointManager, Checkpoint, Mapping[str, Any]] | None:
        try:
            manager, which = self._place(wanted)
            state = _read_position(manager, which)
        except CheckpointNotFoundError:
            if wanted is not True:
                raise
            self._refuse_to_forget_stock()
            _log.warning("%s has no checkpoint yet; training begins", self._manager.directory)
            return None
        checkpoint = first_says(
            lambda: manager.latest() if which == "latest" else manager.find(which)
        )
        if checkpoint is None:
            raise AssertionError("it has just been read")
        return manager, checkpoint, state

    def _place(self, wanted: Any) -> Tuple[CheckpointManager, Any]:
        """The manager and the checkpoint that are meant."""
        if wanted is True:
            self._manager.fetch_newer()
            return self._manager, "latest"
        if isinstance(wanted, str) and wanted.startswith("hf://"):
            return self._manager, self._manager.pull(wanted)
        path = Path(wanted) if isinstance(wanted, (str, os.PathLike)) else None
        if path is None or not path.is_dir():
            return self._manager, wanted
        if not (path / _MANIFEST).is_file():
            raise ConfigError(
                f"{str(wanted)!r} is neither a checkpoint of this library nor one of a Trainer.",
                hint="Pass True for the newest, a checkpoint's name, or the path of a checkpoint.",
            )
        path = path.resolve()
        if path.parent == Path(self._manager.directory).resolve():
            return self._manager, path.name
        return CheckpointManager(path.parent, keep="all", background=False), path.name

    def _refuse_to_forget_stock(self) -> None:
        """Beginning anew where the Trainer alone would have gone on loses work."""
        from transformers.trainer_utils import get_last_checkpoint

        folder = self._trainer.args.output_dir
        find: Callable[[str], str | None] = get_last_checkpoint
        last = find(folder) if folder and Path(folder).is_dir() else None
        if last is not None and _is_stock(last):
            raise ConfigError(
                f"{self._manager.directory} has no checkpoint yet, and {last!r} was saved by a Trainer "
                "without LifecycleCallback.",
                hint=f"Pass resume_from_checkpoint={last!r} to go on from it, or None to begin anew.",
            )

    def _known(self) -> Tuple[CheckpointManager, Checkpoint]:
        if self._source is None:
            raise AssertionError("only asked while a checkpoint is being loaded")
        return self._source

    def _known_state(self) -> Mapping[str, Any]:
        if self._saved is None:
            raise AssertionError("only asked while a checkpoint is being loaded")
        return self._saved

    def _for_trainer(self) -> Mapping[str, Any]:
        """The saved state as this version of the Trainer reads it."""
        fields = {field.name for field in dataclasses.fields(TrainerState)}
        state = {
            name: value for name, value in self._known_state()["state"].items() if name in fields
        }
        if not self._trainer.args.auto_find_batch_size:
            # Old versions would train with the saved one, whatever is asked for.
            state["train_batch_size"] = self._trainer.args.train_batch_size
        return state

    def _finished(self) -> Any:
        trainer = self._trainer
        state = trainer.state
        _log.warning(
            "training was over at step %d already, and nothing is left to train", state.global_step
        )
        best = self._saves.find_best()
        if best is not None and trainer.args.load_best_model_at_end:
            self._saves.load_best_model()
        trainer.control = trainer.callback_handler.on_train_end(
            trainer.args, state, trainer.control
        )
        handle = getattr(trainer, "neftune_hook_handle", None)
        if handle is not None:
            handle.remove()
        trainer.is_in_train = False
        loss = _mean_loss(state.log_history)
        return TrainOutput(state.global_step, loss, {"train_loss": loss})


def _read_position(manager: CheckpointManager, which: Any) -> Mapping[str, Any]:
    try:
        saved: Mapping[str, Any] = manager.load(which, only=[POSITION])[POSITION]
    except MissingComponentError as error:
        raise ConfigError(
            f"{manager.directory} holds a run that no Trainer made: {error.message}",
            hint="Restore it with its own training loop, or give this Trainer another directory.",
        ) from error
    position = TrainerPosition()
    position.load_state_dict(saved)
    return saved


def _is_stock(wanted: Any) -> bool:
    """Whether it is the path of a checkpoint that a Trainer wrote by itself."""
    if not isinstance(wanted, (str, os.PathLike)):
        return False
    path = Path(wanted)
    return (path / _STATE).is_file() and not (path / _MANIFEST).is_file()


def _mean_loss(history: Any) -> float:
    """The mean loss over all steps, from what was logged."""
    total, before = 0.0, 0
    for entry in history:
        if "loss" in entry and entry.get("step", 0) > before:
            total += entry["loss"] * (entry["step"] - before)
            before = entry["step"]
    return total / before if before else 0.0
