"""The ten lines: train, stop whenever you like, start again, and nothing is lost.

    python examples/quickstart.py            # trains to step 300
    python examples/quickstart.py            # finds the run complete

Stop the first one in the middle (Ctrl-C, kill -9): the next goes on at the exact sample.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hf_lifecycle as hfl

torch.manual_seed(0)
inputs = torch.randn(512, 16)
dataset = TensorDataset(inputs, inputs.roll(1, dims=1).sin())
loader = DataLoader(dataset, batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 16))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=300)


def train_step(batch: list[torch.Tensor]) -> float:
    """Take one optimizer step."""
    loss = nn.functional.mse_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    return loss.item()


directory = sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart"

state = hfl.TrainingState(model=model, optimizer=optimizer, scheduler=scheduler, loader=loader)
with hfl.CheckpointManager(
    directory, save=hfl.EverySteps(50), keep=hfl.KeepLast(3) | hfl.KeepBest("loss", n=1)
) as checkpoints:
    resumed = checkpoints.resume(state)  # the newest verified checkpoint; nothing on a fresh run
    print(f"Going on from {resumed.checkpoint.name}" if resumed else "Starting from nothing")
    for batch in state.batches(steps=300):
        loss = train_step(batch)
        checkpoints.step(state, loss=loss)  # saves when due, in the background

print(f"At step {state.step}, with these checkpoints in {directory}:")
for checkpoint in checkpoints.checkpoints():
    print(f"  {checkpoint.name}  loss {checkpoint.metrics['loss']:.4f}")
