"""One answer for all processes of a run: whoever saves alone waits for the others for ever.

Clocks differ between machines, and a signal may reach a single process. So what depends on them is
decided together, by one small collective operation on the thread that asks. Without torch.distributed
every process speaks for itself.
"""

from __future__ import annotations

import sys
from typing import Any, List

# The tensor of the last agreement. gloo's thread lets go of it a moment after the agreement is over; were it
# the last to do so, it would wait for the interpreter, and whoever takes the group down right then for it: a
# deadlock, seen with torch 2.4.
_last: List[Any] = []


def first_decides(answer: bool) -> bool:
    """Return what the process of rank 0 answers; every process of the run has to ask.

    Args:
        answer: What this process would answer.
    """
    distributed = initialized()
    if distributed is None:
        return answer
    own = int(answer) if distributed.get_rank() == 0 else 0
    return bool(_highest(distributed, own))


def highest_of_all(value: int) -> int:
    """Return the highest value among the processes of the run, each of which has to ask.

    Args:
        value: This process's.
    """
    distributed = initialized()
    return value if distributed is None else _highest(distributed, value)


def initialized() -> Any:
    """The module torch.distributed when several processes train, else None."""
    # Whoever has set it up has imported it; a program without it does not pay for the import.
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed if distributed.get_world_size() > 1 else None


def _highest(distributed: Any, value: int) -> int:
    import torch

    # NCCL moves tensors of its own devices only.
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor([value], dtype=torch.int64, device=device)
    distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX)
    _last[:] = [tensor]
    return int(tensor.item())
