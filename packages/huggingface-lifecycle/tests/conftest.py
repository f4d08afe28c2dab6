from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
import torch

import hf_lifecycle as hfl

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a real run, with one checkpoint for each step."""

    def make(name: str, *, steps: tuple = (1, 2), weight: float = 0.5, **more: object) -> Path:
        model = torch.nn.Linear(2, 2)
        with hfl.CheckpointManager(tmp_path / name, background=False) as checkpoints:
            for step in steps:
                torch.nn.init.constant_(model.weight, weight * step)
                torch.nn.init.zeros_(model.bias)
                checkpoints.save(step, model=model, counter={"n": step}, **more)
        return tmp_path / name

    return make
