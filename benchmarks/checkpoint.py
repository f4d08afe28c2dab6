"""Saving and restoring a training state, beside what a user would pick instead and what the machine can do.

Run it with ``make bench`` or ``python benchmarks/checkpoint.py --mib 1024``. Each figure is the median
of a few rounds in which every contender takes its turn, so that a noisy machine is noisy for all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import safetensors
import safetensors.torch
import torch
import xxhash
from _peers import Action, Peers, flush, version

from hfl_checkpoint import CheckpointManager, KeepLast

MIB = 1 << 20


def build(mib: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Make a model and an AdamW that together hold about `mib` MiB of fp32 state."""
    width = 1024
    layers = max(1, mib // 3 // 4)
    model = torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


def timed(action: Action) -> float:
    """Time one call, in seconds."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


class Contenders:
    """The ways to save and to restore one training state.

    Args:
        folder: Where they write.
        model: The model.
        optimizer: Its optimizer, after a step.
    """

    def __init__(
        self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.folder = folder
        self.model, self.optimizer = model, optimizer
        self.peers = Peers(folder, model, optimizer)
        self.flat = dict(model.state_dict())
        for index, entry in optimizer.state_dict()["state"].items():
            self.flat.update({f"{index}.{key}": value for key, value in entry.items()})
        self.warm = [torch.empty_like(value) for value in self.flat.values()]
        self.count = 0
        self.checkpoints = CheckpointManager(folder / "run", keep=KeepLast(1), background=False)
        self.lazy = CheckpointManager(folder / "lazy", keep=KeepLast(1))
        self.eager = CheckpointManager(folder / "eager", keep=KeepLast(1), snapshot="eager")
        # Any optimizer's step waits for a snapshot; this one does nothing else.
        self.nothing = torch.optim.SGD([torch.zeros(1)], lr=0.0)
        self.batch = torch.randn(512, 1024)

    def durable(self) -> Dict[str, Action]:
        """P2."""
        return {
            "raw write + fsync (limit)": self.raw,
            **self.peers.named(self.peers.torch),
            "safetensors.save_file + fsync": self.safetensors_save,
            **self.peers.named(self.peers.dcp),
            "hfl-checkpoint, hashed": lambda: self.save(self.checkpoints),
        }

    def stall(self) -> Dict[str, Action]:
        """P1, with an optimizer step right after the call: nothing hides the copy."""
        peers = self.peers
        return {
            "memcpy into warm buffers (limit)": self.copy,
            **peers.named(peers.dcp_async, peers.lightning_async, peers.accelerate, peers.trainer),
            "hfl-checkpoint, eager": lambda: self.save(self.eager),
            "hfl-checkpoint, lazy": self.save_and_step,
        }

    def restoring(self) -> Dict[str, Action]:
        """P3."""
        return {
            "mmap + hash + copy (limit)": self.mapped,
            "torch.load + load_state_dict": self.torch_load,
            **self.peers.named(self.dcp_load),
            "hfl-checkpoint, verified in full": self.restore,
        }

    def raw(self) -> None:
        """Write the bytes of all tensors."""
        with (self.folder / "raw").open("wb", buffering=0) as file:
            for value in self.flat.values():
                file.write(memoryview(value.reshape(-1).view(torch.uint8).numpy()))
            os.fsync(file.fileno())
        (self.folder / "raw").unlink()

    def safetensors_save(self) -> None:
        """Save the tensors alone, and make them durable."""
        (self.folder / "flat.safetensors").unlink(missing_ok=True)  # overwriting is cheaper
        safetensors.torch.save_file(self.flat, self.folder / "flat.safetensors")
        flush(self.folder / "flat.safetensors")

    def save(self, checkpoints: CheckpointManager) -> None:
        """Save a checkpoint."""
        self.count += 1
        checkpoints.save(self.count, model=self.model, optimizer=self.optimizer)

    def save_and_step(self) -> None:
        """Save, with an optimizer step right behind it."""
        self.save(self.lazy)
        self.nothing.step()

    def wait(self) -> None:
        """Let what is written in the background end; it is not what is measured."""
        self.lazy.wait()
        self.eager.wait()
        self.peers.wait()

    def move_on(self) -> None:
        """Change every tensor as training would: files that stay the same are not written again."""
        self.wait()
        with torch.no_grad():
            for value in self.flat.values():
                value.add_(1e-6)

    def copy(self) -> None:
        """Copy all tensors into memory that is there."""
        for target, source in zip(self.warm, self.flat.values()):
            target.copy_(source)

    def mapped(self) -> None:
        """Map the tensors, hash them, and copy them into memory that is there."""
        mapping = safetensors.torch.load_file(self.folder / "flat.safetensors")
        digest = xxhash.xxh3_128()
        for key, target in zip(self.flat, self.warm):
            digest.update(memoryview(mapping[key].reshape(-1).view(torch.uint8).numpy()))
            target.copy_(mapping[key])

    def torch_load(self) -> None:
        """Restore as most scripts do."""
        loaded = torch.load(self.folder / "torch.pt", weights_only=True)
        self.model.load_state_dict(loaded["model"])
        self.optimizer.load_state_dict(loaded["optimizer"])

    def dcp_load(self) -> Dict[str, Action]:
        """DCP's load, into the tensors of the state."""
        from torch.distributed import checkpoint as dcp

        state = dict(self.peers.state)
        return {
            "DCP load": lambda: dcp.load(
                state, checkpoint_id=str(self.folder / "dcp"), no_dist=True
            )
        }

    def restore(self) -> None:
        """Restore the newest checkpoint, verified."""
        self.checkpoints.restore(model=self.model, optimizer=self.optimizer)

    def train_a_step(self) -> None:
        """Take a step of training that is longer than the copy."""
        self.pass_over()
        self.update()

    def pass_over(self) -> None:
        """Take a forward and a backward pass."""
        self.model(self.batch).square().mean().backward()

    def update(self) -> None:
        """Take an optimizer step."""
        self.optimizer.step()
        self.optimizer.zero_grad()


def compare(title: str, group: Dict[str, Action], rounds: int, settle: Action) -> None:
    """Time the contenders in turns, and print their medians beside the first one's."""
    times: Dict[str, List[float]] = {name: [] for name in group}
    for turn in range(rounds + 1):
        for name, action in group.items():
            seconds = timed(action)
            settle()
            if turn:  # the first round warms caches and arenas up
                times[name].append(seconds)
    limit = statistics.median(next(iter(times.values())))
    print(f"\n{title}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:40} {median:9.4f} s   {median / limit:6.2f} x the limit")


def hidden(contenders: Contenders, rounds: int) -> None:
    """P1, as training sees it: what of the save is not hidden behind a forward and backward pass?"""
    plain, saving, stalls = [], [], []
    contenders.train_a_step()
    for _ in range(rounds):
        plain.append(timed(contenders.train_a_step))
        stall = timed(lambda: contenders.save(contenders.lazy))
        forward_and_backward = timed(contenders.pass_over)
        stall += timed(contenders.nothing.step)
        saving.append(stall + forward_and_backward + timed(contenders.update))
        stalls.append(stall)
        contenders.wait()
    step = statistics.median(plain)
    stall, total = statistics.median(stalls), statistics.median(saving)
    print("\na step of training: forward, backward and AdamW (P1, hidden)")
    print(f"  without a save                           {step:9.4f} s")
    print(
        f"  of the save, on the training's thread    {stall:9.4f} s   {stall / step:6.2%} of a step"
    )
    print(f"  the whole step, while a thread writes    {total:9.4f} s   {total / step:6.2f} x")


@contextlib.contextmanager
def peak() -> Iterator[Callable[[], float]]:
    """Watch the memory of this process that is not page cache; yields what the peak was, in MiB."""
    found, is_over = [resident()], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.001):
            found.append(resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: (max(found) - found[0]) / MIB
    finally:
        is_over.set()
        thread.join()


def resident() -> int:
    """Bytes of anonymous and shared memory in use."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(
        int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssShmem"))
    )


def memory(folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """P7: the peak of memory beyond what training holds."""
    size = sum(value.numel() * 4 for value in model.state_dict().values()) * 3 / MIB
    components = {"model": model, "optimizer": optimizer}
    print(f"\npeak of memory beyond the training's own; a snapshot has {size:.0f} MiB (P7)")
    with CheckpointManager(folder / "memory") as checkpoints, peak() as reached:
        for step in (1, 2):
            checkpoints.save(step, **components)
        checkpoints.wait()
        print(f"  hfl-checkpoint, background saves         {reached():9.1f} MiB")
    with CheckpointManager(folder / "memory", background=False) as checkpoints:
        with peak() as reached:
            checkpoints.resume(**components)
            print(f"  hfl-checkpoint, resume                   {reached():9.1f} MiB")
        with peak() as reached:
            checkpoints.save(3, **components)
            print(f"  hfl-checkpoint, save that waits          {reached():9.1f} MiB")
    peers = Peers(folder, model, optimizer)
    for name, action in peers.named(peers.torch, peers.accelerate).items():
        with peak() as reached:
            action()
            print(f"  {name:40} {reached():9.1f} MiB")
    with peak() as reached:
        loaded = torch.load(folder / "torch.pt", weights_only=True)
        model.load_state_dict(loaded["model"])
        optimizer.load_state_dict(loaded["optimizer"])
        print(f"  torch.load + load_state_dict             {reached():9.1f} MiB")


def many(folder: Path, count: int) -> None:
    """Save and restore very many small tensors: what matters is the work for each of them."""
    model = torch.nn.Module()
    for index in range(count):
        model.register_parameter(f"w{index}", torch.nn.Parameter(torch.randn(8)))
    checkpoints = CheckpointManager(folder / "many", background=False)
    print(f"\n{count:,} tensors of 8 numbers")
    print(
        f"  hfl-checkpoint, save                     {timed(lambda: checkpoints.save(1, model=model)):9.4f} s"
    )
    print(
        f"  hfl-checkpoint, restore                  {timed(lambda: checkpoints.restore(model=model)):9.4f} s"
    )
    state = model.state_dict()
    path = folder / "many.pt"
    print(
        f"  torch.save                               {timed(lambda: torch.save(state, path)):9.4f} s"
    )
    print(
        f"  torch.load + load_state_dict             {timed(lambda: model.load_state_dict(torch.load(path))):9.4f} s"
    )


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=192, help="size of the state")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tensors", type=int, default=20_000)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary one by default")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.directory))
    model, optimizer = build(options.mib)
    names = ["torch", "safetensors", "lightning", "accelerate", "transformers", "numpy", "xxhash"]
    print(
        f"{options.mib} MiB of model and AdamW state, {options.rounds} rounds, {os.cpu_count()} CPUs."
    )
    print(f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in names))
    try:
        if Path("/proc/self/status").exists():
            memory(folder, model, optimizer)
        contenders = Contenders(folder, model, optimizer)
        compare("save, durable (P2)", contenders.durable(), options.rounds, contenders.move_on)
        compare("restore (P3)", contenders.restoring(), options.rounds, contenders.wait)
        compare("stall of a save (P1)", contenders.stall(), options.rounds, contenders.move_on)
        hidden(contenders, options.rounds)
        many(folder, options.tensors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
