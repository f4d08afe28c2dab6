"""One training loop with a real Accelerator and a tiny model, as a dictionary describes it."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal

import datasets
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import (
    DataLoaderConfiguration,
    GradientAccumulationPlugin,
    ProjectConfiguration,
    set_seed,
)
from torch.utils.data import BatchSampler, DataLoader, Dataset, WeightedRandomSampler
from transformers import GPT2Config, GPT2LMHeadModel

import hfl_checkpoint
from hfl_core import HflError
from hfl_integrations.accelerate import AcceleratedCheckpoints, export_for_accelerate

JOINS = True  # before the Accelerator would


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.levelname}: {record.getMessage()}")


class Noisy(Dataset):
    """Numbers, each with noise from all global streams: an augmentation."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> torch.Tensor:
        noise = random.random() + np.random.rand() + torch.rand(()).item()
        return torch.tensor([float(index), noise])


class Counted:
    """An object that is registered."""

    def __init__(self) -> None:
        self.total = 0

    def state_dict(self) -> dict:
        return {"total": self.total}

    def load_state_dict(self, state: dict) -> None:
        self.total = state["total"]


class ByEpoch(BatchSampler):
    """Batches of different sizes, in an order that follows from the epoch."""

    def __init__(self, rows: int) -> None:
        self.rows, self.epoch = rows, 0
        self.batch_size, self.drop_last = 3, False

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return (self.rows + 2) // 3

    def __iter__(self):
        order = np.random.RandomState(self.epoch).permutation(self.rows).tolist()
        for start in range(0, self.rows, 3):
            yield order[start : start + 3]


def _loader(wanted: dict) -> DataLoader:
    rows, workers = wanted.get("rows", 26), wanted.get("workers", 0)
    options = {"num_workers": workers, "persistent_workers": bool(wanted.get("persistent"))}
    size = wanted.get("batch_size", 4)
    data = Noisy(rows)
    kind = wanted.get("sampler", "shuffle")
    if kind == "stream":
        values = [[float(index), 0.0] for index in range(rows)]
        stream = datasets.Dataset.from_dict({"x": values}).to_iterable_dataset(num_shards=2)
        return DataLoader(stream.with_format("torch"), batch_size=size)
    if kind == "generator":
        numbers = (torch.tensor([float(index), 0.0]) for index in range(rows))

        class Endless(torch.utils.data.IterableDataset):
            def __iter__(self):
                return numbers

        return DataLoader(Endless(), batch_size=size)
    if kind == "by epoch":
        return DataLoader(data, batch_sampler=ByEpoch(rows), **options)
    if kind == "weighted":
        weights = [1.0 + index % 3 for index in range(rows)]
        sampler = WeightedRandomSampler(weights, rows, generator=torch.Generator().manual_seed(9))
        return DataLoader(data, batch_size=size, sampler=sampler, **options)
    return DataLoader(data, batch_size=size, shuffle=kind == "shuffle", **options)


def _parts(wanted: dict) -> tuple:
    if wanted.get("model") == "language":
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=32, n_positions=4, n_embd=8, n_layer=1, n_head=2)
        )
    else:
        model = torch.nn.Sequential(
            torch.nn.Linear(2, 4),
            torch.nn.Dropout(0.3),
            torch.nn.BatchNorm1d(4),
            torch.nn.Linear(4, 1),
        )
    if wanted.get("optimizer") == "LBFGS":
        return model, torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)
    if wanted.get("optimizer") == "SGD":
        return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def _loss(model, batch):
    if isinstance(batch, dict):
        batch = batch["x"]
    if hasattr(model, "generate") or hasattr(getattr(model, "module", None), "generate"):
        ids = (batch.abs() * 7).long() % 32
        return model(input_ids=ids, labels=ids).loss
    return model(batch).square().mean()


def _accelerator(wanted: dict) -> Accelerator:
    names = ("split_batches", "dispatch_batches", "even_batches", "use_seedable_sampler")
    data = {name: wanted[name] for name in names if name in wanted}
    if wanted.get("stateful"):
        data["use_stateful_dataloader"] = True
    project = wanted.get("project")
    accelerator = Accelerator(
        cpu=True,
        mixed_precision=wanted.get("precision", "no"),
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=wanted.get("accumulate", 1), sync_with_dataloader=wanted.get("sync", True)
        ),
        dataloader_config=DataLoaderConfiguration(**data),
        project_config=ProjectConfiguration(**project) if project else None,
    )
    if wanted.get("scaler"):  # accelerate only makes one on a GPU
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
    return accelerator


def _options(wanted: dict) -> dict:
    names = {name: getattr(hfl_checkpoint, name) for name in hfl_checkpoint.__all__}
    return {
        name: eval(text, names) if isinstance(text, str) and name in ("save", "keep") else text
        for name, text in wanted.get("options", {}).items()
    }


def run(wanted: dict) -> dict:
    messages = Messages()
    log = logging.getLogger("hfl")
    log.addHandler(messages)
    log.setLevel(logging.INFO)
    error = None
    report: dict = {"seen": []}
    try:
        _train(wanted, report, int(os.environ.get("RANK", "0")))
    except (HflError, KeyError, ValueError, OSError, RuntimeError) as caught:
        error = {
            "type": type(caught).__name__,
            "text": str(caught),
            "hint": getattr(caught, "hint", None),
        }
    return {**report, "error": error, "messages": messages.texts}


def _train(wanted: dict, report: dict, rank: int) -> None:
    accelerator = _accelerator(wanted)
    set_seed(wanted.get("seed", 3), device_specific=bool(wanted.get("device_specific")))
    prepared, counted = _prepare(wanted, accelerator), Counted()
    accelerator.register_for_checkpointing(counted)
    if wanted.get("hooks"):
        _hook(accelerator, report)
    if wanted.get("stock"):
        accelerator.load_state(wanted["stock"])
    checkpoints = None
    if wanted.get("directory"):
        checkpoints = AcceleratedCheckpoints(
            accelerator, wanted["directory"], **wanted.get("own", {}), **_options(wanted)
        )
        loaded = checkpoints.load_state(wanted.get("load", "latest"))
        report["loaded"] = loaded and [
            loaded.checkpoint.name,
            loaded.checkpoint.step,
            list(loaded.warnings),
        ]
    for epoch in range(checkpoints.epoch if checkpoints else 0, wanted.get("epochs", 3)):
        parts = (accelerator, checkpoints, counted)
        if not _epoch(wanted, report, prepared, parts, epoch, rank):
            break
        for batch in prepared[3]:
            report.setdefault("evaluated", []).append(batch[:, 0].tolist())
        random.random(), torch.rand(1)  # what follows an epoch may draw
        if wanted.get("save_epochs"):
            checkpoints.save_state(metrics={"loss": 1.0 / counted.total})
    if wanted.get("save_stock"):
        accelerator.save_state(wanted["save_stock"])
    _finish(wanted, report, accelerator, checkpoints, counted)


def _prepare(wanted: dict, accelerator) -> tuple:
    model, optimizer = _parts(wanted)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.02, total_steps=200, cycle_momentum=wanted.get("optimizer") != "LBFGS"
    )
    evaluation = DataLoader(torch.arange(6.0).reshape(3, 2), batch_size=2)
    prepared = accelerator.prepare(model, optimizer, _loader(wanted), evaluation, scheduler)
    if wanted.get("two_models"):
        accelerator.prepare(torch.nn.Linear(1, 1))
    return prepared


def _epoch(wanted: dict, report: dict, prepared, parts, epoch, rank) -> bool:
    """Train an epoch; tell whether the next one is to come."""
    accelerator, checkpoints, counted = parts
    model, optimizer, loader, _, scheduler = prepared
    for batch in loader:
        counted.total += 1
        rows = batch["x"] if isinstance(batch, dict) else batch
        report["seen"].append([epoch, rows[:, 0].tolist(), round(float(rows[:, 1].sum()), 4)])
        with accelerator.accumulate(model):
            if wanted.get("optimizer") == "LBFGS":
                _closed(accelerator, model, optimizer, batch)
            else:
                accelerator.backward(_loss(model, batch))
                optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if counted.total in wanted.get("save_at", []):
            checkpoints.save_state(metrics={"loss": 1.0 / counted.total})
        if checkpoints and wanted.get("due"):
            checkpoints.save_if_due(loss=1.0)
        _signal(wanted, counted.total, checkpoints, rank)
        if counted.total == wanted.get("stop_at") or (checkpoints and checkpoints.is_preempted):
            return False
    return True


def _closed(accelerator, model, optimizer, batch) -> None:
    def closure():
        optimizer.zero_grad()
        loss = _loss(model, batch)
        accelerator.backward(loss)
        return loss

    optimizer.step(closure)


def _signal(wanted: dict, total: int, checkpoints, rank: int) -> None:
    at = wanted.get("signal_at")
    if at and at[0] == total and rank in at[2:3] + [rank] * (len(at) < 3):
        checkpoints.manager.wait()
        os.kill(os.getpid(), getattr(signal, at[1]))


def _hook(accelerator, report: dict) -> None:
    """As diffusers' scripts do: the first model in a form of its own, out of accelerate's list."""

    def save(models, weights, folder) -> None:
        torch.save(weights[0], os.path.join(folder, "own.pt"))
        os.makedirs(os.path.join(folder, "empty"), exist_ok=True)
        with open(os.path.join(folder, "note.txt"), "w") as file:
            file.write("hello")
        weights.pop()

    def load(models, folder) -> None:
        model = models.pop()
        model.load_state_dict(torch.load(os.path.join(folder, "own.pt"), weights_only=True))
        with open(os.path.join(folder, "note.txt")) as file:
            report["note"] = file.read()

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def _finish(wanted: dict, report: dict, accelerator, checkpoints, counted) -> None:
    model, optimizer = accelerator._models[0], accelerator._optimizers[0]
    streams = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()]
    report.update(
        model=_digest(accelerator.unwrap_model(model).state_dict()),
        parameters=_digest(list(accelerator.unwrap_model(model).parameters())),
        optimizer=_digest(optimizer.state_dict()["state"]),
        scheduler=accelerator._schedulers[0].state_dict()["last_epoch"],
        scaler=accelerator.scaler and accelerator.scaler.state_dict(),
        rng=_digest(streams),
        total=counted.total,
        iteration=accelerator.save_iteration,
        step=checkpoints.step if checkpoints else None,
        epoch=checkpoints.epoch if checkpoints else None,
        is_preempted=checkpoints.is_preempted if checkpoints else None,
    )
    if checkpoints is None:
        return
    checkpoints.close()
    report["checkpoints"] = [
        {"name": item.name, "step": item.step, "epoch": item.epoch, "reason": item.reason,
         "metrics": dict(item.metrics), "components": list(item.components)}
        for item in checkpoints.manager.checkpoints()
    ]  # fmt: skip
    if wanted.get("export"):
        export_for_accelerate(checkpoints.manager.latest(), wanted["export"])


def _digest(state) -> str:
    digest = hashlib.sha256()
    _feed(digest, state)
    return digest.hexdigest()


def _feed(digest, value) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(str(value.dtype).encode())
        digest.update(value.detach().contiguous().float().numpy().tobytes())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            digest.update(str(name).encode())
            _feed(digest, value[name])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
