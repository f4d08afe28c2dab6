"""Workers that outlive a signal which the whole process group gets.

A scheduler or a terminal signals every process of a group. A worker that ends at once takes the
batches of the last step with it: the training would fail in the middle of it, with nothing saved.
"""

from __future__ import annotations

import signal
from typing import Any, Callable, Optional, Tuple

from hfl_core._signals import signals_listened_to


class SteadyWorker:
    """What a worker process calls when it begins: it ignores what its parent listens to.

    It still ends with its parent, for which a worker of torch looks.

    Args:
        user: What to call afterwards, as a ``worker_init_fn`` of the user's.

    Example:
        >>> SteadyWorker(print)(0)
        0
    """

    def __init__(self, user: Optional[Callable[[int], Any]] = None) -> None:
        self.user = user
        self._ignored: Optional[Tuple[signal.Signals, ...]] = None

    def __call__(self, worker: int) -> None:
        """Begin.

        Args:
            worker: The worker's number.
        """
        for each in signals_listened_to() if self._ignored is None else self._ignored:
            signal.signal(each, signal.SIG_IGN)
        if self.user is not None:
            self.user(worker)

    def __getstate__(self) -> Any:
        # A spawned worker has none of this process's memory.
        return {"user": self.user, "_ignored": signals_listened_to()}
