"""Train on a laptop, go on on a cluster, promote the best: the Hub carries the run between them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch

from hfl_checkpoint import CheckpointManager, KeepBest, KeepLast
from hfl_localhub import LocalHub


def train(run: Path, steps: int) -> float:
    """Train up to a step, from wherever the run stands, here or on the Hub; return the final loss."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    progress = {"step": 0}

    with CheckpointManager(
        run,
        keep=KeepLast(2),
        hub="ann/digits",
        hub_keep=KeepLast(2) | KeepBest("loss"),
        revision="experiments/baseline",
        metadata={"hyperparameters": {"lr": 0.05, "momentum": 0.9}},
    ) as checkpoints:
        report = checkpoints.resume(model=model, optimizer=optimizer, progress=progress)
        if report is not None:
            print(f"{run.name}: goes on at step {report.checkpoint.step}")
        for step in range(progress["step"] + 1, steps + 1):
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress["step"] = step
            if step % 5 == 0:
                checkpoints.save(
                    step,
                    metrics={"loss": loss},
                    model=model,
                    optimizer=optimizer,
                    progress=progress,
                )
    return torch.nn.functional.mse_loss(model(inputs), targets).item()


def main() -> None:
    """Run the story on a Hub of this machine."""
    with tempfile.TemporaryDirectory() as folder, LocalHub(Path(folder) / "hub") as hub:
        os.environ.update(hub.settings(hub.create_user("ann")))
        here = Path(folder)

        train(here / "laptop", steps=10)
        there = train(here / "cluster", steps=20)  # an empty folder: it starts from the Hub
        back = train(here / "laptop", steps=20)  # and the laptop takes what the cluster did
        print("the same to the last bit:", back == there)

        with CheckpointManager(
            here / "laptop", hub="ann/digits", revision="experiments/baseline"
        ) as checkpoints:
            for item in checkpoints.remote_checkpoints():
                print(f"on the Hub: {item.name}, loss {item.metrics['loss']:.4f}")
            promoted = checkpoints.promote("best:loss", tag="v1.0")
            print("main holds", ", ".join(promoted.files), "as", promoted.tag)
            freed = checkpoints.reclaim()
            print(f"reclaim would free {freed.freed_bytes} bytes of retired checkpoints")


if __name__ == "__main__":
    main()
