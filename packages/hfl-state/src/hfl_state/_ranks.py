"""Which of how many processes this one is, and what they agree on."""

from __future__ import annotations

from typing import List

import torch
import torch.distributed

# The tensor of the last agreement. gloo's thread lets go of it a moment after the agreement is over; were it
# the last to do so, it would wait for the interpreter, and whoever takes the group down right then for it: a
# deadlock, seen with torch 2.4.
_last: List[torch.Tensor] = []


def rank_and_world_size() -> tuple[int, int]:
    """Read this process's place in the process group.

    Returns:
        The rank and the number of processes; 0 and 1 where there is no process group.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def highest_of_all(value: int) -> int:
    """Find the highest value among all processes; each of them has to ask.

    Args:
        value: This process's.

    Returns:
        The same number in every process.
    """
    if rank_and_world_size()[1] == 1:
        return value
    # NCCL moves tensors of its own devices only.
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor([value], dtype=torch.int64, device=device)
    torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MAX)
    _last[:] = [tensor]
    return int(tensor.item())
