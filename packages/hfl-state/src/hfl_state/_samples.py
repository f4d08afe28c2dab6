"""The samples of an epoch in order, any part of which costs as much as that part is long."""

from __future__ import annotations

from array import array
from typing import Any, List, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hfl_state._seeds import derive_seed

Numbers = NDArray[np.uint64]

# Below, torch shuffles in a millisecond; above, nothing is shuffled and every position is computed.
_SMALL = 1 << 16
# Computing one position costs as much as computing a few hundred, so many are computed at once.
_BLOCK = 4096
# Luby and Rackoff (1988) prove 4 enough against one who knows some values; two more cost nothing.
_ROUNDS = 6


class Permutation:
    """A random order of the numbers below a length, without a list of them.

    A small one is shuffled. For a large one a Feistel network of hashes permutes the numbers of as
    many bits as the length has; what lands at or above the length goes through it again, which takes
    less than two rounds on average and keeps it a permutation ("cycle walking", Black and Rogaway,
    "Ciphers with Arbitrary Finite Domains", 2002). So the position 10**9 of an epoch costs as much as
    the first, in time and in memory.

    Args:
        length: How many numbers.
        seed: What the order follows from.

    Example:
        >>> order = Permutation(200_000, seed=1)
        >>> len(set(order.at(np.arange(200_000)).tolist()))
        200000
    """

    def __init__(self, length: int, seed: int) -> None:
        self._length = length
        self._shuffled: Any = None
        if length <= _SMALL:
            generator = torch.Generator().manual_seed(seed)
            self._shuffled = torch.randperm(length, generator=generator).numpy()
            return
        bits = (length - 1).bit_length()
        self._low, self._high = bits // 2, bits - bits // 2
        self._keys = [np.uint64(derive_seed(seed, "round", number)) for number in range(_ROUNDS)]

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tell which numbers stand at some positions.

        Args:
            positions: Positions from 0, each below the length.

        Returns:
            As many numbers.
        """
        if self._shuffled is not None:
            found: NDArray[np.int64] = self._shuffled[positions]
            return found
        values = self._encrypt(positions.astype(np.uint64))
        while True:
            outside = np.nonzero(values >= np.uint64(self._length))[0]
            if not len(outside):
                return values.astype(np.int64)
            values[outside] = self._encrypt(values[outside])

    def _encrypt(self, values: Numbers) -> Numbers:
        left_bits, right_bits = self._high, self._low
        left, right = values >> np.uint64(right_bits), values & _mask(right_bits)
        for key in self._keys:
            # The halves differ by a bit where the length has an odd number of them: they swap sizes.
            left, right = right, left ^ (_hash(right ^ key) & _mask(left_bits))
            left_bits, right_bits = right_bits, left_bits
        return (left << np.uint64(right_bits)) | right


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _hash(values: Numbers) -> Numbers:
    # The finalizer of splitmix64 (Steele, Lea and Flood, 2014); unsigned arrays wrap around silently.
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Samples:
    """What one process reads of the samples of an epoch, from where it begins.

    Args:
        length: How many samples the dataset has.
        order: Their order; None leaves them as they are.
        begin: How many of the epoch's samples all processes together have read already, when the
            way in which they are cut into batches changed in the middle of the epoch.
        rank: Which process of those that share the epoch this is.
        world_size: How many there are.
        drop_last: Whether processes read as many as all have, instead of repeating some.
    """

    def __init__(  # what a sharding sampler has
        self,
        length: int,
        order: Permutation | None,
        *,
        begin: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self._all, self._order = length, order
        self._first, self._stride = begin + rank, world_size
        left = max(0, length - begin)
        self._length = left // world_size if drop_last else -(-left // world_size)
        self._block: List[int] = []
        self._block_start = 0

    def __len__(self) -> int:
        return self._length

    def cut(self, start: int, stop: int) -> List[int]:
        """Name some of the samples.

        Args:
            start: The first position.
            stop: The position after the last; may lie behind the end.

        Returns:
            The samples.
        """
        stop = min(stop, self._length)
        end = self._block_start + len(self._block)
        if not (self._block_start <= start and stop <= end):
            self._block_start = start
            end = min(max(stop, start + _BLOCK), self._length)
            positions = self._first + np.arange(start, end, dtype=np.int64) * self._stride
            positions %= self._all  # who has too few repeats the first ones, as torch does
            found = positions if self._order is None else self._order.at(positions)
            self._block = found.tolist()
        return self._block[start - self._block_start : stop - self._block_start]


class ListedSamples:
    """Samples that a sampler listed.

    Args:
        listed: They.
        begin: How many of them are left out, as for `Samples`.
    """

    def __init__(self, listed: Sequence[Any], *, begin: int = 0) -> None:
        # 8 bytes per sample instead of 36; only where it changes nothing about the indices.
        is_plain = all(type(sample) is int for sample in listed)
        self.listed: Any = array("q", listed) if is_plain else listed
        self._begin = begin

    def __len__(self) -> int:
        return max(0, len(self.listed) - self._begin)

    def cut(self, start: int, stop: int) -> List[Any]:
        """Name some of the samples, as `Samples.cut` does."""
        return list(self.listed[self._begin + start : self._begin + stop])
