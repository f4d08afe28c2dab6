"""SIGTERM in a training of several processes: all save the same step, and end together.

Lightning's handler talks to the other processes from within the handler, whatever they are doing then, and
only rank 0's signal reaches all (before 2.6, nobody's does). Here the handler remembers, and what came to
any process is agreed on between two batches. In one process Lightning's own way is all that is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import torch

if TYPE_CHECKING:
    from hfl_integrations._lightning._seams import Replaced


class Sigterm:
    """What replaces Lightning's handler.

    Args:
        trainer: The Trainer, of one of several processes.
        end: Called between two batches when it is time: saves, and raises Lightning's exception.
    """

    def __init__(self, trainer: Any, end: Callable[[], None]) -> None:
        self._trainer = trainer
        self._end = end
        self._has_come = False
        # What the processes last exchanged. gloo's thread must not be the last to let go of it: it would wait
        # for the interpreter, and the end of the group for it (seen with torch 2.4).
        self._exchanged: Any = None

    def install(self, replaced: Replaced) -> None:
        """Put it in place; Lightning installs its handlers when the training begins."""
        loop = self._trainer.fit_loop.epoch_loop
        replaced.put(self._trainer._signal_connector, "_sigterm_notifier_fn", self._notifier)
        if hasattr(loop, "_broadcast_sigterm_tensor"):
            # Since 2.6 the processes exchange a number before each batch; it takes no second exchange.
            replaced.put(loop, "_broadcast_sigterm_tensor", self._in_its_place)
        else:
            replaced.put(loop, "advance", self._before_batch)

    def _notifier(self, _: Any) -> Any:
        def notify(signum: int, frame: Any) -> None:  # noqa: ARG001  # a handler's signature
            launcher = self._trainer.strategy.launcher
            if launcher is not None and not self._has_come:
                launcher.kill(signum)  # to the processes that this one has started
            self._has_come = True

        return notify

    def _before_batch(self, original: Any) -> Any:
        def advance(data_fetcher: Any) -> Any:
            self._look()
            return original(data_fetcher)

        return advance

    def _in_its_place(self, _: Any) -> Any:
        def broadcast_sigterm_tensor() -> None:
            self._look()

        return broadcast_sigterm_tensor

    def _look(self) -> None:
        """Ask whether the signal has come to any process."""
        distributed = torch.distributed
        if not distributed.is_available() or not distributed.is_initialized():
            return
        device = self._trainer.strategy.root_device
        come = torch.tensor([int(self._has_come)], device=device)
        distributed.all_reduce(come, op=distributed.ReduceOp.MAX)
        self._exchanged = come
        if come.item():
            self._trainer._signal_connector.received_sigterm = True
            self._end()
