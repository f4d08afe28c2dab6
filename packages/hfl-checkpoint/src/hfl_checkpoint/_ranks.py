"""The processes that checkpoint together: one that trains alone, or the ranks of torch.distributed.

Whatever may fail on one process is done within `agree` or `first`, so that all of them go on, or all
raise. So the number of a process's operations never depends on what only that process knows.
"""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, TypeVar

from hfl_checkpoint import _agreement
from hfl_checkpoint.errors import RankFailedError, RankLostError
from hfl_core import ConfigError, HflError

if TYPE_CHECKING:
    from hfl_checkpoint._channel import Channel

_Result = TypeVar("_Result")


class Alone:
    """A process that trains alone: it agrees with itself, and pays nothing for it.

    Attributes:
        rank: Its number.
        world_size: How many there are.
    """

    rank = 0
    world_size = 1

    @property
    def is_first(self) -> bool:
        """Whether this process does what one does for all: it writes, deletes and publishes."""
        return self.rank == 0

    @property
    def is_several(self) -> bool:
        """Whether there are others."""
        return self.world_size > 1

    def agree(self, work: Callable[[], _Result], **same: Any) -> _Result:  # noqa: ARG002  # alone
        """Do something on every process, and go on only when it worked on all of them.

        Args:
            work: What to do; it changes nothing that would have to be undone.
            **same: What has to be equal on all processes, by name.

        Returns:
            What `work` returns here.

        Raises:
            HflError: What went wrong on the first process on which something did.
            ConfigError: The processes do not agree on what has to be equal.
        """
        return work()

    def first(self, work: Callable[[], _Result]) -> _Result:
        """Do something on rank 0 alone, and return what came of it on every process.

        Raises:
            HflError: What went wrong there.
        """
        return work()

    def all(self, value: _Result) -> List[_Result]:
        """Learn what every process says, in the order of ranks."""
        return [value]

    def close(self) -> None:
        """Give connections back."""


class Team(Alone):
    """The ranks of torch.distributed, as one of them sees them.

    Args:
        distributed: The module torch.distributed.
    """

    def __init__(self, distributed: Any) -> None:
        self._distributed = distributed
        self.group = distributed.group.WORLD
        self.rank = int(distributed.get_rank())
        self.world_size = int(distributed.get_world_size())
        self._caller: Channel | None = None
        self._writer: Channel | None = None

    @property
    def caller(self) -> Channel:
        """The channel of the thread that trains."""
        if self._caller is None:
            self._caller = self._open()
        return self._caller

    def open_writer(self) -> Channel:
        """The channel of the thread that writes; the one that trains opens it."""
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _open(self) -> Channel:
        from hfl_checkpoint._channel import open_channel

        return open_channel(self._distributed)

    def agree(self, work: Callable[[], _Result], **same: Any) -> _Result:
        """See `Alone.agree`."""
        result: Any = None
        failure: Exception | None = None
        try:
            result = work()
        except RankLostError:
            raise  # there is nobody to tell
        except Exception as error:  # noqa: BLE001  # all are told
            failure = error
        reports = self.caller.all((portable(failure, self.rank), same))
        for rank, (told, _) in enumerate(reports):
            if told is not None:
                raise told from (failure if rank == self.rank else None)
        _require_equal([own for _, own in reports])
        return result  # type: ignore[no-any-return]  # what `work` has returned

    def first(self, work: Callable[[], _Result]) -> _Result:
        """See `Alone.first`."""
        result: Any = None
        failure: Exception | None = None
        if self.is_first:
            try:
                result = work()
            except RankLostError:
                raise
            except Exception as error:  # noqa: BLE001  # all are told
                failure = error
        result, told = self.caller.from_first((result, portable(failure, None)))
        if told is not None:
            if isinstance(failure, HflError):
                raise failure
            raise told from failure
        return result  # type: ignore[no-any-return]  # what `work` has returned

    def all(self, value: _Result) -> List[_Result]:
        """See `Alone.all`."""
        return self.caller.all(value)

    def close(self) -> None:
        """See `Alone.close`."""
        from hfl_checkpoint._channel import keep

        for channel in (self._writer, self._caller):
            if channel is not None:
                keep(channel)
        self._caller = self._writer = None


def team_of(known: Alone) -> Alone:
    """Return the processes that train together at this moment.

    Args:
        known: The answer from before, which stays the answer as long as it is right.
    """
    distributed = _agreement.initialized()
    if distributed is None:
        return known if not known.is_several else Alone()
    if isinstance(known, Team) and known.group is distributed.group.WORLD:
        return known
    return Team(distributed)


def portable(error: Exception | None, rank: int | None) -> HflError | None:
    """Make of an error one that can be raised on every process.

    Args:
        error: What was raised, or None.
        rank: Where, if it is to be named.
    """
    if error is None:
        return None
    if isinstance(error, HflError):
        try:
            packed = pickle.dumps(error)
            carried: HflError = pickle.loads(packed)  # noqa: S301  # nosec B301  # made here
        except Exception:  # noqa: BLE001  # an attribute that cannot travel
            carried = HflError(error.message, hint=error.hint)
        if rank is not None and not error.message.startswith("On rank "):
            carried = copy.copy(carried)
            carried.message = f"On rank {rank}: {error.message}"
            carried.args = (carried.message,)
        return carried
    return RankFailedError(rank or 0, repr(error))


def _require_equal(facts: List[Mapping[str, Any]]) -> None:
    """Refuse what differs between the processes: they are not at the same point of the same program."""
    for name, expected in facts[0].items():
        for rank, others in enumerate(facts):
            if others.get(name) != expected:
                raise ConfigError(
                    f"The processes of this run do not agree on {name.replace('_', ' ')}: it is "
                    f"{_shown(expected)} on rank 0, and {_shown(others.get(name))} on rank {rank}.",
                    hint="Every process calls the manager at the same steps, with components of the same "
                    "names.",
                )


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
