"""Talking among the processes of a run, beside what the training itself exchanges.

A channel is a process group of its own on gloo, so that nothing which a checkpoint sends gets between two
operations of the training, whichever backend that uses. One thread uses a channel at a time.
"""

from __future__ import annotations

import datetime
from typing import Any, Callable, List, TypeVar

from hfl_checkpoint.errors import RankLostError

_Result = TypeVar("_Result")

# What torch gives gloo where nobody says anything else.
_DEFAULT_TIMEOUT = datetime.timedelta(minutes=30)

PIECE_BYTES = 16 << 20


class Channel:
    """A way for all processes to talk, in the same order on each of them.

    It lasts as long as the process: taking a group down right after an operation, torch may wait for ever for
    a thread that waits for the interpreter (seen with 2.4). So whoever is done with one gives it to `keep`.

    Args:
        distributed: The module torch.distributed, whose default group is set up.

    Attributes:
        world: The group of the training that it was made beside.
        timeout: How long an operation may take.

    Raises:
        RankLostError: Not every process opened one within the timeout.
    """

    def __init__(self, distributed: Any) -> None:
        self._distributed = distributed
        self.world = distributed.group.WORLD
        self._why_lost: str | None = None
        self._group: Any = None
        self.timeout = timeout_of(distributed)
        self._group = self._guarded(
            lambda: distributed.new_group(backend="gloo", timeout=self.timeout)
        )

    def all(self, value: Any) -> List[Any]:
        """Tell every process something, and learn what each says, in the order of ranks."""
        found: List[Any] = [None] * self._distributed.get_world_size()
        self._guarded(lambda: self._distributed.all_gather_object(found, value, group=self._group))
        return found

    def from_first(self, value: Any) -> Any:
        """Return what rank 0 says; the value of the others does not matter."""
        carried = [value]
        self._guarded(
            lambda: self._distributed.broadcast_object_list(carried, src=0, group=self._group)
        )
        return carried[0]

    def to_first(self, value: Any) -> List[Any]:
        """Tell rank 0 something; it gets what each says, in the order of ranks, the others nothing."""
        is_first = self._distributed.get_rank() == 0
        found = [None] * self._distributed.get_world_size() if is_first else None
        self._guarded(
            lambda: self._distributed.gather_object(value, found, dst=0, group=self._group)
        )
        return found or []

    def piece_from_first(self, piece: Any) -> None:
        """Fill a tensor of bytes with what rank 0 has in its own."""
        self._guarded(lambda: self._distributed.broadcast(piece, src=0, group=self._group))

    @property
    def is_intact(self) -> bool:
        """Whether all processes are at the same place of it."""
        return self._why_lost is None

    def _guarded(self, operation: Callable[[], _Result]) -> _Result:
        if self._why_lost is not None:
            raise RankLostError(self._why_lost, seconds=self.timeout.total_seconds())
        try:
            return operation()
        except Exception as error:
            # Whoever missed one operation would take the next one for it.
            self._why_lost = str(error).strip().split("\n", 1)[0] or repr(error)
            raise RankLostError(self._why_lost, seconds=self.timeout.total_seconds()) from error
        except BaseException:
            self._why_lost = "this process was interrupted"
            raise


_idle: List[Channel] = []


def open_channel(distributed: Any) -> Channel:
    """Take the channel that was given up last, or open one; every process does it at the same point."""
    world = distributed.group.WORLD
    _idle[:] = [channel for channel in _idle if channel.world is world]
    return _idle.pop() if _idle else Channel(distributed)


def keep(channel: Channel) -> None:
    """Give a channel up, for the next one that is needed."""
    if channel.is_intact:
        _idle.append(channel)


def timeout_of(distributed: Any) -> datetime.timedelta:
    """The timeout that was given to ``init_process_group``, or torch's default where nobody can tell."""
    import torch

    group = distributed.group.WORLD
    for device in ("cpu", "cuda"):
        try:
            found = group._get_backend(torch.device(device)).options._timeout
        except (AttributeError, RuntimeError):  # no backend for it, or one without options
            continue
        if isinstance(found, datetime.timedelta):
            return found
    return _DEFAULT_TIMEOUT
