from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

import hf_lifecycle

MakeRun = Callable[..., Path]
Hfl = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a real run, with one checkpoint for each step."""

    def make(name: str, *, steps: tuple = (1, 2), weight: float = 0.5, **more: object) -> Path:
        model = torch.nn.Linear(2, 2)
        with hf_lifecycle.CheckpointManager(tmp_path / name, background=False) as checkpoints:
            for step in steps:
                torch.nn.init.constant_(model.weight, weight * step)
                torch.nn.init.zeros_(model.bias)
                checkpoints.save(step, model=model, counter={"n": step}, **more)
        return tmp_path / name

    return make


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_hub: object) -> Path:
    """A project's folder, nobody signed in, and the local Hub as the one in use."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def hfl(tmp_path: Path) -> Hfl:
    """Run the command line as a user would: a process of its own."""

    def run(*arguments: str, code: int = 0, **more: Any) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "hfl_cli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
            **more,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
