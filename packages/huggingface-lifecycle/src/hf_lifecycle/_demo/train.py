"""Train a small network on handwritten digits, in a way that survives being killed.

This is the whole program that ``hfl demo`` kills. It runs on its own, too: start it, stop it any
way you like, and start it again; it goes on where it was::

    python -m hf_lifecycle._demo.train runs/digits

What makes it survive are the ten lines in `train`. Each line that it prints is a JSON object.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import hf_lifecycle as hfl

SEED = 7
STEPS = 500
BATCH_SIZE = 32
SAVE_EVERY = 25


class Data(NamedTuple):
    """The 1,797 images of the UCI handwritten digits, in three parts."""

    train: Dataset[Any]
    validation: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]


def load_data() -> Data:
    """Split the images, always in the same way: 1,197 to train, 300 to validate, 300 to test."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    labels = torch.tensor(digits, dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    train, validation, test = order[600:], order[:300], order[300:600]
    return Data(
        train=TensorDataset(images[train], labels[train]),
        validation=(images[validation], labels[validation]),
        test=(images[test], labels[test]),
    )


def build_model() -> nn.Module:
    """Build a network of half a million parameters that has what makes resuming hard.

    Dropout draws random numbers; batch normalisation changes buffers in every forward pass.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 4 * 4, 512),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(512, 10),
    )


@torch.no_grad()
def evaluate(model: nn.Module, part: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, float]:
    """Compute the loss and the accuracy on one part of the data."""
    images, labels = part
    model.eval()
    logits = model(images)
    model.train()
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return nn.functional.cross_entropy(logits, labels).item(), accuracy.item()


def say(event: str, **facts: Any) -> None:
    """Print what happened, at once, for whoever watches."""
    line = json.dumps({"event": event, **facts})
    print(line, flush=True)  # noqa: T201  # a program, not a library


def train(directory: str) -> None:
    """Train to the end, or from wherever the last process was stopped.

    Args:
        directory: Where the checkpoints go.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # a network this small gains nothing from more
    data = load_data()
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    loader = DataLoader(data.train, batch_size=BATCH_SIZE, shuffle=True)

    def train_step(images: torch.Tensor, labels: torch.Tensor) -> float:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        scheduler.step()
        return loss.item()

    state = hfl.TrainingState(
        model=model, optimizer=optimizer, scheduler=scheduler, loader=loader, seed=SEED
    )
    with hfl.CheckpointManager(
        directory,
        save=hfl.EverySteps(SAVE_EVERY),
        keep=hfl.KeepLast(3) | hfl.KeepBest("eval_loss", n=2),
    ) as checkpoints:
        report = checkpoints.resume(state)
        say(
            "start",
            step=state.step,
            resumed_from=report.checkpoint.name if report else None,
            steps=STEPS,
            steps_per_epoch=len(loader),
            save_every=SAVE_EVERY,
        )
        for images, labels in state.batches(steps=STEPS):
            metrics = {"loss": train_step(images, labels)}
            if state.step % SAVE_EVERY == 0:
                metrics["eval_loss"], _ = evaluate(model, data.validation)
            checkpoints.step(state, **metrics)
            say("step", step=state.step, loss=metrics["loss"])
        checkpoints.wait()
        plan = checkpoints.clean(dry_run=True)
    say(
        "end",
        step=state.step,
        accuracy=evaluate(model, data.test)[1],
        kept=[
            {
                "name": decision.checkpoint.name,
                "step": decision.checkpoint.step,
                "eval_loss": decision.checkpoint.metrics["eval_loss"],
                "bytes": decision.checkpoint.size,
                "why": decision.reason,
            }
            for decision in (*plan.keep, *plan.protected)
        ],
    )


if __name__ == "__main__":
    train(sys.argv[1])
