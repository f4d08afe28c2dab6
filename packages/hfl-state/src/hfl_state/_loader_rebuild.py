"""Building the loader inside a `ResumableLoader` from the user's."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

import torch
from torch.utils.data import DataLoader

from hfl_core import ConfigError, SteadyWorker
from hfl_state._epoch_order import EpochOrder
from hfl_state._seeds import SeededBatch, SeededSamples, derive_seed

_KEPT = ("num_workers", "collate_fn", "pin_memory", "timeout")
_OVERRIDABLE = ("__iter__", "_get_iterator")


class UpcomingBatches:
    """A batch sampler that is pointed at the rest of an epoch, again and again.

    One object for the whole run, so that the loader around it, and with it persistent workers, can
    stay as they are from one epoch to the next.

    Args:
        is_seeding: Whether each batch carries a seed to whoever fetches it.
        is_seeding_samples: Whether it carries one for each of its samples.
    """

    def __init__(self, *, is_seeding: bool, is_seeding_samples: bool = False) -> None:
        self._is_seeding = is_seeding
        self._is_seeding_samples = is_seeding_samples
        self._order: Optional[EpochOrder] = None
        self._start = 0
        self._seed = 0
        self._samples_seed = 0

    def aim(self, order: EpochOrder, start: int, *, seed: int, samples: int) -> None:
        """Choose what the next iteration yields.

        Args:
            order: The batches of the epoch.
            start: The first batch to yield.
            seed: What the seeds of the batches follow from.
            samples: What the seeds of the samples follow from.
        """
        self._order, self._start = order, start
        self._seed, self._samples_seed = seed, samples

    def __iter__(self) -> Iterator[List[object]]:
        order, seed, samples_seed = self._order, self._seed, self._samples_seed
        if order is None:
            return
        for number in range(self._start, len(order)):
            batch = order[number]
            if self._is_seeding_samples:
                yield SeededSamples(samples_seed, derive_seed(seed, number), batch)
            else:
                yield SeededBatch(derive_seed(seed, number), batch) if self._is_seeding else batch

    def __len__(self) -> int:
        return 0 if self._order is None else len(self._order) - self._start


def refuse_unsupported(loader: Any) -> None:
    """Refuse a loader over a map-style dataset whose position cannot be known, and say what to do.

    Args:
        loader: What the user wants to make resumable.

    Raises:
        ConfigError: It is such a loader.
    """
    if loader.batch_sampler is None:
        raise ConfigError(
            "With batch_size=None the DataLoader makes no batches to count.",
            hint="Give it a batch_size, or a batch_sampler where batches differ in size.",
        )
    if not getattr(loader, "in_order", True):
        raise ConfigError(
            "With in_order=False batches come in an order that cannot be gone back to.",
            hint="Leave in_order at True.",
        )
    refuse_overrides(loader)


def refuse_overrides(loader: Any) -> None:
    """Refuse a loader that does something of its own to the batches.

    Args:
        loader: A torch DataLoader.

    Raises:
        ConfigError: It is such a loader.
    """
    for method in _OVERRIDABLE:
        if getattr(type(loader), method) is not getattr(DataLoader, method):
            name = type(loader).__name__
            raise ConfigError(
                f"A {name} overrides {method}, and what it does there would be lost.",
                hint="Pass a plain DataLoader, and move that work to collate_fn or the loop body.",
            )


def rebuild(
    loader: DataLoader[Any], batches: UpcomingBatches, generator: torch.Generator
) -> DataLoader[Any]:
    """Build a loader like another, with batches and randomness of our own.

    Args:
        loader: The user's loader.
        batches: Decides which samples make up the batches.
        generator: What torch draws the workers' base seed from, instead of the global stream.

    Returns:
        The new loader.
    """
    options: Dict[str, Any] = {name: getattr(loader, name) for name in _KEPT}
    if loader.num_workers > 0:
        options["worker_init_fn"] = SteadyWorker(loader.worker_init_fn)
        options["prefetch_factor"] = loader.prefetch_factor
        options["persistent_workers"] = loader.persistent_workers
        options["multiprocessing_context"] = loader.multiprocessing_context
    if loader.pin_memory_device:
        options["pin_memory_device"] = loader.pin_memory_device
    return DataLoader(loader.dataset, batch_sampler=batches, generator=generator, **options)
