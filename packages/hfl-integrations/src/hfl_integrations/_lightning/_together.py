"""One answer for all processes of a training: that of rank 0, which may see what others do not."""

from __future__ import annotations

import sys
from typing import Any, Callable, TypeVar

from hfl_core import ConfigError

_Result = TypeVar("_Result")


def are_several() -> bool:
    """Whether several processes train together."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return False
    return int(distributed.get_world_size()) > 1


def from_first(work: Callable[[], _Result]) -> _Result:
    """Do something on rank 0, and return what came of it on every process; each has to ask.

    Args:
        work: What to do.

    Returns:
        What it returned there.

    Raises:
        Exception: What it raised there.
    """
    if not are_several():
        return work()
    distributed: Any = sys.modules["torch.distributed"]
    told: Any = [None]
    if distributed.get_rank() == 0:
        try:
            told = [(work(), None)]
        except Exception as error:  # noqa: BLE001  # the others would wait for ever
            told = [(None, error)]
    distributed.broadcast_object_list(told, src=0)
    result, failure = told[0]
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]  # what `work` has returned


def require_nobody_else(found: Any) -> None:
    """Refuse to begin anew where another process than the first has found what to go on from.

    Args:
        found: What this process has found, or None; each has to ask.

    Raises:
        ConfigError: The first has found nothing, and another one has.
    """
    if not are_several():
        return
    distributed: Any = sys.modules["torch.distributed"]
    told: Any = [None] * distributed.get_world_size()
    distributed.all_gather_object(told, None if found is None else str(found))
    for rank, path in enumerate(told):
        if path is not None:
            raise ConfigError(
                f"Rank 0 has nothing to go on from on its disk, and rank {rank} has {path!r}: to begin "
                "anew would lose what was trained.",
                hint="Start the process on that machine as rank 0, copy the directory to rank 0's machine, "
                "use one that all machines share, or publish with hub=.",
            )
