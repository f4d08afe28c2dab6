"""Train with two processes, kill both, resume, and end with the bits of a run that was never killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path
from typing import List, Optional

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from hfl_checkpoint import CheckpointManager, EverySteps, KeepLast
from hfl_state import TrainingState

STEPS = 20


def build() -> TrainingState:
    """Build the run, as every process does."""
    torch.manual_seed(1)  # the same weights everywhere
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    data = TensorDataset(torch.randn(32, 4, generator=torch.Generator().manual_seed(2)))
    loader = DataLoader(data, batch_size=2, sampler=DistributedSampler(data, seed=3))
    torch.manual_seed(100 + dist.get_rank())  # other dropout in each
    return TrainingState(model=DistributedDataParallel(model), optimizer=optimizer, loader=loader)


def train(rank: int, folder: str, meeting: str, kill_at: Optional[int]) -> None:
    """Train in one of the processes; this is what torchrun would start."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # this machine alone
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    state = build()
    with CheckpointManager(f"{folder}/run", save=EverySteps(4), keep=KeepLast(2)) as checkpoints:
        report = checkpoints.resume(state)
        if rank == 0 and report is not None:
            print(f"going on from {report.checkpoint.name}", flush=True)
        for (x,) in state.batches(steps=STEPS):
            state.optimizer.zero_grad()
            state.model(x).square().mean().backward()
            state.optimizer.step()
            checkpoints.step(state)
            if state.step == kill_at:
                checkpoints.wait()
                os.kill(os.getpid(), signal.SIGKILL)
    weights = state.model.module.state_dict()
    torch.save([weights, torch.get_rng_state()], f"{folder}/end-{rank}.pt")
    dist.destroy_process_group()


def run(folder: Path, kill_at: Optional[int] = None) -> List[Optional[int]]:
    """Start both processes and wait for them."""
    context = multiprocessing.get_context("fork")  # they need not import torch again
    meeting = tempfile.mktemp()
    both = [
        context.Process(target=train, args=(rank, str(folder), meeting, kill_at)) for rank in (0, 1)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    return [process.exitcode for process in both]


if __name__ == "__main__":
    whole, killed = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    assert run(whole) == [0, 0]
    assert run(killed, kill_at=10) == [-signal.SIGKILL] * 2
    assert run(killed) == [0, 0]
    for rank in (0, 1):
        (expected, draws), (found, drawn) = (
            torch.load(folder / f"end-{rank}.pt", weights_only=True) for folder in (whole, killed)
        )
        assert all(torch.equal(expected[name], found[name]) for name in expected)
        assert torch.equal(draws, drawn)
    print("both processes end with the bits of the run that was never killed")
