"""A run that is killed in the middle of training goes on with the same bits.

The script trains in a child process that kills itself, trains on in another one, and compares the end with
that of a run which was never stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from hfl_checkpoint import CheckpointManager, EverySteps, KeepLast

STEPS = 60


class State:
    """What training is made of; hfl-state has this ready-made, with data and randomness as well."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.counters = {"step": 0}
        self.epoch = None

    @property
    def step(self) -> int:
        """Optimizer steps taken."""
        return self.counters["step"]

    def components(self) -> dict[str, object]:
        """Everything that has to be as it was."""
        return {"model": self.model, "optimizer": self.optimizer, "counters": self.counters}


def train(directory: Path, die_at: int | None = None) -> str:
    """Train to the end, and return the last weight, to the bit."""
    state = State()
    with CheckpointManager(directory, save=EverySteps(10), keep=KeepLast(2)) as checkpoints:
        report = checkpoints.resume(state)  # does nothing on a fresh run
        print(
            f"starts at step {state.step}" + (f" from {report.checkpoint.name}" if report else "")
        )
        while state.step < STEPS:
            batch = torch.randn(32, 16, generator=torch.Generator().manual_seed(state.step))
            loss = (state.model(batch) - batch.sum(1, keepdim=True)).square().mean()
            state.optimizer.zero_grad()
            loss.backward()
            state.optimizer.step()
            state.counters["step"] += 1
            checkpoints.step(state, loss=loss)  # saves beside the training
            if state.step == die_at:
                sys.stdout.flush()
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return float(state.model[2].weight.detach()[0, 0]).hex()


def main() -> None:
    """Kill a run, resume it, and compare."""
    if len(sys.argv) > 1:
        train(Path(sys.argv[1]), die_at=37)
        return
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder, "killed"), Path(folder, "whole")
        child = subprocess.run([sys.executable, __file__, str(killed)], check=False)
        print(f"killed: exit status {child.returncode}")
        resumed, expected = train(killed), train(whole)
        print(f"resumed {resumed}, never stopped {expected}")
        assert resumed == expected


if __name__ == "__main__":
    main()
