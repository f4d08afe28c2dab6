"""Which samples make up which batch of an epoch, as a function of (seed, epoch, rank)."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from array import array
from typing import Any, Callable, Iterator, List, Optional, Sequence, Union

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
)

from hfl_core import ConfigError
from hfl_state._sampler_randomness import seeded_samplers
from hfl_state._samples import ListedSamples, Permutation, Samples
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
    """

    def __init__(
        self,
        *,
        batches: Sequence[Sequence[object]] = (),
        samples: Optional[Union[Samples, ListedSamples]] = None,
        batch_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self._batches = batches
        self._samples = samples
        self._batch_size = batch_size
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
        cut: List[object] = list(self._samples.cut(start, start + self._batch_size))
        return cut

    def size(self, number: int) -> int:
        """Count the samples of a batch, without naming them.

        Args:
            number: Which batch.

        Returns:
            How many.
        """
        if self._samples is None:
            return len(self._batches[number])
        return min(self._batch_size, len(self._samples) - number * self._batch_size)

    @property
    def is_cut(self) -> bool:
        """Whether the samples have an order of their own, which can be cut into other batches."""
        return self._samples is not None

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
        listed = getattr(self._samples, "listed", None)
        if isinstance(listed, array):
            digest.update(listed)
            return digest.hexdigest()
        if isinstance(self._samples, Samples) and self._length > 2 * _EDGE:
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


def epoch_order(
    loader: DataLoader[Any], *, seed: int, epoch: int, rank: int, begin: int = 0
) -> EpochOrder:
    """Find the batches of an epoch without reading a sample or moving a global stream.

    Args:
        loader: The loader whose sampler decides.
        seed: The seed of the run's data order.
        epoch: Which epoch, from 0.
        rank: This process's rank. It has no say where the sampler shards by itself: such a sampler
            relies on all ranks drawing the same numbers.
        begin: How many samples to leave out at the beginning; with torch's DistributedSampler, of
            all processes together.

    Returns:
        The order.

    Raises:
        ConfigError: The sampler never ends.
    """
    batch_sampler: Any = loader.batch_sampler
    sampler = getattr(batch_sampler, "sampler", None)
    order_seed = derive_seed(seed, "order", epoch, 0 if is_sharded(loader) else rank)
    if type(batch_sampler) is not BatchSampler:
        with _prepared(batch_sampler, order_seed, epoch):
            # Copied one by one: a batch sampler may yield the same list over and over.
            return EpochOrder(batches=_exhaust(batch_sampler, each=list))
    samples: Optional[Union[Samples, ListedSamples]]
    samples = _known_samples(sampler, order_seed, epoch, begin)
    if samples is None:
        with _prepared(batch_sampler, order_seed, epoch):
            samples = ListedSamples(_exhaust(sampler), begin=begin)
    return EpochOrder(
        samples=samples,
        batch_size=batch_sampler.batch_size,
        drop_last=batch_sampler.drop_last,
    )


def is_sharded(loader: DataLoader[Any]) -> bool:
    """Tell whether the sampler gives every process a part of the epoch.

    Args:
        loader: The loader whose sampler decides.

    Returns:
        Whether it does; otherwise every process goes through all samples by itself.
    """
    batch_sampler: Any = loader.batch_sampler
    owners = (batch_sampler, getattr(batch_sampler, "sampler", None))
    return any(hasattr(owner, name) for owner in owners for name in _SHARDING_ATTRIBUTES)


def is_known_order(loader: DataLoader[Any]) -> bool:
    """Tell whether the order follows from the seed alone, without iterating a sampler.

    Args:
        loader: The loader whose sampler decides.

    Returns:
        Whether it is one of torch's plain shuffled, sequential or distributed orders.
    """
    batch_sampler: Any = loader.batch_sampler
    return type(batch_sampler) is BatchSampler and _is_known_sampler(batch_sampler.sampler)


def _is_known_sampler(sampler: Any) -> bool:
    if type(sampler) in (SequentialSampler, DistributedSampler):
        return True
    return (
        type(sampler) is RandomSampler
        and not sampler.replacement
        and sampler.num_samples == len(sampler.data_source)
    )


def _known_samples(sampler: Any, seed: int, epoch: int, begin: int) -> Optional[Samples]:
    if not _is_known_sampler(sampler):
        return None
    if type(sampler) is DistributedSampler:
        length = len(sampler.dataset)  # type: ignore[arg-type]  # torch itself asks for its length
        sampler.set_epoch(epoch)  # who looks at it later finds what it would have been
        # Not from the run's seed: processes that were seeded differently still share one order. As
        # long as that is a plain shuffle, it is the one that the sampler itself would have made.
        shared = sampler.seed + epoch
        return Samples(
            length,
            Permutation(length, shared) if sampler.shuffle else None,
            begin=begin,
            rank=sampler.rank,
            world_size=sampler.num_replicas,
            drop_last=sampler.drop_last,
        )
    length = len(sampler.data_source)
    order = None if type(sampler) is SequentialSampler else Permutation(length, seed)
    return Samples(length, order, begin=begin)


@contextlib.contextmanager
def _prepared(batch_sampler: Any, seed: int, epoch: int) -> Iterator[None]:
    set_epoch_of(batch_sampler, epoch)
    with isolated_randomness(seed), seeded_samplers(batch_sampler, seed):
        yield


def set_epoch_of(batch_sampler: Any, epoch: int) -> None:
    """Call ``set_epoch`` of a batch sampler and of those in it, where they have one.

    Args:
        batch_sampler: The batch sampler; one that shards another (accelerate's) holds it.
        epoch: Which epoch, from 0.
    """
    waiting, seen = [batch_sampler], set()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        set_epoch = getattr(each, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)
        waiting += [getattr(each, name, None) for name in ("batch_sampler", "sampler")]


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
