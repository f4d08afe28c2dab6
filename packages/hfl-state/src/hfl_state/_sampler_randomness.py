"""The random generators that samplers own."""

from __future__ import annotations

import contextlib
import random
from typing import Any, Callable, Iterator, List

import numpy as np
import torch
from torch.utils.data import Sampler

from hfl_state._seeds import derive_seed

GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)
_NESTED = ("sampler", "batch_sampler")


@contextlib.contextmanager
def seeded_samplers(sampler: Any, seed: int) -> Iterator[None]:
    """Seed every generator that a sampler, or one inside it, holds; put all back afterwards.

    An order must be the same whether an epoch is begun for the first time or gone back to, so it
    may not depend on how far the user's generators have moved.

    Args:
        sampler: A sampler or batch sampler.
        seed: What to seed with; each generator gets one of its own.

    Yields:
        Nothing.
    """
    undo: List[Callable[[], None]] = []
    try:
        for number, generator in enumerate(_generators(sampler, set())):
            undo.append(_seed(generator, derive_seed(seed, number)))
        yield
    finally:
        for restore in undo:
            restore()


def seed_samplers(sampler: Any, seed: int) -> None:
    """Seed every generator that a sampler, or one inside it, holds, for good.

    Args:
        sampler: A sampler or batch sampler, or None.
        seed: What to seed with; each generator gets one of its own.
    """
    for number, generator in enumerate(_generators(sampler, set())):
        _seed(generator, derive_seed(seed, number))


def _generators(sampler: Any, seen: set[int]) -> Iterator[Any]:
    if id(sampler) in seen:
        return
    seen.add(id(sampler))
    for name, value in sorted(getattr(sampler, "__dict__", {}).items()):
        if isinstance(value, GENERATORS):
            if id(value) not in seen:
                seen.add(id(value))
                yield value
        elif isinstance(value, Sampler) or name in _NESTED:
            yield from _generators(value, seen)


def _seed(generator: Any, seed: int) -> Callable[[], None]:
    if isinstance(generator, torch.Generator):
        tensor = generator.get_state()
        generator.manual_seed(seed)
        return lambda: _discard(generator.set_state(tensor))
    if isinstance(generator, random.Random):
        python = generator.getstate()
        generator.seed(seed)
        return lambda: generator.setstate(python)
    if isinstance(generator, np.random.RandomState):
        legacy = generator.get_state()
        generator.seed(seed % 2**32)
        return lambda: generator.set_state(legacy)
    bits = generator.bit_generator
    state = bits.state
    bits.state = type(bits)(seed).state
    return lambda: setattr(bits, "state", state)


def _discard(_: object) -> None:
    """Make an expression a statement."""
