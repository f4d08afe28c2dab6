"""Checkpoints of a model of which little is trained: what is written, and how long it takes, beside peers.

Run it with ``make bench`` or ``python benchmarks/checkpoint_frozen.py --mib 1024``. The limit is the bytes
of the tensors that changed: the trained parameters and their optimizer's state.
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

import safetensors
import safetensors.torch
import torch

from hfl_checkpoint import CheckpointManager, __version__


def build(mib: int, frozen: float) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Make a model of `mib` MiB in fp32 of which a share is frozen, and an AdamW for the rest."""
    layers = max(20, mib // 4)
    model = torch.nn.Sequential(*(torch.nn.Linear(1024, 1024, bias=False) for _ in range(layers)))
    for layer in list(model)[: round(layers * frozen)]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    return model, optimizer


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Change all that is trained."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer.step()
    optimizer.zero_grad()


def on_disk(folder: Path) -> Dict[int, int]:
    """Inode to the bytes of the file, once however many names it has."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return {status.st_ino: status.st_size for status in found}


class Contenders:
    """The ways to save one training state again and again.

    Args:
        folder: Where they write.
        model: The model.
        optimizer: Its optimizer.
    """

    def __init__(
        self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.folder = folder
        self.model, self.optimizer = model, optimizer
        self.step = 0
        self.checkpoints = CheckpointManager(folder / "hfl", background=False)
        self.background = CheckpointManager(folder / "background")

    def changed(self) -> int:
        """The bytes of the tensors that training changes."""
        tensors = [p for p in self.model.parameters() if p.requires_grad]
        tensors += [
            v for s in self.optimizer.state.values() for v in s.values() if torch.is_tensor(v)
        ]
        return sum(t.numel() * t.element_size() for t in tensors)

    def actions(self) -> Dict[str, Callable[[], object]]:
        """Name to what saves once; each writes below a folder of that name."""
        return {
            "raw": self.raw,
            "torch": self.torch_save,
            "safetensors": self.safetensors_save,
            "hfl": lambda: self.save(self.checkpoints),
            "background": lambda: self.save(self.background),
        }

    def raw(self) -> None:
        """Write the bytes that changed."""
        folder = self.folder / "raw"
        folder.mkdir(exist_ok=True)
        with (folder / str(self.step)).open("wb", buffering=0) as file:
            file.write(bytes(self.changed()))
            os.fsync(file.fileno())

    def torch_save(self) -> None:
        """Save as most scripts do, and make it durable."""
        folder = self.folder / "torch"
        folder.mkdir(exist_ok=True)
        with (folder / str(self.step)).open("wb") as file:
            state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    def safetensors_save(self) -> None:
        """Save the model alone, and make it durable."""
        folder = self.folder / "safetensors"
        folder.mkdir(exist_ok=True)
        path = folder / str(self.step)
        safetensors.torch.save_file(self.model.state_dict(), path)
        with path.open("rb") as file:
            os.fsync(file.fileno())

    def save(self, checkpoints: CheckpointManager) -> None:
        """Save a checkpoint."""
        checkpoints.save(self.step, model=self.model, optimizer=self.optimizer)


LABELS = {
    "raw": "the bytes that changed, raw + fsync (limit)",
    "torch": "torch.save + fsync",
    "safetensors": "safetensors.save_file + fsync, model only",
    "hfl": "hfl-checkpoint, durable",
    "background": "hfl-checkpoint, stall of a background save",
}


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the model")
    parser.add_argument("--frozen", type=float, default=0.95, help="share that is frozen")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary one by default")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.directory))
    model, optimizer = build(options.mib, options.frozen)
    contenders = Contenders(folder, model, optimizer)
    written: Dict[str, List[int]] = {name: [] for name in LABELS}
    times: Dict[str, List[float]] = {name: [] for name in LABELS}
    try:
        for _ in range(options.rounds + 1):
            contenders.step += 1
            train(model, optimizer)
            for name, action in contenders.actions().items():
                before = on_disk(folder / name)
                begin = time.perf_counter()
                action()
                times[name].append(time.perf_counter() - begin)
                contenders.background.wait()
                after = on_disk(folder / name)
                written[name].append(sum(size for key, size in after.items() if key not in before))
        changed = contenders.changed()
        print(
            f"A model of {options.mib} MiB, {options.frozen:.0%} of it frozen; checkpoints 2 to "
            f"{options.rounds + 1}. hfl-checkpoint {__version__}, torch {torch.__version__}, "
            f"safetensors {safetensors.__version__}\n"
        )
        limit = statistics.median(times["raw"][1:])
        for name, label in LABELS.items():
            size, seconds = statistics.median(written[name][1:]), statistics.median(times[name][1:])
            print(
                f"  {label:44} {size / 1e6:8.1f} MB written {size / changed:7.3f} x what changed"
                f" {seconds:8.3f} s {seconds / limit:7.2f} x the limit"
            )
    finally:
        contenders.checkpoints.close()
        contenders.background.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
