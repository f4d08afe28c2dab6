"""A training loader whose position is known, in the place of the user's."""

from __future__ import annotations

import collections
from typing import Any, Deque, Dict, Iterator, Mapping

from hfl_state import ResumableLoader


class PositionedLoader:
    """Hands out what a loader does, and knows how far it has come.

    A new loop over it is a new epoch, as with torch's own loaders: Lightning begins one whenever it has
    seen as many batches as it wants. Only the first loop after a resume goes on in the middle.

    Lightning asks loaders that have a ``state_dict`` for it, and warns about others. The position of
    every process is saved elsewhere, so there is nothing in it.

    Attributes:
        is_open: Whether a loop over it is not at its end, be it that it has seen the last batch.

    Args:
        loader: The loader that Lightning has prepared: with a distributed sampler where one is needed.
        on_change: As for `hfl_state.ResumableLoader`.
    """

    def __init__(self, loader: Any, *, on_change: Any) -> None:
        _stop_workers(loader)
        self._loader = loader
        self._inner = ResumableLoader(loader, on_change=on_change)
        self._is_going_on = False
        self._is_over = False
        self.is_open = False
        # Where nobody knows the number of batches, Lightning fetches one ahead to see the last one.
        self._before: Deque[Dict[str, Any]] | None = (
            None if _has_length(loader) else collections.deque(maxlen=4)
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """Hand out the rest of an epoch once after a resume, and the next epoch otherwise."""
        is_over, self._is_over = self._is_over, False
        self.is_open = True
        try:
            if not is_over:
                yield from self._batches()
        finally:
            self.is_open = False

    def _batches(self) -> Iterator[Any]:
        if self._is_going_on:
            self._is_going_on = False
        elif not self._inner.is_epoch_start:
            self.begin_epoch(self._inner.epoch + 1)
        if self._before is None:
            yield from self._inner
            return
        self._before.append(self._inner.state_dict())
        for item in self._inner:
            yield item
            self._before.append(self._inner.state_dict())

    def begin_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, wherever the position is."""
        state = self._inner.state_dict()
        start = {"epoch": epoch, "batch": 0, "begin": 0, "order": None, "inner": None}
        self._inner.load_state_dict({**state, **start})

    def position(self, ahead: int = 0) -> Dict[str, Any]:
        """Return where it stands.

        Args:
            ahead: How many of the batches that were handed out nobody has trained on yet.
        """
        if self._before is not None and 0 < ahead <= len(self._before):
            return self._before[-ahead]
        return self._inner.state_dict()

    def go_to(
        self, position: Mapping[str, Any], *, within_epoch: bool, was_open: bool = False
    ) -> None:
        """Go to a position.

        Args:
            position: What `position` returned.
            within_epoch: Whether the next loop goes on from there; otherwise it is a new epoch.
            was_open: Whether a loop was not at its end. When it had seen the last batch, the next loop is the
                rest of it, which is empty.
        """
        self._inner.load_state_dict(position)
        self._is_going_on = within_epoch
        self._is_over = was_open and self._inner.is_epoch_start

    def check(self, position: Mapping[str, Any]) -> Any:
        """Say in words what keeps a position from being gone to."""
        return self._inner.check(position)

    @property
    def epoch(self) -> int:
        """Which epoch of its own it is in."""
        return self._inner.epoch

    def state_dict(self) -> Dict[str, Any]:
        """Return nothing: see the class."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing: see the class."""


def _has_length(loader: Any) -> bool:
    try:
        len(loader)
    except (TypeError, NotImplementedError):
        return False
    return True


def _stop_workers(loader: Any) -> None:
    """Lightning has tried whether the loader can be iterated; persistent workers live on after that."""
    iterator = getattr(loader, "_iterator", None)
    if iterator is None:
        return
    shutdown = getattr(iterator, "_shutdown_workers", None)
    if callable(shutdown):
        shutdown()
    loader._iterator = None
