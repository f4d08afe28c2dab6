"""Two ways to write a retention rule of one's own: a function, and an object.

python examples/checkpoints/custom_retention.py
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from hfl_checkpoint import Checkpoint, CheckpointManager, KeepIf, KeepLast


def is_power_of_two(checkpoint: Checkpoint) -> bool:
    """Keep steps 1, 2, 4, 8, …: densely at the beginning, where most happens."""
    return checkpoint.step & (checkpoint.step - 1) == 0


class KeepBestOfEachEpoch:
    """Keep the best checkpoint of every epoch. Anything with such a `select` is a policy."""

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose among the checkpoints of the run, oldest first: name to reason."""
        epochs: Dict[int, List[Checkpoint]] = {}
        for item in checkpoints:
            if item.epoch is not None and self.metric in item.metrics:
                epochs.setdefault(item.epoch, []).append(item)
        best = (min(items, key=lambda item: item.metrics[self.metric]) for items in epochs.values())
        return {item.name: f"best {self.metric} of epoch {item.epoch}" for item in best}


def train(directory: str, keep: object) -> List[int]:
    """Stand for a training run of three epochs with eight steps each."""
    with CheckpointManager(directory, keep=keep) as checkpoints:  # type: ignore[arg-type]  # either kind
        for step in range(1, 25):
            loss = 1 / step + (0.2 if step % 3 else 0.0)
            checkpoints.save(
                step, epoch=(step - 1) // 8, metrics={"loss": loss}, counters={"step": step}
            )
        checkpoints.wait()
        for decision in checkpoints.clean(dry_run=True).keep:
            print(f"{directory}: {decision.checkpoint.name} stays: {decision.reason}")
        return [item.step for item in checkpoints.checkpoints()]


assert train("runs/powers", KeepLast(2) | KeepIf(is_power_of_two)) == [1, 2, 4, 8, 16, 23, 24]
assert train("runs/epochs", KeepLast(1) | KeepBestOfEachEpoch("loss")) == [6, 15, 24]
