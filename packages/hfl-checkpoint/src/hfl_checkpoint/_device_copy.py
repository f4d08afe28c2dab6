"""Copies from a GPU into page-locked memory that run beside the training's own work there.

Two kinds: what may change at any time is copied on the stream on which the training runs, so whatever is
queued after it comes after it; the rest goes over a stream of its own, and the next optimizer step waits
for it on the GPU, not on the host.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import torch

Pair = Tuple[torch.Tensor, torch.Tensor]  # target on the host, source on a device

# A stream has a price and is used for every save.
_side: Dict[torch.device, torch.cuda.Stream] = {}


class DeviceCopies:  # pragma: no cover  # needs a GPU
    """The copies of one snapshot from all of its GPUs.

    Args:
        now: Pairs to be copied before anything that the training queues from here on.
        late: Pairs to be copied beside it.
    """

    def __init__(self, now: Sequence[Pair], late: Sequence[Pair]) -> None:
        self._now: List[torch.cuda.Event] = []
        self._late: Dict[torch.device, torch.cuda.Event] = {}
        for device in {source.device for _, source in [*now, *late]}:
            with torch.cuda.device(device):
                current = torch.cuda.current_stream(device)
                for target, source in now:
                    if source.device == device:
                        target.copy_(source, non_blocking=True)
                self._now.append(current.record_event())
                side = _side.setdefault(device, torch.cuda.Stream(device))  # type: ignore[no-untyped-call]  # torch has no types for it
                side.wait_stream(current)
                with torch.cuda.stream(side):
                    for target, source in late:
                        if source.device == device:
                            target.copy_(source, non_blocking=True)
                    self._late[device] = side.record_event()

    def hold_device(self) -> None:
        """Make what is queued from here on wait for the late copies, on the GPU."""
        for device, event in self._late.items():
            torch.cuda.current_stream(device).wait_event(event)

    def wait(self) -> None:
        """Wait on the host until everything is copied."""
        for event in [*self._now, *self._late.values()]:
            event.synchronize()
