"""Workers that outlive a signal which the whole process group gets.

A scheduler or a terminal signals every process of a group. A worker that ends at once takes the
batches of the last step with it: the training would fail in the middle of it, with nothing saved.
"""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any, Callable, Iterable, Optional, Tuple

_listening: Counter[signal.Signals] = Counter()


def listening_to(signals: Iterable[signal.Signals]) -> None:
    """A guard listens: workers that begin from now on ignore these signals.

    Args:
        signals: Which.
    """
    _listening.update(signals)


def no_longer_to(signals: Iterable[signal.Signals]) -> None:
    """A guard listens no more.

    Args:
        signals: Which.
    """
    _listening.subtract(signals)


class SteadyWorker:
    """What a worker calls when it begins: it ignores what a guard listens to, then does the user's.

    Args:
        user: The user's ``worker_init_fn``.
    """

    def __init__(self, user: Optional[Callable[[int], None]]) -> None:
        self.user = user
        self._ignored: Optional[Tuple[signal.Signals, ...]] = None

    def __call__(self, worker: int) -> None:
        """Begin.

        Args:
            worker: The worker's number.
        """
        ignored = _current() if self._ignored is None else self._ignored
        for each in ignored:
            signal.signal(
                each, signal.SIG_IGN
            )  # it still ends when its parent does: it looks for it
        if self.user is not None:
            self.user(worker)

    def __getstate__(self) -> Any:
        # A spawned worker has none of this module's memory.
        return {"user": self.user, "_ignored": _current()}


def _current() -> Tuple[signal.Signals, ...]:
    return tuple(each for each, count in _listening.items() if count > 0)
