"""Which samples make up which batch of an epoch, as a function of (seed, epoch, rank)."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from array import array
from typing import Any, Callable, Iterator, List, Optional, Sequence

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from hfl_core import ConfigError
from hfl_state._sampler_randomness import seeded_samplers
from hfl_state._seeds import derive_seed, isolated_randomness

_SHARDING_ATTRIBUTES = ("num_replicas", "world_size", "num_processes", "num_shards")
_EDGE = 32


class EpochOrder:
    """The batches of one epoch, any of which can be asked for without going through the others.

    Args:
        batches: The batches themselves, where the sampler makes batches of its own.
        samples: The samples in order, to be cut into batches of one size.
        batch_size: The size to cut into.
        drop_last: Whether an incomplete last batch is left out.
        is_cheap: Whether the samples are a range or a permutation, too many to digest in full.
    """

    def __init__(
        self,
        *,
        batches: Sequence[Sequence[object]] = (),
        samples: Optional[Sequence[object] | torch.Tensor] = None,
        batch_size: int = 1,
        drop_last: bool = False,
        is_cheap: bool = False,
    ) -> None:
        self._batches = batches
        self._samples = samples
        self._batch_size = batch_size
        self._is_cheap = is_cheap
        self._fingerprint: Optional[str] = None
        if samples is None:
            self._length = len(batches)
        else:
            self._length = count_batches(len(samples), batch_size, drop_last=drop_last)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> List[object]:
        if not 0 <= number < self._length:
            raise IndexError(number)
        if self._samples is None:
            return list(self._batches[number])
        start = number * self._batch_size
        cut = self._samples[start : start + self._batch_size]
        return cut.tolist() if isinstance(cut, (torch.Tensor, array)) else list(cut)

    def fingerprint(self) -> str:
        """Digest the order, so that a resume notices when it became another one.

        Returns:
            The same text for the same order. Of a range or a permutation, whose seed is known,
            only the ends are looked at.
        """
        if self._fingerprint is None:  # every save asks, and an epoch may have millions of samples
            self._fingerprint = self._digest()
        return self._fingerprint

    def _digest(self) -> str:
        digest = hashlib.blake2b(f"{self._length} {self._batch_size}".encode(), digest_size=16)
        if isinstance(self._samples, array):
            digest.update(self._samples)
            return digest.hexdigest()
        if self._is_cheap and self._length > 2 * _EDGE:
            numbers = itertools.chain(range(_EDGE), range(self._length - _EDGE, self._length))
        else:
            numbers = itertools.chain(range(self._length))
        for number in numbers:
            digest.update(repr(self[number]).encode())
        return digest.hexdigest()


def count_batches(samples: int, batch_size: int, *, drop_last: bool) -> int:
    """Count the batches that a number of samples makes.

    Args:
        samples: The number of samples.
        batch_size: The size of a batch.
        drop_last: Whether an incomplete last batch is left out.

    Returns:
        The number of batches.
    """
    return samples // batch_size if drop_last else -(-samples // batch_size)


def epoch_order(loader: DataLoader[Any], *, seed: int, epoch: int, rank: int) -> EpochOrder:
    """Find the batches of an epoch without reading a sample or moving a global stream.

    Args:
        loader: The loader whose sampler decides.
        seed: The seed of the run's data order.
        epoch: Which epoch, from 0.
        rank: This process's rank. It has no say where the sampler shards by itself: such a sampler
            relies on all ranks drawing the same numbers.

    Returns:
        The order.

    Raises:
        ConfigError: The sampler never ends.
    """
    batch_sampler: Any = loader.batch_sampler
    sampler = getattr(batch_sampler, "sampler", None)
    if any(hasattr(s, name) for s in (batch_sampler, sampler) for name in _SHARDING_ATTRIBUTES):
        rank = 0
    order_seed = derive_seed(seed, "order", epoch, rank)
    if type(batch_sampler) is not BatchSampler:
        with _prepared(batch_sampler, order_seed, epoch):
            # Copied one by one: a batch sampler may yield the same list over and over.
            return EpochOrder(batches=_exhaust(batch_sampler, each=list))
    samples = _known_samples(sampler, order_seed)
    is_cheap = samples is not None
    if samples is None:
        with _prepared(batch_sampler, order_seed, epoch):
            samples = _compact(_exhaust(sampler))
    return EpochOrder(
        samples=samples,
        batch_size=batch_sampler.batch_size,
        drop_last=batch_sampler.drop_last,
        is_cheap=is_cheap,
    )


def is_known_order(loader: DataLoader[Any]) -> bool:
    """Tell whether the order follows from the seed alone, without iterating a sampler.

    Args:
        loader: The loader whose sampler decides.

    Returns:
        Whether it is one of torch's plain shuffled or sequential orders.
    """
    batch_sampler: Any = loader.batch_sampler
    return type(batch_sampler) is BatchSampler and _is_known_sampler(batch_sampler.sampler)


def _is_known_sampler(sampler: Any) -> bool:
    if type(sampler) is SequentialSampler:
        return True
    return (
        type(sampler) is RandomSampler
        and not sampler.replacement
        and sampler.num_samples == len(sampler.data_source)
    )


def _known_samples(sampler: Any, seed: int) -> Optional[Sequence[object] | torch.Tensor]:
    if not _is_known_sampler(sampler):
        return None
    length = len(sampler.data_source)
    if type(sampler) is SequentialSampler:
        return range(length)
    # A tensor, not a list: any batch is one slice, and a billion samples are 8 GB, not 36.
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))


@contextlib.contextmanager
def _prepared(batch_sampler: Any, seed: int, epoch: int) -> Iterator[None]:
    for each in (batch_sampler, getattr(batch_sampler, "sampler", None)):
        set_epoch = getattr(each, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)
    with isolated_randomness(seed), seeded_samplers(batch_sampler, seed):
        yield


def _as_it_is(item: Any) -> Any:
    return item


def _exhaust(sampler: Any, *, each: Callable[[Any], Any] = _as_it_is) -> List[Any]:
    try:
        limit = 2 * len(sampler) + 1024  # a length is often only an estimate
    except (TypeError, NotImplementedError):
        raise ConfigError(
            f"The sampler {type(sampler).__name__} has no length, so it may never end, and nobody "
            "could tell where an epoch does.",
            hint="Give it a __len__ (an estimate is enough) and let each iteration be one epoch.",
        ) from None
    items = [each(item) for item in itertools.islice(iter(sampler), limit)]
    if len(items) == limit:
        raise ConfigError(
            f"The sampler {type(sampler).__name__} says that it has {len(sampler)} items and gave "
            f"{limit} without an end.",
            hint="Let it end after one epoch: batches(steps=...) starts the next one by itself.",
        )
    return items


def _compact(samples: List[Any]) -> Sequence[object]:
    # 8 bytes per sample instead of 36; only where it changes nothing about the indices.
    return array("q", samples) if all(type(sample) is int for sample in samples) else samples
