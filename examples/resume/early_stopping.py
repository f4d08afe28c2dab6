"""Early stopping remembers what it saw, and a run that had stopped stops at once."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from hfl_state import EarlyStopping, TrainingState

LOSSES = [0.9, 0.7, 0.8, 0.75, 0.6]  # of an evaluation after each epoch


def build() -> TrainingState:
    """Build the run."""
    return TrainingState(
        model=torch.nn.Linear(1, 1),
        loader=DataLoader(range(10), batch_size=2),
        early_stopping=EarlyStopping("eval_loss", patience=2),
    )


def train(state: TrainingState, epochs: int) -> None:
    """Train, and evaluate after each epoch."""
    for _ in state.batches(epochs=epochs):
        if state.loader is not None and state.loader.is_epoch_start:
            loss = LOSSES[state.epoch - 1]
            state.update_best("eval_loss", loss)
            state.early_stopping.update(loss)


first = build()
train(first, epochs=3)  # ends after one bad evaluation, of the two that it takes
second = build()
second.load_state_dict(first.state_dict())
train(second, epochs=5)
print(f"stopped after epoch {second.epoch}, best loss {second.best['eval_loss'].value}")
assert (second.epoch, second.early_stopping.stopped) == (4, True)

third = build()
third.load_state_dict(second.state_dict())
assert list(third.batches(epochs=5)) == []
