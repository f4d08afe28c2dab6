"""A Lightning training on two processes that are killed, go on, and end with the same bits as two that were not.

python examples/integrations/lightning_two_processes.py
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from hfl_integrations.lightning import LifecycleCheckpoint


class Regression(LightningModule):
    """A model with dropout, so that the random streams matter."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
        )

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self.net(batch[0]).square().mean()
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


class KillAt(Callback):
    """Ends the process without warning, as an out-of-memory killer does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Kill this process at the given step."""
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def train(directory: str, kill_at: int, rank: int, port: int) -> None:
    """Train, or go on; the first process writes the parameters down."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ.update(NODE_RANK="0", LOCAL_RANK=str(rank))  # as a launcher does
    seed_everything(1)
    model = Regression()
    data = TensorDataset(torch.randn(128, 4, generator=torch.Generator().manual_seed(2)))
    checkpoint = LifecycleCheckpoint(
        directory, every_n_train_steps=4, save_last=True, background=kill_at == 0
    )
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[checkpoint, KillAt(kill_at)],
    )
    trainer.fit(model, DataLoader(data, batch_size=4, shuffle=True), ckpt_path="last")
    if trainer.is_global_zero:
        torch.save(model.state_dict(), f"{directory}.pt")
        print(directory, [item.name for item in checkpoint.manager.checkpoints()])


def launch(directory: str, kill_at: int = 0) -> list[int | None]:
    """Start both processes, and return how they ended."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # Forks, so that Lightning is imported once.
    start = multiprocessing.get_context("fork").Process
    processes = [start(target=train, args=(directory, kill_at, rank, port)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path("runs").mkdir(exist_ok=True)
    for step in (10, 22):
        ends = launch("runs/killed", kill_at=step)
        print(f"killed at step {step}: exit statuses {ends}")
        assert -signal.SIGKILL in ends
    assert launch("runs/killed") == launch("runs/whole") == [0, 0]
    one, other = (torch.load(f"runs/{name}.pt", weights_only=True) for name in ("killed", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other)
    print("the same bits")
