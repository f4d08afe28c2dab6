"""A scheduler ends the job; the step in hand is saved, and the next job goes on from it."""

from __future__ import annotations

import signal

import torch
from torch.utils.data import DataLoader

from hf_lifecycle import CheckpointManager, EverySteps, PreemptionGuard, TrainingState


def job(signal_at: int = 0) -> TrainingState:
    """Run one job of the training."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(torch.ones(64, 1), batch_size=4, shuffle=True)
    with PreemptionGuard() as guard:
        state = TrainingState(model=model, optimizer=optimizer, loader=loader, seed=0, guard=guard)
        with CheckpointManager("run", save=EverySteps(100) | guard) as checkpoints:
            checkpoints.resume(state)
            for x in state.batches(steps=40):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
                if state.step == signal_at:
                    signal.raise_signal(signal.SIGTERM)  # what the scheduler would send
                checkpoints.step(state)
            print(f"ended at step {state.step}: {guard.reason or 'done'}")
    return state


assert job(signal_at=7).step == 7
assert job(signal_at=23).step == 23
assert job().step == 40
