"""What started this process, by the variables that it left in the environment."""

from __future__ import annotations

import os
from typing import Dict, Mapping, Tuple

from hfl_metadata._facts import LauncherInfo
from hfl_metadata._privacy import private_value

# A variable that only this program or scheduler sets, the first match counts. Accelerate starts
# torchrun, and Slurm starts everything.
_PROGRAMS: Tuple[Tuple[str, str], ...] = (
    ("ACCELERATE_MIXED_PRECISION", "accelerate"),
    ("ACCELERATE_USE_DEEPSPEED", "accelerate"),
    ("ACCELERATE_USE_FSDP", "accelerate"),
    ("ACCELERATE_DYNAMO_BACKEND", "accelerate"),
    ("TORCHELASTIC_RUN_ID", "torchrun"),
    ("OMPI_COMM_WORLD_RANK", "mpirun"),
    ("PMI_RANK", "mpirun"),
    ("MV2_COMM_WORLD_RANK", "mpirun"),
    ("CROSS_RANK", "deepspeed"),
    ("SLURM_STEP_ID", "srun"),
)
_SCHEDULERS: Tuple[Tuple[str, str], ...] = (
    ("SLURM_JOB_ID", "slurm"),
    ("LSB_JOBID", "lsf"),
    ("PBS_JOBID", "pbs"),
    ("SGE_TASK_ID", "sge"),
    ("KUBERNETES_SERVICE_HOST", "kubernetes"),
)
# Slurm's own step for a batch script: the one process of it is nobody's rank.
_BATCH_STEPS = {"batch", "interactive", "extern", "4294967291", "4294967290", "4294967294"}

_NUMBERS: Dict[str, Tuple[str, ...]] = {
    "rank": ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID"),
    "world_size": (
        *("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"),
        *("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
    ),
    "local_rank": (
        *("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"),
        *("MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"),
    ),
    "local_world_size": (
        *("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"),
        *("MV2_COMM_WORLD_LOCAL_SIZE", "LOCAL_SIZE"),
    ),
    "node": ("GROUP_RANK", "NODE_RANK", "SLURM_NODEID", "JOB_COMPLETION_INDEX"),
    "nodes": ("GROUP_WORLD_SIZE", "NNODES", "SLURM_STEP_NUM_NODES", "SLURM_NNODES"),
    "restarts": ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"),
}

# What is worth having besides; nothing that names a host, an address or a person.
_DETAILS = (
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_MAX_RESTARTS", "ROLE_NAME"),
    *("ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"),
    *(
        "ACCELERATE_DYNAMO_BACKEND",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
        "FSDP_SHARDING_STRATEGY",
    ),
    *("FSDP_VERSION", "ACCELERATE_DEEPSPEED_ZERO_STAGE"),
    *(
        "SLURM_JOB_ID",
        "SLURM_JOB_NAME",
        "SLURM_JOB_PARTITION",
        "SLURM_CLUSTER_NAME",
        "SLURM_JOB_QOS",
    ),
    *("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK", "SLURM_GPUS_ON_NODE"),
    *("LSB_JOBID", "PBS_JOBID", "PBS_QUEUE", "JOB_COMPLETION_INDEX", "OMP_NUM_THREADS"),
)


def read_launcher(environment: Mapping[str, str] | None = None) -> LauncherInfo:
    """Describe what started this process.

    Args:
        environment: The variables; this process's if None.

    Returns:
        What they say.
    """
    variables = os.environ if environment is None else environment
    program = next((name for sign, name in _PROGRAMS if sign in variables), None)
    is_batch = variables.get("SLURM_STEP_ID") in _BATCH_STEPS or "SLURM_STEP_ID" not in variables
    if program == "srun" and is_batch:
        program = None
    # A process that sbatch started itself sees its job's numbers, but is not one of its tasks.
    hidden = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_NODEID") if is_batch else ()
    numbers = {
        field: _number(variables, [name for name in names if name not in hidden])
        for field, names in _NUMBERS.items()
    }
    return LauncherInfo(
        program=program,
        scheduler=next((name for sign, name in _SCHEDULERS if sign in variables), None),
        details={
            name: private_value(name, variables[name]) for name in _DETAILS if variables.get(name)
        },
        **numbers,
    )


def _number(variables: Mapping[str, str], names: list[str]) -> int | None:
    for name in names:
        try:
            return int(variables[name])
        except (KeyError, ValueError):
            continue
    return None
