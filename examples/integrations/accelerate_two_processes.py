"""Two processes with accelerate: both are killed, go on with their own batches, and end with the same bits.

python examples/integrations/accelerate_two_processes.py
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset

from hfl_checkpoint import EverySteps, KeepLast
from hfl_integrations.accelerate import AcceleratedCheckpoints


def train(directory: str, kill_at: int) -> None:
    """Train a small network in this process, which is one of two."""
    accelerator = Accelerator(cpu=True)
    set_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(torch.randn(64, 4)), batch_size=4, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    with AcceleratedCheckpoints(
        accelerator, directory, save=EverySteps(3), keep=KeepLast(2), background=kill_at == 0
    ) as checkpoints:
        checkpoints.load_state()  # in both processes, as save_if_due
        for _epoch in range(checkpoints.epoch, 2):
            for (x,) in loader:
                accelerator.backward(model(x).square().mean())
                optimizer.step()
                optimizer.zero_grad()
                checkpoints.save_if_due()
                if checkpoints.step == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
    if accelerator.is_main_process:
        torch.save(accelerator.unwrap_model(model).state_dict(), f"{directory}.pt")
    accelerator.end_training()


def launch(directory: str, kill_at: int = 0) -> list[int | None]:
    """Start both processes, as ``accelerate launch --num_processes 2`` does; return how they ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(
        WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true",
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    processes = []
    for rank in range(2):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        # A fork has everything imported already.
        fork = multiprocessing.get_context("fork")
        processes.append(fork.Process(target=train, args=(directory, kill_at)))
        processes[-1].start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


if __name__ == "__main__":
    torch.set_num_threads(1)  # a fork inherits no threads
    Path("runs").mkdir(exist_ok=True)
    assert launch("runs/killed", kill_at=10) == [-signal.SIGKILL] * 2
    print("both were killed at step 10, in the second epoch; going on from step 9")
    assert launch("runs/killed") == launch("runs/whole") == [0, 0]
    killed, whole = (
        torch.load(f"runs/{name}.pt", weights_only=True) for name in ("killed", "whole")
    )
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    print("the same bits")
