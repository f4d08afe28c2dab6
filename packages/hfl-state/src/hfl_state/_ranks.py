"""Which of how many processes this one is."""

from __future__ import annotations

import torch.distributed


def rank_and_world_size() -> tuple[int, int]:
    """Read this process's place in the process group.

    Returns:
        The rank and the number of processes; 0 and 1 where there is no process group.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
