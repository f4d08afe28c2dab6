"""How long a run took, over two sessions: a clock that is a component of the checkpoints.

python examples/metadata/durations.py
"""

from __future__ import annotations

import torch

from hfl_checkpoint import CheckpointManager
from hfl_core import Timer
from hfl_metadata import RunClock, read_metadata


def train(until: int) -> None:
    """Train from where the last session stopped."""
    model = torch.nn.Linear(64, 64)
    timer = Timer()
    clock = RunClock(timer)  # counts the timer's spans "train", "save" and "evaluate"
    with CheckpointManager("runs/clocked", metadata={"durations": clock}) as checkpoints:
        report = checkpoints.resume(model=model, durations=clock)
        begin = report.checkpoint.step if report else 0
        for step in range(begin + 1, until + 1):
            with timer.span("train"):
                for _ in range(20):
                    model(torch.randn(256, 64)).sum().backward()
            with timer.span("save"):
                checkpoints.save(step, model=model, durations=clock)


train(until=2)
first = read_metadata("runs/clocked").durations
train(until=4)
second = read_metadata("runs/clocked").durations
print(first)
print(second)

assert first is not None
assert second is not None
assert (first.sessions, second.sessions) == (1, 2)
assert second.training > first.training > 0
