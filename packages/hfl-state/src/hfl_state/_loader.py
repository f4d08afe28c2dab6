"""A DataLoader that knows where it stands and can go on from there."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterator, List, Mapping, Optional

import torch
from torch.utils.data import DataLoader

from hfl_state._component import (
    FORMAT,
    Component,
    OnChange,
    check_on_change,
    count_problems,
    format_problems,
    logger,
)
from hfl_state._dataset_identity import dataset_fingerprint, dataset_length
from hfl_state._position import Position
from hfl_state._ranks import rank_and_world_size
from hfl_state._source import source_of
from hfl_state._turns import Turns

_FIELDS: Dict[str, Any] = {
    "kind": str,
    "seed": int,
    "epoch": int,
    "batch": int,
    "begin": int,
    "dataset_length": (int, type(None)),
    "dataset_fingerprint": (str, type(None)),
    "batch_size": (int, type(None)),
    "drop_last": bool,
    "sampler": str,
    "seeds_samples": bool,
    "workers": int,
    "world_size": int,
    "rank": int,
    "order": (str, type(None)),
    "inner": (Mapping, type(None)),
}


class ResumableLoader(Component):
    """Wrap a DataLoader so that its position is exact and can be saved and restored.

    Each ``for`` loop goes through the *rest* of the current epoch, then the next one through the
    next epoch. The position counts batches that were handed out, never ones that workers prefetched;
    with the last batch of an epoch it stands at the start of the next. A resume reads no sample
    that was already handed out.

    **Map-style datasets**, with any sampler that ends after an epoch and any number of workers. The
    order of an epoch follows from (seed, epoch, rank) alone: it neither reads nor moves the global
    random streams, nor does it depend on the number of workers. With torch's sequential, shuffling
    and distributed samplers no part of it is computed before it is needed, so going back to a
    position takes the same time wherever it is. Other samplers are iterated once per epoch, ahead of
    it, with all randomness that they draw from seeded and their ``set_epoch`` called; one that
    remembers earlier iterations in any other way is refused. Every batch also seeds the worker that
    fetches it, so random augmentations are the same after a resume. Without workers they draw from
    the global streams, which `RngState` saves.

    **Loaders and streams that keep a state**: torchdata's ``StatefulDataLoader``, and a DataLoader
    without workers over an iterable dataset with ``state_dict`` (as those of ``datasets``, or
    `ShuffleBuffer`). Their state is used as it is, and a stream is read one batch ahead. What they
    draw in this process follows from (seed, epoch, batch).

    What cannot be restored: random generators that a dataset keeps for itself inside its workers.

    Args:
        loader: The loader to take the dataset, sampler, workers and so on from. A plain one is not
            used up.
        seed: What the order follows from. None takes the seed of the loader's or its sampler's
            generator, else ``torch.initial_seed()``; nothing is drawn.
        seed_samples: Whether each sample of a map-style dataset is fetched with Python, NumPy and
            torch seeded from (seed, epoch, index). Augmentations then depend neither on the number of
            workers nor on the batch that a sample is in; it takes some 30 µs a sample. (A dataset that
            fetches a whole batch at once, by ``__getitems__``, is seeded once per batch.)
        fingerprint: What stands for the content of the dataset; None asks the dataset for its
            ``fingerprint`` or ``_fingerprint``.
        exact: Whether a stream whose state loses samples is refused; otherwise there is a warning.
        on_change: What to do when the batch size, the number of processes or anything else is not
            what it was: ``"error"`` and ``"keep"`` refuse, as nothing of it can be put back here,
            ``"override"`` goes on with what it is now. Where the samples keep their order, which is
            so as long as the dataset and the class of the sampler do, none is read twice or skipped.

    Attributes:
        loader: The loader that was wrapped.
        on_change: As above.

    Raises:
        ConfigError: The loader is of a kind whose position cannot be known.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> loader = ResumableLoader(DataLoader(range(6), batch_size=2))
        >>> next(iter(loader)).tolist(), loader.batch
        ([0, 1], 1)
        >>> again = ResumableLoader(DataLoader(range(6), batch_size=2))
        >>> again.load_state_dict(loader.state_dict())
        >>> [batch.tolist() for batch in again]
        [[2, 3], [4, 5]]
    """

    per_rank = True
    """Every rank has a position and an order of its own, saved in a file of its own."""

    def __init__(  # one per question that has more than one good answer
        self,
        loader: DataLoader[Any],
        *,
        seed: Optional[int] = None,
        seed_samples: bool = False,
        fingerprint: Optional[str] = None,
        exact: bool = True,
        on_change: OnChange = "error",
    ) -> None:
        check_on_change(on_change)
        is_loader = isinstance(loader, DataLoader)  # else it is refused in a moment
        default_seed = _default_seed(loader) if seed is None and is_loader else 0
        self._source = source_of(loader, seeds_samples=seed_samples, is_exact=exact)
        self.loader = loader
        self.on_change = on_change
        self._seeds_samples = seed_samples
        self._has_own_seed = seed is not None
        self._at = Position(default_seed if seed is None else int(seed))
        # Asked once: a subset digests its indices for it.
        self._fingerprint = fingerprint or dataset_fingerprint(loader.dataset)
        self.last_batch_size = 0
        self._turns = Turns()

    @property
    def seed(self) -> int:
        """What the order follows from."""
        return self._at.seed

    @property
    def epoch(self) -> int:
        """Epochs that were handed out completely."""
        return self._at.epoch

    @property
    def batch(self) -> int:
        """Batches of the current epoch that were handed out."""
        return self._at.batch

    @property
    def dataset(self) -> Any:
        """The dataset of the wrapped loader."""
        return self.loader.dataset

    @property
    def batch_size(self) -> Optional[int]:
        """The batch size of the wrapped loader; None where a batch sampler decides."""
        return self.loader.batch_size

    @property
    def is_epoch_start(self) -> bool:
        """Whether no batch of the current epoch was handed out yet."""
        return self._at.is_epoch_start

    def __len__(self) -> int:
        """Count the batches of the current epoch, those handed out included."""
        return self._source.count(self._at)

    def __iter__(self) -> Iterator[Any]:
        """Hand out the rest of the current epoch.

        Yields:
            What the wrapped loader would.

        Raises:
            ConfigError: Another loop over the same loader was begun meanwhile.
        """
        turn = self._turns.begin()
        if self.is_epoch_start:
            self._source.forget()
        was_handed_out = False
        for fetched in self._source.fetch(dataclasses.replace(self._at)):
            was_handed_out = True
            self.last_batch_size = fetched.size
            self._at.batch += 1
            self._at.inner = fetched.inner
            if fetched.is_last:
                self._at.begin_epoch(self._at.epoch + 1)
            yield fetched.item
            if self._turns.is_over(turn):
                return  # a state was loaded inside the loop body: the next loop starts from there
        if not was_handed_out and not self.is_epoch_start:
            self._at.begin_epoch(self._at.epoch + 1)  # nothing was left of it

    def begin_epoch(self, epoch: int, *, seed: Optional[int] = None) -> None:
        """Stand at the start of an epoch, whatever was handed out before; a loop under way ends.

        For training loops that decide by themselves when an epoch begins and which one it is.

        Args:
            epoch: Which one, from 0.
            seed: What the order follows from, from here on; None leaves it as it is.

        Example:
            >>> from torch.utils.data import DataLoader
            >>> loader = ResumableLoader(DataLoader(range(4), batch_size=2))
            >>> first = next(iter(loader))
            >>> loader.begin_epoch(0)
            >>> [batch.tolist() for batch in loader]
            [[0, 1], [2, 3]]
        """
        if seed is not None:
            self._at.seed = int(seed)
        self._at.begin_epoch(epoch)
        self._turns.interrupt()

    def _shape(self) -> Dict[str, Any]:
        rank, world_size = rank_and_world_size()
        return {
            "dataset_length": dataset_length(self.loader.dataset),
            "dataset_fingerprint": self._fingerprint,
            **self._source.shape(),
            "seeds_samples": self._seeds_samples,
            "world_size": world_size,
            "rank": rank,
        }

    def state_dict(self) -> Dict[str, Any]:
        """Return the position and what it depends on.

        Returns:
            Plain values, the same number of them however large a map-style dataset is; for a stream,
            what the dataset or the loader says of itself.
        """
        at = self._at
        return {
            "format": FORMAT,
            "kind": self._source.kind,
            "seed": at.seed,
            "epoch": at.epoch,
            "batch": at.batch,
            "begin": at.begin,
            **self._shape(),
            "workers": self.loader.num_workers,
            "order": self._source.fingerprint(at),
            "inner": None if at.is_epoch_start else self._source.inner(at),
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words why a saved position can never be gone back to.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, _FIELDS) or count_problems(
            saved, ["seed", "epoch", "batch", "begin"]
        )
        if not problems and saved["kind"] != self._source.kind:
            problems = [
                f"The kind of loader was {saved['kind']!r} and is {self._source.kind!r} now."
            ]
        return problems or self._source.problems(saved, self._changed(saved))

    def differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words how the loader was another one when the position was saved.

        Args:
            saved: A state that `problems` found nothing wrong with.

        Returns:
            One sentence per difference.
        """
        here = self._shape()
        changed = self._changed(saved)
        return [
            f"The {name.replace('_', ' ')} was {saved[name]!r} and is {here[name]!r} now."
            for name in changed
        ] or self._source.order_differences(saved)

    def _changed(self, saved: Mapping[str, Any]) -> List[str]:
        return [name for name, here in self._shape().items() if saved[name] != here]

    def _apply(self, saved: Mapping[str, Any]) -> None:
        if self._has_own_seed and saved["seed"] != self.seed:
            logger.warning(
                "The data order goes on with the saved seed %d, not with %d.",
                saved["seed"],
                self.seed,
            )
        is_moved = (saved["workers"] == 0) != (self.loader.num_workers == 0)
        if is_moved and not self._seeds_samples:
            logger.warning(
                "The state was saved with %d workers and goes on with %d: the samples are the "
                "same, random augmentations are not.",
                saved["workers"],
                self.loader.num_workers,
            )
        changed = self._changed(saved)
        if changed or self._source.order_differences(saved):
            self._at = self._source.translate(saved, changed)
        else:
            names = [field.name for field in dataclasses.fields(Position)]
            self._at = Position(**{name: saved[name] for name in names})
        self._turns.interrupt()

    def __repr__(self) -> str:
        sampler = self._source.shape()["sampler"]
        return f"ResumableLoader({sampler}, epoch={self.epoch}, batch={self.batch})"


def _default_seed(loader: DataLoader[Any]) -> int:
    for owner in (loader, loader.sampler):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator):
            return generator.initial_seed()
    return torch.initial_seed()
