"""What our object costs inside a framework: per step without a save, and per save, beside the framework's own.

Run it with ``make bench`` or ``python benchmarks/integrations_overhead.py``. The durations are those from the beginning
of one step to the beginning of the next, so that whatever a framework does between two steps is in them. All kinds
of one framework train the same model in turns, within one process.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import logging
import statistics
import tempfile
import time
import warnings
from typing import Any, Callable, Dict, List, Optional

import torch

Durations = List[float]
# A framework trains for some steps, saving every so many (0: never): with nothing added, with its own way, or with ours.
Train = Callable[[str, int, int, int], Durations]


class Net(torch.nn.Module):
    """One layer of some width, whose loss comes out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(width, width)

    def forward(
        self,
        x: torch.Tensor,
        labels: Optional[torch.Tensor] = None,  # noqa: ARG002  # the Trainer's
    ) -> Dict[str, torch.Tensor]:
        """Return the loss, as the Trainer wants it."""
        return {"loss": self.layer(x).square().mean()}


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]  # not subscriptable in all versions
    """As many rows as are asked for."""

    def __init__(self, width: int, count: int) -> None:
        self.row, self.count = torch.ones(width), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, _: int) -> Dict[str, torch.Tensor]:
        return {"x": self.row, "labels": self.row[:1]}


def between(times: List[float]) -> Durations:
    """Turn moments into durations, without those of the beginning."""
    return [after - before for before, after in zip(times, times[1:])][3:]


def transformers(kind: str, width: int, steps: int, every: int) -> Durations:
    """Train with transformers' Trainer."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from hfl_checkpoint import EverySteps, KeepLast
    from hfl_integrations.transformers import LifecycleCallback

    times: List[float] = []

    class Moments(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        callbacks: List[Any] = [Moments()]
        if kind == "ours":
            policy = EverySteps(every or 1_000_000)
            callbacks.append(LifecycleCallback(f"{folder}/run", save=policy, keep=KeepLast(1)))
        saves_itself = kind == "own" and every
        args = TrainingArguments(
            f"{folder}/out",
            max_steps=steps,
            per_device_train_batch_size=1,
            save_strategy="steps" if saves_itself else "no",
            save_steps=every or 500,
            save_total_limit=1,
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        model, rows = Net(width), Rows(width, steps)
        Trainer(model=model, args=args, train_dataset=rows, callbacks=callbacks).train()
    return between(times)


def lightning(kind: str, width: int, steps: int, every: int) -> Durations:
    """Train with Lightning's Trainer."""
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    from hfl_integrations.lightning import LifecycleCheckpoint

    times: List[float] = []

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net(width)

        def on_train_batch_start(self, *_: Any) -> None:
            times.append(time.perf_counter())

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss: torch.Tensor = self.net(**batch)["loss"]
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

    with tempfile.TemporaryDirectory() as folder:
        callbacks: List[Any] = []
        if kind != "nothing":
            make = LifecycleCheckpoint if kind == "ours" else ModelCheckpoint
            interval = every or 1_000_000
            callbacks = [make(f"{folder}/run", save_top_k=1, every_n_train_steps=interval)]
        trainer = Trainer(
            max_steps=steps,
            accelerator="cpu",
            logger=False,
            callbacks=callbacks,
            default_root_dir=folder,
            enable_checkpointing=bool(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader = torch.utils.data.DataLoader(Rows(width, steps), batch_size=1)
        trainer.fit(Module(), loader)
    return between(times)


def accelerate(kind: str, width: int, steps: int, every: int) -> Durations:
    """Train in a loop with an Accelerator, whose own way takes a call of the loop's for each save."""
    from accelerate import Accelerator
    from accelerate.utils import ProjectConfiguration

    from hfl_checkpoint import EverySteps, KeepLast
    from hfl_integrations.accelerate import AcceleratedCheckpoints

    times: List[float] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as closing:
        project = ProjectConfiguration(
            f"{folder}/out", automatic_checkpoint_naming=kind == "own", total_limit=1
        )
        accelerator = Accelerator(cpu=True, project_config=project)
        net = Net(width)
        loader: Any = torch.utils.data.DataLoader(Rows(width, steps), batch_size=1)
        model, optimizer, loader = accelerator.prepare(
            net, torch.optim.AdamW(net.parameters()), loader
        )
        ours = None
        if kind == "ours":
            policy = EverySteps(every or 1_000_000)
            ours = closing.enter_context(
                AcceleratedCheckpoints(accelerator, f"{folder}/run", save=policy, keep=KeepLast(1))
            )
        for number, batch in enumerate(loader, 1):
            times.append(time.perf_counter())
            accelerator.backward(model(**batch)["loss"])
            optimizer.step()
            optimizer.zero_grad()
            if ours is not None:
                ours.save_if_due()
            elif kind == "own" and every and number % every == 0:
                accelerator.save_state()
    return between(times)


FRAMEWORKS: Dict[str, Train] = {
    "transformers": transformers,
    "lightning": lightning,
    "accelerate": accelerate,
}


def quietly(train: Train, kind: str, width: int, steps: int, every: int) -> Durations:
    """Train without what frameworks print."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(kind, width, steps, every)


def per_step(train: Train, given: argparse.Namespace) -> None:
    """Measure what a step costs while nothing is saved."""
    found: Dict[str, Durations] = {"nothing": [], "own": [], "ours": []}
    for number in range(given.rounds + 1):
        for kind, durations in found.items():
            measured = quietly(train, kind, 8, given.steps, 0)
            durations.extend(measured if number else [])  # the first is for what is imported
    bare = statistics.median(found["nothing"])
    print(f"  a step with nothing added            {bare * 1e6:10.0f} µs")
    for kind, name in (("own", "the framework's own, idle"), ("ours", "ours, idle")):
        more = statistics.median(found[kind]) - bare
        print(f"  more per step: {name:<26}{more * 1e6:6.0f} µs")


def per_save(train: Train, given: argparse.Namespace) -> None:
    """Measure what a save costs the training."""
    every = 10
    steps = every * (given.saves + 1) - 1
    best: Dict[str, float] = {}
    for _ in range(given.rounds):
        for kind in ("nothing", "own", "ours"):
            durations = quietly(train, kind, given.width, steps, every)
            best[kind] = min(best.get(kind, sum(durations)), sum(durations))
    size = given.width * (given.width + 1) * 4 * 3 / 2**20
    bare = best["nothing"]
    print(f"  a step with {size:3.0f} MiB of model and AdamW  {bare / (steps - 4) * 1e3:6.1f} ms")
    for kind, name in (("own", "the framework's own"), ("ours", "ours")):
        print(f"  more per save: {name:<26}{(best[kind] - bare) / given.saves * 1e3:6.1f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="in a run without saves")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--saves", type=int, default=4)
    parser.add_argument("--width", type=int, default=1500, help="of the model that is saved")
    parser.add_argument("--only", choices=list(FRAMEWORKS), help="one framework")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {given.rounds} rounds of {given.steps} steps")
    for name, train in FRAMEWORKS.items():
        if given.only in (None, name):
            print(f"{name} {importlib.metadata.version(name)}")
            per_step(train, given)
            per_save(train, given)


if __name__ == "__main__":
    main()
