"""What a step costs more with a callback of ours, when nothing is saved.

python benchmarks/integrations_overhead.py [--steps 3000]
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings

import torch

WARM_UP = 200


def lightning_step(steps: int, kind: str) -> float:
    """Return the median time of a step of a tiny model, in seconds."""
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from torch.utils.data import DataLoader, TensorDataset

    from hfl_checkpoint import EverySteps
    from hfl_integrations.lightning import LifecycleCheckpoint

    class Tiny(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(4, 1)

        def training_step(self, batch, _):
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    class Clock(Callback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_batch_start(self, *_) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()
    callbacks = [clock]
    often = {"every_n_train_steps": 10 * steps, "save_top_k": 0}
    if kind == "ModelCheckpoint":
        callbacks.append(ModelCheckpoint(tempfile.mkdtemp(), **often))
    elif kind == "LifecycleCheckpoint":
        callbacks.append(LifecycleCheckpoint(tempfile.mkdtemp(), **often))
    elif kind == "LifecycleCheckpoint, save=":
        policy = EverySteps(10 * steps)
        callbacks.append(LifecycleCheckpoint(tempfile.mkdtemp(), save=policy, **often))
    trainer = Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=len(callbacks) > 1, callbacks=callbacks,
        max_steps=steps, max_epochs=-1,
    )  # fmt: skip
    trainer.fit(Tiny(), DataLoader(TensorDataset(torch.randn(4 * (steps + 1), 4)), batch_size=4))
    gaps = [later - earlier for earlier, later in zip(clock.times, clock.times[1:])]
    return statistics.median(gaps[WARM_UP:])


def main() -> None:
    """Measure a few times in turn, and print the smallest of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    steps = parser.parse_args().steps
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    kinds = ("nothing", "ModelCheckpoint", "LifecycleCheckpoint", "LifecycleCheckpoint, save=")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(3):
        for kind in kinds:
            found[kind].append(lightning_step(steps, kind))
    base = min(found["nothing"])
    for kind in kinds:
        best = min(found[kind])
        print(f"lightning, {kind}: {best * 1e6:.0f} us a step ({(best - base) * 1e6:+.0f})")


if __name__ == "__main__":
    main()
