"""A record on a few lines."""

from __future__ import annotations

import dataclasses

import pytest

from hfl_metadata import (
    BackendInfo,
    CpuInfo,
    DurationInfo,
    GitInfo,
    GpuInfo,
    LauncherInfo,
    LockFileInfo,
    MemoryInfo,
    ModelInfo,
    PackageOrigin,
    PlatformInfo,
    PythonInfo,
    SubmoduleInfo,
    capture,
)
from hfl_metadata._summary import duration_text


def test_a_record_is_told_on_a_few_lines():
    record = dataclasses.replace(
        capture(None, {"lr": 0.1, "bf16": True}, "digits", note="baseline", bad=object()),
        captured_at="2024-05-01T12:00:00+00:00",
        git=GitInfo(
            commit="a" * 40, branch="main", dirty=True, remote="https://example.com/x.git",
            operation="rebase", diff_digest="sha256:" + "b" * 64, problem="git was slow",
            submodules=[SubmoduleInfo("lib", "c" * 40, "modified"), SubmoduleInfo("x", None, "clean")],
        ),
        command=["python", "train.py"],
        python=PythonInfo("3.11.7", "CPython", "python", "venv"),
        packages={"torch": "2.4.0", "x": "1", "y": "2"},
        origins={"x": PackageOrigin("editable"), "y": PackageOrigin("git")},
        lock_files=[LockFileInfo("uv.lock", "sha256:" + "d" * 64)],
        platform=PlatformInfo("Linux", "5", "x86_64", "Linux-5", "Ubuntu 22.04", "docker"),
        cpu=CpuInfo("EPYC", 8, 16, [0, 1], 1.5),
        memory=MemoryInfo(64 * 2**30, 2**33),
        gpus=[GpuInfo(i, "H100", 80 * 2**30, "9.0", "550") for i in (0, 1)],
        backends=BackendInfo(cuda="12.4", cudnn="9.1.0", nccl="2.21.5", mps=True),
        launcher=LauncherInfo("torchrun", "slurm", rank=0, world_size=8, nodes=1),
        durations=DurationInfo(7500.0, 7000.0, 400.0, 30.0, 3),
        model=ModelInfo("a.b.Bert", 1000, 400, 4000, {"float32": 1000}, quantization={"method": "awq"}),
        seeds={"seed": 1},
        problems={"gpus": "TimeoutError"},
    )  # fmt: skip
    assert str(record).splitlines() == [
        "captured         2024-05-01T12:00:00+00:00",
        "git              aaaaaaaaaaaa on main with changes (sha256:bbbbbbbbbbbb) in a rebase submodules "
        "not clean: lib of https://example.com/x.git (git was slow)",
        "command          python train.py",
        "python           CPython 3.11.7 (venv)",
        "packages         3: torch 2.4.0; 1 editable, 1 not from an index",
        "lock files       uv.lock (sha256:dddddddddddd)",
        "system           Ubuntu 22.04",
        "container        docker",
        "cpu              EPYC, 2 of 16 threads, limited to 1.5 cores",
        "memory           64 GiB, limited to 8 GiB",
        "gpus             2 x H100 80 GiB, driver 550",
        "backends         CUDA 12.4, cuDNN 9.1.0, NCCL 2.21.5, MPS",
        "launcher         torchrun under slurm, rank 0 of 8, 1 node",
        "durations        2 h 5 min (training 1 h 56 min, saving 6 min 40 s, evaluating 30.0 s), 3 sessions",
        "model            Bert, 1,000 parameters, 600 frozen, float32, quantized (awq)",
        "hyperparameters  lr=0.1, bf16=yes",
        "data             digits",
        "seeds            seed=1",
        "note             baseline",
        "not recorded     extra.bad (object)",
        "not found out    gpus: TimeoutError",
    ]


def test_what_is_not_known_is_left_out():
    record = dataclasses.replace(
        capture(),
        git=GitInfo(problem="not in a git repository"),
        packages={}, origins={}, lock_files=[], seeds={}, backends=BackendInfo(), gpus=[],
        cpu=CpuInfo(None, None, None, None), memory=MemoryInfo(None, None), launcher=LauncherInfo(),
        platform=PlatformInfo("Linux", "5", "x86_64", "Linux-5"), python=PythonInfo("3.8.1", "CPython", ""),
    )  # fmt: skip
    labels = [line.split()[0] for line in str(record).splitlines()]
    assert labels == ["captured", "git", "command", "python", "packages", "system"]
    assert "- (not in a git repository)" in str(record)
    bare = dataclasses.replace(record, git=GitInfo())
    assert "no commit yet detached" in str(bare)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_is_written_for_people(seconds, text):
    assert duration_text(seconds) == text
