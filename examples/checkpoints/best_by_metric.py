"""Save whenever a metric is better than ever before, stop when it no longer is, go back to the best.

python examples/checkpoints/best_by_metric.py
"""

from __future__ import annotations

from typing import Any, Dict

import torch

from hfl_checkpoint import CheckpointManager, EverySteps, KeepBest, KeepLast, OnBest


class State:
    """What the manager saves: anything with a step, an epoch and components."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.step, self.epoch = 0, None
        self.model = torch.nn.Linear(4, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.15)

    def components(self) -> Dict[str, Any]:
        """Name everything that has a state."""
        return {"model": self.model, "optimizer": self.optimizer}


def evaluate(model: torch.nn.Module) -> float:
    """Measure on data that training does not see."""
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(256, 4, generator=generator)
    with torch.no_grad():
        return float((model(batch).squeeze(1) - batch.sum(1)).square().mean())


state = State()
seen = []
with CheckpointManager(
    "runs/best",
    save=EverySteps(20) | OnBest("eval_loss"),
    keep=KeepLast(1) | KeepBest("eval_loss"),
) as checkpoints:
    for state.step in range(1, 61):
        batch = torch.randn(4, 4)  # few samples and a large step: the loss goes up and down
        noisy = batch.sum(1) + torch.randn(4)
        loss = (state.model(batch).squeeze(1) - noisy).square().mean()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        seen.append(evaluate(state.model))
        checkpoints.step(state, eval_loss=seen[-1])

    checkpoints.wait()
    for item in checkpoints.checkpoints():
        print(f"{item.name}: eval_loss {item.metrics['eval_loss']:.4f}, saved for {item.reason}")
    report = checkpoints.restore("best:eval_loss", **state.components())

print(f"restored step {report.checkpoint.step}, the best of {len(seen)}")
assert report.checkpoint.step == 1 + seen.index(min(seen))
assert evaluate(state.model) == min(seen)
