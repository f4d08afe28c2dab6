"""What can go wrong between the processes of one run; public in `hfl_checkpoint.errors`."""

from __future__ import annotations

from typing import Sequence

from hfl_checkpoint._checkpoint_error import CheckpointError
from hfl_checkpoint._state_errors import StateMismatchError
from hfl_core import ConflictError, NetworkError

__all__ = ["RankFailedError", "RankLostError", "WorldSizeError"]


class RankFailedError(CheckpointError, ConflictError):
    """Something went wrong on one of several processes, so that all of them raise this.

    What is an error of ours there is raised everywhere as what it is, with the rank in its message.

    Args:
        rank: On which.
        cause: What went wrong there, as it is written in code.
    """

    def __init__(self, rank: int, cause: str) -> None:
        super().__init__(
            f"On rank {rank}: {cause}.",
            hint="Nothing was committed or changed. The output of that rank shows where it comes from.",
        )
        self.rank = rank
        self.cause = cause


class RankLostError(CheckpointError, NetworkError):
    """Another process of the run has died, hangs, or does something else than this one.

    Args:
        cause: What the connection to it says.
        seconds: How long it was waited for, at most.
    """

    def __init__(self, cause: str, *, seconds: float) -> None:
        super().__init__(
            f"The processes of this run cannot agree: another one has ended, or did not come within "
            f"{seconds:g} s ({cause}).",
            hint="Nothing was committed. Every process has to save, restore and load at the same points; "
            "start all of them again to go on from the newest checkpoint.",
        )
        self.cause = cause
        self.seconds = seconds


class WorldSizeError(StateMismatchError):
    """A checkpoint was saved by another number of processes, and something in it depends on that.

    Args:
        component: The component that does.
        differences: What keeps it from being restored, one clause each.
        saved: How many processes saved it.
        found: How many there are now.
        components: Everything of which each process has its own.
    """

    def __init__(
        self,
        component: str,
        differences: Sequence[str],
        *,
        saved: int,
        found: int,
        components: Sequence[str],
    ) -> None:
        apart = f" or pass allow_missing={set(components)!r}" if components else ""
        super().__init__(
            component,
            [f"it was saved by {_processes(saved)}, and there {_are(found)} now", *differences],
            hint=f"Start {_processes(saved)}, or say that the run may go on differently: a TrainingState with "
            f"on_change='override' carries the position over{apart and ','}{apart} to leave them as they "
            "are.",
        )
        self.saved = saved
        self.found = found


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {_processes(count)}"
