"""Small training runs whose every bit can be compared."""

from __future__ import annotations

import io
import random
from typing import Any, Dict, List, Optional

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from hfl_state import EarlyStopping, TrainingState

LENGTH = 12
FEATURES = 4
BATCHES = 4  # per epoch, whichever the sampler


class NoisyDataset(Dataset):
    """Samples with augmentations that draw from all three global streams."""

    def __len__(self) -> int:
        return LENGTH

    def __getitem__(self, index: int) -> Dict[str, Any]:
        noise = torch.rand(FEATURES) + random.random() + float(np.random.rand())
        return {"id": index, "x": noise}


class UnevenBatches:
    """A batch sampler of its own kind: batches differ in size, the order is drawn."""

    def __iter__(self):
        ids = list(range(LENGTH))
        random.shuffle(ids)
        start = 0
        for size in (2, 5, 1, 4):
            yield ids[start : start + size]
            start += size

    def __len__(self) -> int:
        return BATCHES


class Halves(Sampler):
    """A sampler of somebody's own, with a generator of its own and a say in the epoch."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(5)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self):
        halves = [list(range(0, LENGTH, 2)), list(range(1, LENGTH, 2))]
        for half in halves if self.epoch % 2 else reversed(halves):
            yield from (half[i] for i in self.generator.permutation(len(half)))

    def __len__(self) -> int:
        return LENGTH


def make_loader(kind: str, workers: int = 0, persistent: bool = False) -> DataLoader:
    dataset = NoisyDataset()
    options: Dict[str, Any] = {"num_workers": workers, "persistent_workers": persistent}
    if kind == "batch_sampler":
        return DataLoader(dataset, batch_sampler=UnevenBatches(), **options)
    sampler = {
        "sequential": SequentialSampler(dataset),
        "shuffle": RandomSampler(dataset),
        "weighted": WeightedRandomSampler([1.0 + i for i in range(LENGTH)], num_samples=10),
        "subset": SubsetRandomSampler(range(1, LENGTH)),
        "replacement": RandomSampler(dataset, replacement=True, num_samples=11),
        "distributed": DistributedSampler(dataset, num_replicas=1, rank=0, seed=3),
        "custom": Halves(),
    }[kind]
    return DataLoader(dataset, batch_size=3, sampler=sampler, **options)


class Run:
    """A model with dropout, AdamW and a schedule, trained on a noisy dataset."""

    def __init__(self, loader: Any, seed: Optional[int] = 0) -> None:
        torch.manual_seed(1)  # for the initial weights, as every start of a script would
        self.model = torch.nn.Sequential(
            torch.nn.Linear(FEATURES, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.9)
        self.state = TrainingState(
            model=self.model,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            loader=loader,
            early_stopping=EarlyStopping("loss", patience=1000),
            seed=seed,
        )
        self.ids: List[List[int]] = []

    def train(self, until_batch: Optional[int] = None, **limits: int) -> Optional[Dict[str, Any]]:
        """Train; at a batch, save inside the loop body and stop, as if killed right after."""
        for batch in self.state.batches(**limits):
            self.ids.append(batch["id"].tolist())
            self.model(batch["x"]).square().mean().backward()
            if self.state.is_step_boundary:
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
            if self.state.batch == until_batch:
                return through_bytes(self.state.state_dict())
        return None

    def outcome(self) -> Dict[str, Any]:
        """Everything that has to be equal to the last bit, the next random numbers included."""
        return {
            "counts": [self.state.step, self.state.epoch, self.state.batch, self.state.samples],
            "model": bits(self.model.state_dict()),
            "optimizer": bits(self.optimizer.state_dict()),
            "scheduler": bits(self.scheduler.state_dict()),
            "draws": draws(),
        }


def bits(value: Any) -> Any:
    """Make a state comparable with ``==``, without rounding anything."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(each) for each in value]
    return value


def draws() -> List[float]:
    return [random.random(), random.gauss(0, 1), float(np.random.rand()), torch.rand(1).item()]


def through_bytes(state: Dict[str, Any]) -> Dict[str, Any]:
    """Take a state out of this process; what weights_only refuses would need pickle."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: Dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


@pytest.fixture(autouse=True)
def _reproducible():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def runs():
    """The builders above: test modules are imported by path and cannot import each other."""

    class Builders:
        loader = staticmethod(make_loader)
        run = Run
        draws = staticmethod(draws)
        bits = staticmethod(bits)
        through_bytes = staticmethod(through_bytes)
        noisy = NoisyDataset

    return Builders
