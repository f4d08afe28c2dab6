"""Where the epoch in hand began: what a sampler drew its order from, and how many steps ago.

The Trainer seeds the plain shuffled order by the epoch. Other samplers, as the one that groups by length,
draw from the global streams when an epoch begins; going back into the epoch means going back to where the
streams stood then. And of a dataset without a length the Trainer does not know where an epoch ends: it takes
all steps for steps of the first.
"""

from __future__ import annotations

from typing import Any, Dict, Literal, Mapping, Tuple

import torch

from hfl_state import RngState


class EpochStart:
    """The beginning of the epoch in hand.

    Args:
        trainer: The Trainer.
        on_change: What to do with the streams of another number of processes, as for `TrainerRank`.

    Attributes:
        rng: Where the random streams stood then, or None.
    """

    def __init__(self, trainer: Any, *, on_change: Literal["error", "override"] = "error") -> None:
        self._trainer = trainer
        self._streams = RngState(on_change=on_change)
        self.forget()

    def forget(self) -> None:
        """Forget what an earlier training left behind."""
        self.rng: Dict[str, Any] | None = None
        self._number = -1
        self._step = 0
        self._is_over = False
        self._is_gone_into = False

    def counts(self) -> Dict[str, Any] | None:
        """Return which epoch it is, at which step it began, and whether it is over."""
        if self._number < 0:
            return None
        return {"number": self._number, "step": self._step, "is_over": self._is_over}

    def go_into(self, counts: Mapping[str, Any], rng: Mapping[str, Any] | None) -> None:
        """Learn where training goes on.

        Args:
            counts: What `counts` returned when it was saved.
            rng: What `rng` was.
        """
        self._number, self._step = counts["number"], counts["step"]
        self._is_over = counts["is_over"]
        self._is_gone_into = not self._is_over and not self._trainer.args.ignore_data_skip
        self.rng = None if rng is None else dict(rng)

    def on_epoch_begin(self) -> None:
        """Remember where an epoch begins, or go back to where it did."""
        if self._is_gone_into:
            self._is_gone_into = False
            if self.rng is not None:
                self._streams.load_state_dict(self.rng)
                self.rng = self._streams.state_dict()  # of this number of processes
                self._leave_the_seed_of_started_workers_alone()
            return
        self._number += 1
        self._step = int(self._trainer.state.global_step)
        self._is_over = False
        self.rng = self._streams.state_dict()

    def on_step(self, *, is_last: bool) -> None:
        """Learn that a step was taken.

        Args:
            is_last: Whether the epoch has no further one.
        """
        self._is_over = is_last

    def went_back_to(self, rng: Mapping[str, Any]) -> None:
        """Learn that the streams were restored after the epoch began and before anything was drawn.

        Args:
            rng: The streams.
        """
        if self._step == self._trainer.state.global_step:
            self.rng = dict(rng)

    def on_epoch_end(self) -> None:
        """Undo what was done for one epoch only."""
        loader = self._inner_loader()
        if isinstance(getattr(loader, "generator", None), _Elsewhere):
            loader.generator = None

    def _leave_the_seed_of_started_workers_alone(self) -> None:
        """Persistent workers drew their seed when they started, which for later epochs is long ago."""
        args = self._trainer.args
        is_persistent = args.dataloader_persistent_workers and args.dataloader_num_workers
        loader = self._inner_loader()
        if self._number and is_persistent and getattr(loader, "generator", 0) is None:
            loader.generator = _Elsewhere()

    def _inner_loader(self) -> Any:
        loader = self._trainer.callback_handler.train_dataloader
        return getattr(loader, "base_dataloader", loader)


class _Elsewhere(torch.Generator):
    """A generator that nothing else draws from."""


def place_of(counts: Mapping[str, Any], step: int) -> Tuple[int, int]:
    """Find how many epochs are behind, and how many steps of the one in hand.

    Args:
        counts: What `EpochStart.counts` returned.
        step: The steps taken.
    """
    if counts["is_over"]:
        return counts["number"] + 1, 0
    return counts["number"], step - counts["step"]
