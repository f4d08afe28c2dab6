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


def lightning_step(steps: int, directory: str | None) -> float:
    """Return the median time of a step of a tiny model, in seconds."""
    from torch.utils.data import DataLoader, TensorDataset

    from hfl_checkpoint import EverySteps
    from hfl_integrations.lightning import LifecycleCheckpoint
    from lightning.pytorch import Callback, LightningModule, Trainer

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
    if directory is not None:
        never = 10 * steps
        callbacks.append(
            LifecycleCheckpoint(
                directory, every_n_train_steps=never, save_top_k=0, save=EverySteps(never)
            )
        )
    trainer = Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=directory is not None, callbacks=callbacks,
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
    without, with_ours = [], []
    for _ in range(3):
        without.append(lightning_step(steps, None))
        with_ours.append(lightning_step(steps, tempfile.mkdtemp()))
    added = min(with_ours) - min(without)
    print(
        f"lightning: {min(without) * 1e6:.0f} us a step, {min(with_ours) * 1e6:.0f} us with "
        f"LifecycleCheckpoint: {added * 1e6:+.1f} us"
    )


if __name__ == "__main__":
    main()
