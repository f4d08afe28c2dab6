"""The loop over batches that goes on where a run stands."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional

from hfl_core import ConfigError
from hfl_state._component import is_count
from hfl_state._early_stopping import EarlyStopping
from hfl_state._loader import ResumableLoader
from hfl_state._preemption import PreemptionGuard
from hfl_state._progress import Progress


class Batches:
    """What `TrainingState` is to its loop.

    Args:
        loader: Where batches come from, if anywhere.
        progress: The counts.
        guard: Ends the loop when the process is to end.
    """

    def __init__(
        self,
        loader: Optional[ResumableLoader],
        progress: Progress,
        guard: Optional[PreemptionGuard],
    ) -> None:
        self.loader = loader
        self.guard = guard
        self._progress = progress
        self._is_running = False

    def components(self) -> Dict[str, Any]:
        """Name everything that is saved."""
        raise NotImplementedError  # the state's own business

    def batches(
        self, *, steps: Optional[int] = None, epochs: Optional[int] = None, accumulate: int = 1
    ) -> Iterator[Any]:
        """Hand out batches until the run has come to a total of steps or epochs.

        The totals count from the start of training, not from the resume: a run that is there already
        yields nothing, and so does one whose early stopping has stopped. A state that is loaded
        inside the loop body takes effect with the next batch.

        With a guard, the loop also ends when the process is to end: after the step in whose body the
        guard was asked (which a checkpoint manager does, when the guard is one of its policies), or
        else after one more step.

        Args:
            steps: The total of optimizer steps to come to.
            epochs: The total of epochs to come to; instead of steps.
            accumulate: Batches per step. Groups may span epochs; with ``epochs`` the very last one
                is cut short, so that no gradients are left over.

        Returns:
            An iterator over what the loader yields.

        Raises:
            ConfigError: There is no loader or it has no batches, both limits or none are given, a
                number makes no sense, the run was saved with another ``accumulate``, or another
                iteration of this state is under way.
        """
        loader = self._check_batches(steps, epochs, accumulate)
        if not self._is_done(steps, epochs):
            accumulate = self._progress.settle(accumulate)
        return self._run(loader, steps, epochs, accumulate)

    def _check_batches(
        self, steps: Optional[int], epochs: Optional[int], accumulate: int
    ) -> ResumableLoader:
        if self.loader is None:
            raise ConfigError(
                "This state has no loader to take batches from.",
                hint="Pass loader=DataLoader(...) to TrainingState.",
            )
        if (steps is None) == (epochs is None):
            raise ConfigError(
                "batches() needs to know when to end: by steps or by epochs, one of them.",
                hint="For example batches(steps=10_000) or batches(epochs=3).",
            )
        for name, value, least in (
            ("steps", steps, 0),
            ("epochs", epochs, 0),
            ("accumulate", accumulate, 1),
        ):
            if value is not None and not is_count(value, least):
                raise ConfigError(
                    f"{name}={value!r} makes no sense.", hint=f"It is a whole number from {least}."
                )
        self._refuse_second_run()
        return self.loader

    def _refuse_second_run(self) -> None:
        if self._is_running:
            raise ConfigError(
                "Another batches() of this state is under way; the counts are one run's.",
                hint="Finish that loop first, or close() its iterator.",
            )

    def _run(
        self,
        loader: ResumableLoader,
        steps: Optional[int],
        epochs: Optional[int],
        accumulate: int,
    ) -> Iterator[Any]:
        self._refuse_second_run()
        self._is_running = True
        progress = self._progress
        try:
            while not self._is_done(steps, epochs):
                is_empty = True
                for batch in loader:
                    is_empty = False
                    self._begin_step()
                    progress.count(
                        loader.last_batch_size,
                        ends_epoch=loader.is_epoch_start,
                        accumulate=accumulate,
                        is_last_epoch=progress.epoch + 1 == epochs,
                    )
                    self._tell_guard()
                    yield batch
                    # Asked before the next batch is fetched, which may draw random numbers.
                    if self._is_done(steps, epochs):
                        return
                if is_empty:
                    raise ConfigError(
                        "An epoch of this loader has no batches.",
                        hint="Look at the dataset's length, the batch size and drop_last.",
                    )
        finally:
            self._is_running = False
            if self.guard is not None:
                self.guard.in_group(False)

    def _tell_guard(self) -> None:
        if self.guard is not None:
            self.guard.in_group(self._progress.pending > 0)

    def _begin_step(self) -> None:
        if self.guard is not None and not self._progress.pending:
            self.guard.begin_step()

    def _is_done(self, steps: Optional[int], epochs: Optional[int]) -> bool:
        progress = self._progress
        if not progress.pending:  # not inside a group, whose gradients would be left over
            if self.guard is not None and self.guard.is_stopping:
                return True
            stopping = [e for e in self.components().values() if isinstance(e, EarlyStopping)]
            if any(each.stopped for each in stopping):
                return True
        return progress.step >= steps if steps is not None else progress.epoch >= (epochs or 0)
