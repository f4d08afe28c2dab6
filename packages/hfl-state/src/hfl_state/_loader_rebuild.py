"""Building the loader inside a `ResumableLoader` from the user's."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

import torch
from torch.utils.data import DataLoader, IterableDataset

from hfl_core import ConfigError
from hfl_state._epoch_order import EpochOrder
from hfl_state._seeds import SeededBatch, derive_seed

_KEPT = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn")
_OVERRIDABLE = ("__iter__", "_get_iterator")


class UpcomingBatches:
    """A batch sampler that is pointed at the rest of an epoch, again and again.

    One object for the whole run, so that the loader around it, and with it persistent workers, can
    stay as they are from one epoch to the next.

    Args:
        is_seeding: Whether each batch carries a seed to the worker that fetches it.
    """

    def __init__(self, *, is_seeding: bool) -> None:
        self._is_seeding = is_seeding
        self._order: Optional[EpochOrder] = None
        self._start = 0
        self._seed = 0

    def aim(self, order: EpochOrder, start: int, *, seed: int) -> None:
        """Choose what the next iteration yields.

        Args:
            order: The batches of the epoch.
            start: The first batch to yield.
            seed: What the seeds of the batches follow from.
        """
        self._order, self._start, self._seed = order, start, seed

    def __iter__(self) -> Iterator[List[object]]:
        order, seed = self._order, self._seed
        if order is None:
            return
        for number in range(self._start, len(order)):
            batch = order[number]
            yield SeededBatch(derive_seed(seed, number), batch) if self._is_seeding else batch

    def __len__(self) -> int:
        return 0 if self._order is None else len(self._order) - self._start


def refuse_unsupported(loader: Any) -> None:
    """Refuse a loader whose position cannot be known, and say what to do instead.

    Args:
        loader: What the user wants to make resumable.

    Raises:
        ConfigError: It is such a loader, or none at all.
    """
    if not isinstance(loader, DataLoader):
        raise ConfigError(
            f"A {type(loader).__name__} is not a torch DataLoader.",
            hint="Pass a torch.utils.data.DataLoader over a map-style dataset.",
        )
    name = type(loader).__name__
    if hasattr(loader, "load_state_dict"):
        raise ConfigError(
            f"A {name} keeps a position of its own, which would contradict this one.",
            hint="Pass a plain torch DataLoader with the same arguments.",
        )
    if isinstance(loader.dataset, IterableDataset):
        raise ConfigError(
            "The position in an IterableDataset is not known to its DataLoader.",
            hint="Use a map-style dataset (one with __getitem__ and __len__).",
        )
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
    for method in _OVERRIDABLE:
        if getattr(type(loader), method) is not getattr(DataLoader, method):
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
        options["prefetch_factor"] = loader.prefetch_factor
        options["persistent_workers"] = loader.persistent_workers
        options["multiprocessing_context"] = loader.multiprocessing_context
    if loader.pin_memory_device:
        options["pin_memory_device"] = loader.pin_memory_device
    return DataLoader(loader.dataset, batch_sampler=batches, generator=generator, **options)
