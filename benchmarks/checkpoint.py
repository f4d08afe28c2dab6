"""Saving and restoring a training state, beside what a user would pick instead and what the disk can do.

Run it with ``make bench`` or ``python benchmarks/checkpoint.py --mib 1024``. Each figure is the median
of a few rounds in which every contender takes its turn, so that a noisy machine is noisy for all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List

import numpy
import safetensors
import safetensors.torch
import torch

from hfl_checkpoint import CheckpointManager, __version__


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


def flush(path: Path) -> None:
    """Make a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def timed(action: Callable[[], object]) -> float:
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
        self.state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        self.flat = dict(model.state_dict())
        for index, entry in self.state["optimizer"]["state"].items():
            self.flat.update({f"{index}.{key}": value for key, value in entry.items()})
        self.warm = [torch.empty_like(value) for value in self.flat.values()]
        self.step = 0
        self.checkpoints = CheckpointManager(folder / "run", background=False)
        self.background = CheckpointManager(folder / "background")

    def groups(self) -> Dict[str, Dict[str, Callable[[], object]]]:
        """Title to name to action; the first of each group is the limit."""
        return {
            "save, durable": {
                "raw write + fsync (limit)": self.raw,
                "torch.save + fsync": self.torch_save,
                "safetensors.save_file + fsync": self.safetensors_save,
                "hfl-checkpoint, hashed": lambda: self.save(self.checkpoints),
            },
            "stall of a background save": {
                "memcpy into warm buffers (limit)": self.copy,
                "hfl-checkpoint": lambda: self.save(self.background),
            },
            "restore": {
                "mmap + copy (limit, nothing verified)": self.mapped,
                "torch.load + load_state_dict": self.torch_load,
                "hfl-checkpoint, verified in full": self.restore,
            },
        }

    def raw(self) -> None:
        """Write the bytes of all tensors."""
        with (self.folder / "raw").open("wb", buffering=0) as file:
            for value in self.flat.values():
                file.write(memoryview(value.reshape(-1).view(torch.uint8).numpy()))
            os.fsync(file.fileno())

    def torch_save(self) -> None:
        """Save as most scripts do, and make it durable."""
        torch.save(self.state, self.folder / "torch.pt")
        flush(self.folder / "torch.pt")

    def safetensors_save(self) -> None:
        """Save the tensors alone, and make them durable."""
        safetensors.torch.save_file(self.flat, self.folder / "flat.safetensors")
        flush(self.folder / "flat.safetensors")

    def save(self, checkpoints: CheckpointManager) -> None:
        """Save a checkpoint."""
        self.step += 1
        checkpoints.save(self.step, model=self.model, optimizer=self.optimizer)

    def copy(self) -> None:
        """Copy all tensors into memory that is there."""
        for target, source in zip(self.warm, self.flat.values()):
            target.copy_(source)

    def mapped(self) -> None:
        """Map the tensors and copy them into memory that is there."""
        mapping = safetensors.torch.load_file(self.folder / "flat.safetensors")
        for key, target in zip(self.flat, self.warm):
            target.copy_(mapping[key])

    def torch_load(self) -> None:
        """Restore as most scripts do."""
        loaded = torch.load(self.folder / "torch.pt", weights_only=True)
        self.model.load_state_dict(loaded["model"])
        self.optimizer.load_state_dict(loaded["optimizer"])

    def restore(self) -> None:
        """Restore the newest checkpoint, verified."""
        self.checkpoints.restore(model=self.model, optimizer=self.optimizer)


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the state")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary one by default")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.directory))
    model, optimizer = build(options.mib)
    versions = f"hfl-checkpoint {__version__}, torch {torch.__version__}, "
    versions += f"safetensors {safetensors.__version__}, numpy {numpy.__version__}"
    print(f"{options.mib} MiB of model and AdamW state, {options.rounds} rounds. {versions}\n")
    try:
        for title, group in Contenders(folder, model, optimizer).groups().items():
            times: Dict[str, List[float]] = {name: [] for name in group}
            for turn in range(options.rounds + 1):
                for name, action in group.items():
                    seconds = timed(action)
                    if turn:  # the first round warms caches and arenas up
                        times[name].append(seconds)
                    if title.startswith("stall"):
                        time.sleep(0.5)  # the write behind it is not what is measured
            limit = statistics.median(next(iter(times.values())))
            print(title)
            for name, values in times.items():
                median = statistics.median(values)
                print(f"  {name:40} {median:8.3f} s   {median / limit:6.2f} x the limit")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
