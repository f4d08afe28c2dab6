"""Save the whole state of a run in a file, and go on from it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

from hfl_state import TrainingState


def build() -> TrainingState:
    """Build the run as every start of the script would."""
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(TensorDataset(torch.rand(32, 4)), batch_size=4, shuffle=True)
    return TrainingState(model=model, optimizer=optimizer, loader=loader, seed=0)


state = build()
for (x,) in state.batches(steps=13):
    state.optimizer.zero_grad()
    state.model(x).square().mean().backward()
    state.optimizer.step()
    if state.step % 5 == 0:
        torch.save(state.state_dict(), "state.pt.new")
        Path("state.pt.new").replace("state.pt")  # never half a file

resumed = build()
resumed.load_state_dict(torch.load("state.pt", weights_only=True))
print(f"went on at step {resumed.step}, epoch {resumed.epoch}, sample {resumed.samples}")
assert resumed.step == 10
for _ in resumed.batches(epochs=2):
    pass
assert (resumed.step, resumed.epoch) == (16, 2)
