"""Going back to batch 100,000 of an epoch, beside skipping the batches before it.

Run it with ``make bench`` or ``python benchmarks/resume_position.py``. Skipping is what Trainer and accelerate do
for a plain DataLoader; it reads every sample again, so here it is timed over a part and scaled up.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any, Callable

import torch
from torch.utils.data import DataLoader

from hfl_state import ResumableLoader, TrainingState, __version__


class Samples:
    """A dataset whose samples cost nothing, and are counted."""

    reads = 0

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        Samples.reads += 1
        return index


def median(action: Callable[[], object], rounds: int) -> float:
    """Time an action, in seconds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    length = given.batch * given.batch_size * 2

    def build() -> DataLoader[Any]:
        return DataLoader(Samples(length), batch_size=given.batch_size, shuffle=True)

    saved = TrainingState(model=torch.nn.Linear(1, 1), loader=build(), seed=0).state_dict()
    at = {**saved["loader"], "batch": given.batch}
    order = ResumableLoader(build(), seed=0)
    order._at.batch = given.batch
    at["order"] = order.state_dict()["order"]
    loaders = [
        ResumableLoader(build()) for _ in range(2 * given.rounds)
    ]  # one that has no cache yet
    load = median(lambda: loaders.pop().load_state_dict(at), given.rounds)
    reads = Samples.reads

    def first_batch() -> None:
        loader = loaders.pop()
        loader.load_state_dict(at)
        next(iter(loader))

    first = median(first_batch, given.rounds)
    part = max(1, given.batch // 500)
    begin = time.perf_counter()
    plain = iter(build())
    for _ in itertools.islice(plain, 1):
        pass
    start = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in itertools.islice(plain, part):
        pass
    skipping = start + (time.perf_counter() - begin) / part * given.batch

    state = TrainingState(model=torch.nn.Linear(1, 1), loader=build(), seed=0)
    next(state.batches(steps=1))
    rest = [each for name, each in state.components().items() if name != "model"]
    capture = median(lambda: [each.state_dict() for each in rest], 50)

    print(f"hfl-state {__version__}, torch {torch.__version__}, {length:,} samples")
    print(f"{'go back to batch':<42}{load * 1e3:10.2f} ms   {reads} samples read")
    print(f"{'the same, and fetch the next batch':<42}{first * 1e3:10.2f} ms")
    print(
        f"{'skip the batches before it (scaled up)':<42}{skipping * 1e3:10.0f} ms   {skipping / load:,.0f} x"
    )
    print(f"{'capture all but parameters and optimizer':<42}{capture * 1e3:10.3f} ms")


if __name__ == "__main__":
    main()
