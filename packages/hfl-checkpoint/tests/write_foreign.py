"""Write checkpoints with the real frameworks, in a process of its own: ``write_foreign.py FOLDER``."""

from __future__ import annotations

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any, Dict

warnings.simplefilter("ignore")

import accelerate  # noqa: E402  # they warn when they are imported
import lightning  # noqa: E402  # they warn when they are imported
import numpy as np  # noqa: E402  # they warn when they are imported
import torch  # noqa: E402  # they warn when they are imported
import transformers  # noqa: E402  # they warn when they are imported
from lightning.pytorch.callbacks import (  # noqa: E402  # they warn when they are imported
    ModelCheckpoint,
)
from torch.utils.data import DataLoader  # noqa: E402  # they warn when they are imported

folder = Path(sys.argv[1])


def plain(state: Any) -> Any:
    """States as JSON, for the test to compare with."""
    if isinstance(state, torch.Tensor):
        return state.tolist()
    if isinstance(state, dict):
        return {str(key): plain(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [plain(item) for item in state]
    return state


def describe(name: str, **states: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(plain(states)))


def trainer() -> None:
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=8,
            n_positions=8,
            n_embd=4,
            n_layer=1,
            n_head=1,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    row = torch.tensor([1, 2, 3])
    arguments: Dict[str, Any] = {
        "max_steps": 4,
        "save_steps": 4,
        "logging_steps": 2,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    runner = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(str(folder / "trainer"), **arguments),
        train_dataset=[{"input_ids": row, "labels": row}] * 8,
    )
    runner.train()
    optimizer = getattr(runner.optimizer, "optimizer", runner.optimizer)
    describe("trainer", model=model.state_dict(), optimizer=optimizer.state_dict())


class Counter:
    def state_dict(self) -> Dict[str, int]:
        return {"seen": 3}

    def load_state_dict(self, state: Dict[str, int]) -> None:
        pass


def accelerated(name: str, safe: bool) -> None:
    torch.manual_seed(1)
    runner = accelerate.Accelerator(cpu=True)
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    loader = DataLoader(torch.rand(8, 2), batch_size=2, shuffle=True)
    net, optimizer, scheduler, loader = runner.prepare(net, optimizer, scheduler, loader)
    runner.register_for_checkpointing(Counter())
    for batch in loader:
        runner.backward(net(batch).sum())
        optimizer.step()
        scheduler.step()
    random.seed(3)
    np.random.seed(3)
    runner.save_state(str(folder / name), safe_serialization=safe)
    describe(
        name,
        model=net.state_dict(),
        optimizer=optimizer.state_dict(),
        numpy=np.random.get_state()[1].tolist(),
    )


class Option:
    """A class of the user's that a weights-only reader does not know."""


class Module(lightning.LightningModule):
    def __init__(self, width: int = 2, option: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(width, 1)

    def training_step(self, batch: Any, _: int) -> Any:
        return self.net(batch).sum()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters())
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


def lightened(name: str, option: Any) -> None:
    torch.manual_seed(2)
    module = Module(option=option)
    saver = ModelCheckpoint(dirpath=str(folder), filename=name, every_n_train_steps=3)
    runner = lightning.Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
        callbacks=[saver],
    )
    runner.fit(module, DataLoader(torch.rand(8, 2), batch_size=2))
    describe(name, model=module.state_dict(), optimizer=runner.optimizers[0].state_dict())


trainer()
accelerated("accelerate", True)
accelerated("accelerate-bin", False)
lightened("lightning", None)
lightened("lightning-option", Option())
