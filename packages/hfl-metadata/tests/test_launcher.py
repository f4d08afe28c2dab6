"""What each launcher leaves in the environment of the processes that it starts."""

from __future__ import annotations

import pytest

from hfl_metadata import LauncherInfo
from hfl_metadata._launcher import read_launcher

TORCHRUN = {
    "LOCAL_RANK": "1", "RANK": "5", "GROUP_RANK": "1", "ROLE_RANK": "5", "ROLE_NAME": "default",
    "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8", "GROUP_WORLD_SIZE": "2", "ROLE_WORLD_SIZE": "8",
    "MASTER_ADDR": "gpu-17.alice.example", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_MAX_RESTARTS": "3", "TORCHELASTIC_RUN_ID": "job7", "OMP_NUM_THREADS": "1",
}  # fmt: skip
SLURM = {
    "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_JOB_PARTITION": "gpu", "SLURM_NNODES": "2",
    "SLURM_NTASKS": "8", "SLURM_JOB_USER": "alice", "SLURM_SUBMIT_HOST": "login1", "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "gpu[1-2]",
}  # fmt: skip
CASES = {
    "nothing": ({}, LauncherInfo()),
    "torchrun": (
        TORCHRUN,
        LauncherInfo(
            "torchrun", None, 5, 8, 1, 4, 1, 2, 2,
            {"TORCHELASTIC_RUN_ID": "job7", "TORCHELASTIC_MAX_RESTARTS": "3", "ROLE_NAME": "default",
             "OMP_NUM_THREADS": "1"},
        ),
    ),
    "accelerate, one process": (
        {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_DYNAMO_BACKEND": "no"},
        LauncherInfo(
            "accelerate",
            details={"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_DYNAMO_BACKEND": "no"},
        ),
    ),
    "accelerate, many": (
        {**TORCHRUN, "ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_FSDP": "true",
         "FSDP_SHARDING_STRATEGY": "FULL_SHARD"},
        LauncherInfo(
            "accelerate", None, 5, 8, 1, 4, 1, 2, 2,
            {"TORCHELASTIC_RUN_ID": "job7", "TORCHELASTIC_MAX_RESTARTS": "3", "ROLE_NAME": "default",
             "ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_FSDP": "true",
             "FSDP_SHARDING_STRATEGY": "FULL_SHARD", "OMP_NUM_THREADS": "1"},
        ),
    ),
    "srun": (
        {**SLURM, "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
         "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_RESTART_COUNT": "1"},
        LauncherInfo(
            "srun", "slurm", 3, 4, 1, None, 1, 2, 1,
            {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_JOB_PARTITION": "gpu"},
        ),
    ),
    "a batch script, whose one process is nobody's rank": (
        {**SLURM, "SLURM_STEP_ID": "4294967291"},
        LauncherInfo(
            None, "slurm", nodes=2,
            details={"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_JOB_PARTITION": "gpu"},
        ),
    ),
    "torchrun under Slurm": (
        {**SLURM, **TORCHRUN, "SLURM_STEP_ID": "0"},
        LauncherInfo(
            "torchrun", "slurm", 5, 8, 1, 4, 1, 2, 2,
            {"TORCHELASTIC_RUN_ID": "job7", "TORCHELASTIC_MAX_RESTARTS": "3", "ROLE_NAME": "default",
             "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_JOB_PARTITION": "gpu",
             "OMP_NUM_THREADS": "1"},
        ),
    ),
    "an array job": (
        {**SLURM, "SLURM_ARRAY_JOB_ID": "4240", "SLURM_ARRAY_TASK_ID": "2"},
        LauncherInfo(
            None, "slurm", nodes=2,
            details={"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_JOB_PARTITION": "gpu",
                     "SLURM_ARRAY_JOB_ID": "4240", "SLURM_ARRAY_TASK_ID": "2"},
        ),
    ),
    "Kubernetes": (
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "2", "HOSTNAME": "pod-alice-0"},
        LauncherInfo(None, "kubernetes", node=2, details={"JOB_COMPLETION_INDEX": "2"}),
    ),
    "Open MPI": (
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
         "OMPI_COMM_WORLD_LOCAL_SIZE": "2"},
        LauncherInfo("mpirun", None, 1, 2, 1, 2),
    ),
    "Intel MPI under PBS": (
        {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2",
         "PBS_JOBID": "7.server", "PBS_QUEUE": "workq"},
        LauncherInfo("mpirun", "pbs", 1, 2, 1, 2,
                     details={"PBS_JOBID": "7.server", "PBS_QUEUE": "workq"}),
    ),
    "DeepSpeed": (
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_SIZE": "2", "CROSS_RANK": "0",
         "CROSS_SIZE": "1"},
        LauncherInfo("deepspeed", None, 0, 2, 0, 2),
    ),
    "numbers that are none": ({**TORCHRUN, "RANK": "", "WORLD_SIZE": "many", "LSB_JOBID": "9"},
        LauncherInfo(
            "torchrun", "lsf", None, None, 1, 4, 1, 2, 2,
            {"TORCHELASTIC_RUN_ID": "job7", "TORCHELASTIC_MAX_RESTARTS": "3", "ROLE_NAME": "default",
             "LSB_JOBID": "9", "OMP_NUM_THREADS": "1"},
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_launcher_is_told_by_what_it_leaves(case):
    variables, expected = CASES[case]
    assert read_launcher(variables) == expected


@pytest.mark.parametrize("case", CASES)
def test_no_host_no_address_and_no_person_is_recorded(case):
    text = str(read_launcher(CASES[case][0]))
    for private in ("alice", "gpu-17", "login1", "gpu[1-2]", "10.0.0.1", "29500"):
        assert private not in text
