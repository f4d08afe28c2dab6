"""One training run with a real Lightning Trainer and a tiny model, as a dictionary describes it."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import logging
import os
import random
import signal
from pathlib import Path

import torch
import torchmetrics
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler
from torchdata.stateful_dataloader import StatefulDataLoader

import hfl_checkpoint
from hfl_core import HflError
from hfl_integrations.lightning import (
    FabricCheckpoints,
    LifecycleCheckpoint,
    LifecycleCheckpointIO,
)

JOINS = False  # Lightning sets up the process group
PACKAGE = os.environ["VARIANT"] or "lightning.pytorch"
pl = importlib.import_module(PACKAGE)
NAMES = {name: getattr(hfl_checkpoint, name) for name in hfl_checkpoint.__all__}
NAMES["timedelta"] = datetime.timedelta
DIGITS = load_digits()


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.levelname}: {record.getMessage()}")


class Digits(Dataset):
    """Images with noise, drawn when they are read."""

    def __init__(self, count: int, is_noisy: bool = True) -> None:
        self.is_noisy = is_noisy
        self.images = torch.tensor(DIGITS.images[:count] / 16, dtype=torch.float32).flatten(1)
        self.labels = torch.tensor(DIGITS.target[:count])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        image = self.images[index]
        if self.is_noisy:
            image = image + torch.randn(64) * random.random() * 0.1
        return image, self.labels[index], index


class Stream(IterableDataset):
    """Images one after another, with a state where it is asked for; nobody knows how many."""

    def __init__(self, count: int) -> None:
        self.data, self.at = Digits(count), 0

    def __iter__(self):
        while self.at < len(self.data):
            self.at += 1
            yield self.data[self.at - 1]
        self.at = 0


class StatefulStream(Stream):
    def state_dict(self) -> dict:
        return {"at": self.at}

    def load_state_dict(self, state: dict) -> None:
        self.at = state["at"]


class Counter(pl.Callback):
    """Counts steps, and has a state."""

    def __init__(self) -> None:
        self.counted = 0

    def on_train_batch_end(self, *_) -> None:
        self.counted += 1

    def state_dict(self) -> dict:
        return {"counted": self.counted}

    def load_state_dict(self, state: dict) -> None:
        self.counted = state["counted"]


class Signals(pl.Callback):
    """Sends this process a signal after a step, with the save under way done or not."""

    def __init__(self, wanted: dict) -> None:
        self.wanted, self.manager, self.steps, self.epochs = wanted, None, 0, 0

    def on_train_batch_end(self, trainer, *_) -> None:
        self.steps += 1
        at = self.wanted.get("signal_at")
        batches = trainer.fit_loop.total_batch_idx + 1
        if at and at[0] == batches // trainer.accumulate_grad_batches:
            if self.manager is not None:
                self.manager.wait()
            if self.wanted.get("only_rank") in (None, trainer.global_rank):
                os.kill(os.getpid(), getattr(signal, at[1]))
        at = self.wanted.get("raise_at")
        if at and at == trainer.global_step:
            raise ValueError("the user's own")

    def on_train_epoch_start(self, *_) -> None:
        self.epochs += 1

    def on_validation_batch_end(self, trainer, *_, **__) -> None:
        if trainer.sanity_checking or "kill_in_validation" not in self.wanted:
            return
        self.manager.wait()
        self.validations = getattr(self, "validations", 0) + (trainer.val_dataloaders is not None)
        if self.validations == 3 * (self.wanted["kill_in_validation"] - 1) + 2:
            os.kill(os.getpid(), signal.SIGKILL)


class Lit(pl.LightningModule):
    def __init__(
        self, wanted: dict, width: int = 16, loss=torch.nn.functional.cross_entropy
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["wanted", *(["loss"] if wanted.get("plain") else [])])
        self.wanted = wanted
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, width),
            torch.nn.BatchNorm1d(width),
            torch.nn.Dropout(0.0 if wanted.get("plain") else 0.2),
            torch.nn.Linear(width, 10),
        )
        self.ids: list = []
        self.scores: list = []
        if wanted.get("manual"):
            self.automatic_optimization = False
        self.frozen = wanted.get("drops")
        self.mean = torchmetrics.MeanMetric()

    def forward(self, images):
        return self.net(images)

    def on_train_epoch_start(self) -> None:
        self.seen_in_epoch = torch.rand(1)  # as setups of users do, which draw

    def training_step(self, batch, batch_idx):
        if isinstance(batch, dict):
            batch = [torch.cat(parts) for parts in zip(*batch.values())]
        images, labels, ids = batch
        self.ids += ids.tolist()
        loss = torch.nn.functional.cross_entropy(self.net(images), labels)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        if self.wanted.get("metric"):
            self.mean(loss)
            self.log("mean", self.mean, on_step=False, on_epoch=True)
        if self.wanted.get("manual"):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in self.optimizers():
                optimizer.step()
            return None
        return loss

    def validation_step(self, batch, batch_idx):
        images, labels, _ = batch
        loss = torch.nn.functional.cross_entropy(self.net(images), labels)
        self.log("val_loss", loss)

    def test_step(self, batch, batch_idx):
        images, labels, _ = batch
        self.log("test_loss", torch.nn.functional.cross_entropy(self.net(images), labels))

    def on_validation_epoch_end(self) -> None:
        scores = self.wanted.get("scores")
        if scores and not self.trainer.sanity_checking:
            epoch = self.trainer.current_epoch
            self.log("score", float(scores[min(epoch, len(scores) - 1)]))

    def on_save_checkpoint(self, checkpoint) -> None:
        checkpoint["mine"] = {"width": self.hparams.width}
        if self.frozen:
            for name in [item for item in checkpoint["state_dict"] if item.startswith(self.frozen)]:
                del checkpoint["state_dict"][name]

    def on_load_checkpoint(self, checkpoint) -> None:
        assert checkpoint["mine"] == {"width": self.hparams.width}
        if self.frozen:
            self.strict_loading = False

    def configure_optimizers(self):
        kind = self.wanted.get("optimizer", "adamw")
        if kind == "two":
            return [
                torch.optim.SGD(self.net[0].parameters(), lr=0.1, momentum=0.9),
                torch.optim.Adam(self.net[3].parameters()),
            ]
        if kind == "adamw":
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        else:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = self.wanted.get("schedule")
        if schedule == "plateau":
            plan = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plan, "monitor": "train_loss_epoch"},
            }
        if schedule == "cycle":
            plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60)
            return [optimizer], [{"scheduler": plan, "interval": "step"}]
        return optimizer


class Data(pl.LightningDataModule):
    """Data that know how often they were set up, and have a state."""

    def __init__(self, wanted: dict) -> None:
        super().__init__()
        self.wanted, self.handed_out = wanted, 0

    def train_dataloader(self):
        self.handed_out += 1
        return _loader(self.wanted)

    def val_dataloader(self):
        return _validation(self.wanted)

    def state_dict(self) -> dict:
        return {"handed_out": self.handed_out}

    def load_state_dict(self, state: dict) -> None:
        self.handed_out = state["handed_out"]


def _loader(wanted: dict):
    workers = wanted.get("workers", 0)
    options = {
        "batch_size": wanted.get("batch_size", 4),
        "num_workers": workers,
        "persistent_workers": bool(wanted.get("persistent")),
    }
    data = Digits(wanted.get("rows", 26), is_noisy=not wanted.get("plain"))
    if wanted.get("sampler") == "weighted":
        weights = [1.0 + number % 3 for number in range(len(data))]
        return DataLoader(data, sampler=WeightedRandomSampler(weights, len(data)), **options)
    if wanted.get("sampler") in ("stream", "stateful stream"):
        kind = Stream if wanted["sampler"] == "stream" else StatefulStream
        return DataLoader(kind(wanted.get("rows", 26)), batch_size=4)
    if wanted.get("sampler") == "two":
        return {
            "a": DataLoader(data, shuffle=True, **options),
            "b": DataLoader(Digits(9), shuffle=True, **options),
        }
    kind = StatefulDataLoader if wanted.get("sampler") == "stateful loader" else DataLoader
    return kind(data, shuffle=wanted.get("shuffle", True), **options)


def _validation(wanted: dict):
    return DataLoader(
        Digits(20, is_noisy=False),
        batch_size=8,
        num_workers=wanted.get("validation_workers", 0),
        persistent_workers=bool(wanted.get("validation_workers")),
    )


def _evaluated(arguments: dict) -> dict:
    """Policies and intervals are written as code."""
    return {
        name: eval(value[1:], dict(NAMES)) if isinstance(value, str) and value[:1] == "=" else value
        for name, value in arguments.items()
    }


def run(wanted: dict) -> dict:
    return _fabric(wanted) if wanted.get("fabric") else _run(wanted)


def _run(wanted: dict) -> dict:
    if wanted.get("private_disks"):
        rank = int(os.environ["LOCAL_RANK"])
        place = Path(f"disk-{wanted['ranks'] - 1 - rank if wanted.get('moved') else rank}")
        place.mkdir(exist_ok=True)
        os.chdir(place)
    messages = Messages()
    for name in ("hfl", "lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(name).addHandler(messages)
    logging.getLogger("hfl").setLevel(logging.INFO)
    error = None
    report: dict = {}
    try:
        if wanted.get("plugin_alone"):
            if os.environ["RANK"] == "0":
                LifecycleCheckpointIO().save_checkpoint({"global_step": 1}, "one")
        else:
            _train(wanted, report)
    except BaseException as caught:  # SIGTERM's is a SystemExit
        if not isinstance(
            caught, (HflError, KeyError, ValueError, OSError, RuntimeError)
        ) and not any(
            cls.__name__ in ("MisconfigurationException", "SIGTERMException")
            for cls in type(caught).__mro__
        ):
            raise
        error = {"type": type(caught).__name__, "text": str(caught)}
    return {**report, "error": error, "messages": messages.texts}


def _callbacks(wanted: dict):
    signals, counter = Signals(wanted), Counter()
    found = [signals, counter]
    ours = None
    if wanted.get("directory") is not None or "callback" in wanted:
        arguments = _evaluated(wanted.get("callback", {}))
        ours = LifecycleCheckpoint(wanted.get("directory"), **arguments)
        found.append(ours)
        signals.manager = ours._manager
    if "stock" in wanted:
        found.append(pl.callbacks.ModelCheckpoint(**_evaluated(wanted["stock"])))
    if wanted.get("averages"):
        found.append(pl.callbacks.WeightAveraging(use_buffers=True))
    if "patience" in wanted:
        found.append(pl.callbacks.EarlyStopping("score", patience=wanted["patience"], mode="min"))
    return found, ours


def _train(wanted: dict, report: dict) -> None:
    pl.seed_everything(5)
    model = Lit(wanted)
    callbacks, ours = _callbacks(wanted)
    plugins = [LifecycleCheckpointIO()] if wanted.get("plugin") else []
    if wanted.get("scaler"):  # Lightning itself only makes one on a GPU
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=3)
        plugins.append(pl.plugins.MixedPrecision("16-mixed", "cpu", scaler))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=wanted.get("ranks", 1),
        strategy="ddp" if "ranks" in wanted else "auto",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        plugins=plugins or None,
        enable_checkpointing=ours is not None or "stock" in wanted,
        default_root_dir=wanted["folder"],
        **{"max_epochs": 3, **_evaluated(wanted.get("trainer", {}))},
    )
    try:
        if wanted.get("datamodule"):
            trainer.fit(model, datamodule=Data(wanted), ckpt_path=wanted.get("resume"))
        else:
            validation = None if wanted.get("validates") is False else _validation(wanted)
            trainer.fit(model, _loader(wanted), validation, ckpt_path=wanted.get("resume"))
    finally:
        signals, counter = callbacks[:2]
        report.update(
            step=trainer.global_step,
            epoch=trainer.current_epoch,
            steps=signals.steps,
            epochs=signals.epochs,
            counted=counter.counted,
            ids=model.ids,
            patched=sorted(
                name
                for owner in (trainer.fit_loop, trainer.fit_loop.epoch_loop, trainer.strategy)
                for name, value in vars(owner).items()
                if callable(value) and hasattr(value, "__wrapped__")
            ),
        )
        if ours is not None and ours._manager is not None:
            _report_checkpoints(ours, report)
    report.update(
        model=_digest(model.state_dict()),
        optimizer=[_digest(item.state_dict()["state"]) for item in trainer.optimizers],
        scaler=plugins[-1].scaler.state_dict() if wanted.get("scaler") else None,
        lr=[group["lr"] for item in trainer.optimizers for group in item.param_groups],
        metrics={name: float(value) for name, value in trainer.callback_metrics.items()},
        logged_step=trainer.fit_loop.epoch_loop._batches_that_stepped,
    )
    _afterwards(wanted, report, trainer, model, ours)


def _afterwards(wanted: dict, report: dict, trainer, model, ours) -> None:
    if wanted.get("save_to"):
        trainer.save_checkpoint(wanted["save_to"])
    if wanted.get("test"):
        report["test"] = trainer.test(
            model, _validation(wanted), ckpt_path=wanted["test"], verbose=False
        )[0]
        report["tested"] = _digest(model.state_dict())
    names = {"trainer": trainer, "model": model, "ours": ours, "report": report, "pl": pl,
             "digest": _digest, "Lit": Lit, "wanted": wanted, "torch": torch}  # fmt: skip
    for code in wanted.get("then", ()):
        exec(code, names)


def _report_checkpoints(ours, report: dict) -> None:
    ours.manager.wait()
    report.update(
        checkpoints=[
            {"name": item.name, "step": item.step, "epoch": item.epoch, "reason": item.reason,
             "metrics": dict(item.metrics), "components": list(item.components)}
            for item in ours.manager.checkpoints()
        ],
        best=Path(ours.best_model_path).name,
        last=Path(ours.last_model_path).name,
        scores={Path(path).name: float(score) for path, score in ours.best_k_models.items()},
        is_preempted=ours.is_preempted,
    )  # fmt: skip


def _digest(state) -> str:
    digest = hashlib.sha256()
    _feed(digest, state)
    return digest.hexdigest()


def _feed(digest, value) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(str(value.dtype).encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            digest.update(str(name).encode())
            _feed(digest, value[name])
    else:
        digest.update(repr(value).encode())


def _fabric(wanted: dict) -> dict:
    """A loop that is written with Fabric."""
    module = importlib.import_module(
        "lightning.fabric" if PACKAGE == "lightning.pytorch" else "lightning_fabric"
    )
    runtime = module.Fabric(
        accelerator="cpu",
        devices=wanted.get("ranks", 1),
        strategy="ddp" if "ranks" in wanted else "auto",
    )
    runtime.launch()
    runtime.seed_everything(5)
    network = torch.nn.Sequential(
        torch.nn.Linear(64, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 10)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    model, optimizer = runtime.setup(network, optimizer)
    checkpoints = FabricCheckpoints(
        runtime, wanted["directory"], **_evaluated(wanted.get("options", {}))
    )
    loader = checkpoints.setup_dataloaders(_loader(wanted))
    state = {
        "model": model,
        "optimizer": optimizer,
        "step": 0,
        "epoch": 0,
        **wanted.get("more", {}),
    }
    error = None
    ids: list = []
    try:
        if "counted_as" in wanted:
            checkpoints.save({"model": model, wanted["counted_as"]: 1})
        checkpoints.resume(state)
        while state["epoch"] < 3:
            for images, labels, indices in loader:
                ids += indices.tolist()
                loss = torch.nn.functional.cross_entropy(model(images), labels)
                runtime.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
                state["step"] += 1
                checkpoints.step(state, loss=loss)
                if wanted.get("kill_at") == state["step"]:
                    checkpoints.manager.wait()
                    os.kill(os.getpid(), signal.SIGKILL)
            state["epoch"] += 1
            if wanted.get("between"):
                checkpoints.save({**state, "step": state["step"]})
        checkpoints.manager.close()
    except HflError as caught:
        error = {"type": type(caught).__name__, "text": str(caught)}
    return {
        "error": error,
        "ids": ids,
        "step": state["step"],
        "epoch": state["epoch"],
        "model": _digest(network.state_dict()),
        "checkpoints": [item.step for item in checkpoints.manager.checkpoints()],
    }
