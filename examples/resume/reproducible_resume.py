"""Resume twice, with workers and random augmentation, and end with the bits of the uninterrupted run."""

from __future__ import annotations

import random
from typing import Any, Optional

import torch
from torch.utils.data import DataLoader, Dataset

from hfl_state import TrainingState


class Augmented(Dataset):  # type: ignore[type-arg]  # not subscriptable in all versions
    """Sixteen samples, each with noise of its own every time."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(index), random.random()]) + torch.rand(2)


def build() -> TrainingState:
    """Build the run."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    loader = DataLoader(Augmented(), batch_size=2, shuffle=True, num_workers=2)
    return TrainingState(model=model, optimizer=optimizer, loader=loader, seed=3)


def train(state: TrainingState, until: Optional[int] = None) -> Any:
    """Train for three epochs, or until a step."""
    for x in state.batches(epochs=3):
        state.optimizer.zero_grad()
        state.model(x).square().mean().backward()
        state.optimizer.step()
        if state.step == until:
            break
    return state.state_dict()


if __name__ == "__main__":
    whole = train(build())
    saved = None
    for until in (5, 16, None):  # in the middle of an epoch, and at the end of one
        state = build()
        if saved is not None:
            state.load_state_dict(saved)
        saved = train(state, until)
    equal = [torch.equal(a, saved["model"][name]) for name, a in whole["model"].items()]
    print(f"{sum(equal)} of {len(equal)} tensors are equal to the last bit")
    assert all(equal)
