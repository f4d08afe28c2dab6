"""What people use instead to save a training state, each behind the same two calls."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict

import torch

Action = Callable[[], object]


def flush(path: Path) -> None:
    """Make a file, or all files of a folder, durable."""
    for file in [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def version(name: str) -> str:
    """The version of an installed library, or a dash."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "-"


class Peers:
    """Savers of one training state. Those that are not installed are left out.

    Args:
        folder: Where they write.
        model: The model.
        optimizer: Its optimizer.
    """

    def __init__(
        self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.folder, self.model, self.optimizer = folder, model, optimizer
        self.state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        self._pending: Any = None
        for name in ("lightning", "accelerate", "transformers"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.simplefilter("ignore")

    def named(self, *builders: Callable[[], Dict[str, Action]]) -> Dict[str, Action]:
        """Collect the actions of builders, without those whose library is not there."""
        found: Dict[str, Action] = {}
        for builder in builders:
            with contextlib.suppress(ImportError):
                found.update(builder())
        return found

    def _fresh(self, name: str) -> Path:
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def torch(self) -> Dict[str, Action]:
        """torch.save, made durable."""

        def save() -> None:
            (self.folder / "torch.pt").unlink(missing_ok=True)  # overwriting is cheaper
            torch.save(self.state, self.folder / "torch.pt")
            flush(self.folder / "torch.pt")

        return {"torch.save + fsync": save}

    def dcp(self) -> Dict[str, Action]:
        """torch.distributed.checkpoint, which flushes by itself."""
        from torch.distributed import checkpoint as dcp

        def save() -> None:
            writer = dcp.FileSystemWriter(self._fresh("dcp"), thread_count=2)
            dcp.save(dict(self.state), storage_writer=writer, no_dist=True)

        return {"DCP save, 2 threads": save}

    def dcp_async(self) -> Dict[str, Action]:
        """Its call that copies and writes in the background."""
        from torch.distributed import checkpoint as dcp

        if not torch.distributed.is_initialized():
            store = torch.distributed.HashStore()
            torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)

        def save() -> None:
            self.wait()
            self._pending = dcp.async_save(
                dict(self.state), checkpoint_id=str(self._fresh("dcp-async"))
            )

        return {"DCP async_save": save}

    def lightning_async(self) -> Dict[str, Action]:
        """Lightning's plugin for saving on a thread."""
        from lightning.fabric.plugins import TorchCheckpointIO
        from lightning.pytorch.plugins import AsyncCheckpointIO

        plugin = AsyncCheckpointIO(TorchCheckpointIO())
        plugin.setup() if hasattr(plugin, "setup") else None
        return {
            "Lightning AsyncCheckpointIO": lambda: plugin.save_checkpoint(
                self.state, str(self.folder / "lightning.ckpt")
            )
        }

    def accelerate(self) -> Dict[str, Action]:
        """Accelerate's save_state, which waits for the write and does not flush."""
        from accelerate import Accelerator

        accelerator = Accelerator(cpu=True)
        accelerator._models.append(self.model)
        accelerator._optimizers.append(self.optimizer)
        return {
            "accelerate save_state": lambda: accelerator.save_state(str(self._fresh("accelerate")))
        }

    def trainer(self) -> Dict[str, Action]:
        """What Trainer does for its checkpoints, which waits for the write and does not flush."""
        from transformers import Trainer, TrainingArguments

        arguments = TrainingArguments(
            output_dir=str(self.folder / "trainer"), report_to=[], use_cpu=True
        )
        trainer = Trainer(self.model, arguments, optimizers=(self.optimizer, None))
        trainer.create_scheduler(10, self.optimizer)
        return {"Trainer's checkpoint": lambda: trainer._save_checkpoint(self.model, trial=None)}

    def wait(self) -> None:
        """Wait for what is written in the background."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None
