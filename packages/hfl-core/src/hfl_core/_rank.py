"""Which process of a distributed run this is, as its launcher says in the environment."""

from __future__ import annotations

import os
from typing import Mapping

# torchrun and accelerate, Open MPI, MPICH and Intel MPI, srun. Slurm's batch script is a step of one
# task in a job of many, so the step is asked and not the job.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


def rank_and_world(environ: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Read the rank of this process and how many there are.

    Args:
        environ: The environment; `os.environ` if None.

    Returns:
        The rank and the world size; ``(0, 1)`` for a process that runs alone.

    Example:
        >>> rank_and_world({"RANK": "3", "WORLD_SIZE": "8"})
        (3, 8)
    """
    variables = os.environ if environ is None else environ
    for rank_name, world_name in _LAUNCHERS:
        rank, world = _number(variables.get(rank_name)), _number(variables.get(world_name))
        if rank is not None and world is not None and rank < world:
            return rank, world
    return 0, 1


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
