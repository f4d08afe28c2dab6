"""Seeds that follow from others, and randomness that leaves the global streams alone."""

from __future__ import annotations

import contextlib
import hashlib
import random
from typing import Iterator

import numpy as np
import torch

_NUMPY_SEEDS = 2**32


def derive_seed(*parts: object) -> int:
    """Make a seed that depends on all parts and on nothing else.

    Args:
        parts: Numbers and strings; the same ones give the same seed on every machine.

    Returns:
        A number from 0 up to 2**63.

    Example:
        >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 1) != derive_seed(0, "order", 2)
        True
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_global(seed: int) -> None:
    """Seed Python, NumPy and torch, on all devices.

    Args:
        seed: Any whole number from 0.
    """
    random.seed(seed)
    np.random.seed(seed % _NUMPY_SEEDS)  # the legacy stream is what users draw from
    torch.manual_seed(seed)


@contextlib.contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Let code draw from the global streams of this process without moving them.

    Only the CPU streams: what is run inside decides on an order, it computes nothing.

    Args:
        seed: Where the streams stand inside.

    Yields:
        Nothing.
    """
    python, numpy, torch_ = (
        random.getstate(),
        np.random.get_state(legacy=False),
        torch.get_rng_state(),
    )
    try:
        seed_cpu(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_)


def seed_cpu(seed: int) -> None:
    """Seed Python, NumPy and torch on the CPU, and leave the accelerators alone.

    Args:
        seed: Any whole number from 0.
    """
    random.seed(seed)
    np.random.seed(seed % _NUMPY_SEEDS)
    # Not torch.manual_seed, which would seed the accelerators too.
    torch.default_generator.manual_seed(seed % 2**63)


class SeededBatch(list):  # type: ignore[type-arg]  # subscripting list at run time needs 3.9
    """The indices of one batch, which seed the worker process that receives them.

    A worker unpickles the indices right before it fetches these samples and nothing else happens
    in between, so unpickling is where the seed is set. A wrapper around the dataset could do it
    too, but then ``get_worker_info().dataset`` would no longer be the user's.

    Args:
        seed: The seed for this batch.
        indices: The samples of the batch.
    """

    def __init__(self, seed: int, indices: list[object]) -> None:
        super().__init__(indices)
        self.seed = seed

    def __reduce__(self) -> tuple[object, ...]:
        return (_seed_and_unpack, (self.seed, list(self)))


def _seed_and_unpack(seed: int, indices: list[object]) -> list[object]:
    seed_cpu(seed)
    return indices


class SeededSamples(list):  # type: ignore[type-arg]  # subscripting list at run time needs 3.9
    """The indices of one batch, each of which seeds whoever goes through them to fetch its sample.

    A sample's seed follows from its index, so its augmentation depends neither on the batch that it
    is in nor on the process that fetches it. After the last, the batch's seed is set: what puts
    samples together may draw as well.

    Args:
        epoch_seed: What the samples' seeds follow from, in this epoch.
        batch_seed: The seed after the samples.
        indices: The samples of the batch.
    """

    def __init__(self, epoch_seed: int, batch_seed: int, indices: list[object]) -> None:
        super().__init__(indices)
        self.epoch_seed = epoch_seed
        self.batch_seed = batch_seed

    def __iter__(self) -> Iterator[object]:
        for index in super().__iter__():
            seed_cpu(derive_seed(self.epoch_seed, index))
            yield index
        seed_cpu(self.batch_seed)

    def __reduce__(self) -> tuple[object, ...]:
        return (SeededSamples, (self.epoch_seed, self.batch_seed, self[:]))
