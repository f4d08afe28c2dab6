"""What one process does for all, and what every process does: nothing else here asks for a rank.

Every process calls the manager at the same steps, with the components of its own; who writes what is
the manager's business.
"""

from __future__ import annotations

from typing import Any, Callable, List, TypeVar

import torch.distributed

_Result = TypeVar("_Result")


def speaks(trainer: Any) -> bool:
    """Whether this process tells people what all of them do."""
    return bool(trainer.is_world_process_zero())


def first_says(look: Callable[[], _Result]) -> _Result:
    """Look at the run's directory on rank 0, which alone is sure to see it, and tell all processes.

    Args:
        look: What to do there; it does not raise.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return look()
    found: List[Any] = [look() if torch.distributed.get_rank() == 0 else None]
    torch.distributed.broadcast_object_list(found, src=0)
    return found[0]  # type: ignore[no-any-return]  # what `look` has returned
