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


def contenders(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Dict[str, Dict[str, Callable[[], object]]]:
    """Name the ways to save and to restore; the first of each is the limit."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    flat = dict(model.state_dict())
    for index, entry in state["optimizer"]["state"].items():
        flat.update({f"{index}.{key}": value for key, value in entry.items()})
    views = [memoryview(value.reshape(-1).view(torch.uint8).numpy()) for value in flat.values()]
    number = iter(range(1, 1_000_000))
    checkpoints = CheckpointManager(folder / "run", background=False)
    background = CheckpointManager(folder / "background")
    warm = [torch.empty_like(value) for value in flat.values()]

    def raw() -> None:
        with (folder / "raw").open("wb", buffering=0) as file:
            for view in views:
                file.write(view)
            os.fsync(file.fileno())

    def torch_save() -> None:
        torch.save(state, folder / "torch.pt")
        flush(folder / "torch.pt")

    def safetensors_save() -> None:
        safetensors.torch.save_file(flat, folder / "flat.safetensors")
        flush(folder / "flat.safetensors")

    def save() -> None:
        checkpoints.save(next(number), model=model, optimizer=optimizer)

    def copy() -> None:
        for target, source in zip(warm, flat.values()):
            target.copy_(source)

    def stall() -> None:
        background.save(next(number), model=model, optimizer=optimizer)

    def mapped() -> None:
        mapping = safetensors.torch.load_file(folder / "flat.safetensors")
        for key, target in zip(flat, warm):
            target.copy_(mapping[key])

    def torch_load() -> None:
        loaded = torch.load(folder / "torch.pt", weights_only=True)
        model.load_state_dict(loaded["model"])
        optimizer.load_state_dict(loaded["optimizer"])

    def restore() -> None:
        checkpoints.restore(model=model, optimizer=optimizer)

    return {
        "save, durable": {
            "raw write + fsync (limit)": raw,
            "torch.save + fsync": torch_save,
            "safetensors.save_file + fsync": safetensors_save,
            "hfl-checkpoint, hashed": save,
        },
        "stall of a background save": {
            "memcpy into warm buffers (limit)": copy,
            "hfl-checkpoint": stall,
        },
        "restore": {
            "mmap + copy (limit, nothing verified)": mapped,
            "torch.load + load_state_dict": torch_load,
            "hfl-checkpoint, verified in full": restore,
        },
    }


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
        for title, group in contenders(folder, model, optimizer).items():
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
