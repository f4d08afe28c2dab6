"""A DataLoader that knows where it stands and can go on from there."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional

import torch
from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state._component import FORMAT, Component, count_problems, format_problems, logger
from hfl_state._epoch_order import EpochOrder, epoch_order, is_known_order
from hfl_state._loader_rebuild import UpcomingBatches, rebuild, refuse_unsupported
from hfl_state._ranks import rank_and_world_size
from hfl_state._seeds import derive_seed

_FIELDS: Dict[str, Any] = {
    "seed": int,
    "epoch": int,
    "batch": int,
    "dataset_length": (int, type(None)),
    "batch_size": (int, type(None)),
    "drop_last": bool,
    "sampler": str,
    "workers": int,
    "world_size": int,
    "rank": int,
    "order": (str, type(None)),
}


class ResumableLoader(Component):
    """Wrap a map-style DataLoader so that its position is exact and can be saved and restored.

    Each ``for`` loop goes through the *rest* of the current epoch, then the next one through the
    next epoch. The position counts batches that were handed out, never ones that workers prefetched;
    with the last batch of an epoch it stands at the start of the next. A resume reads no sample
    that was already handed out.

    The order of an epoch follows from (seed, epoch, rank) alone: it neither reads nor moves the
    global random streams, nor does it depend on the number of workers. Every batch also seeds the
    worker that fetches it, so random augmentations are the same after a resume. Without workers they
    draw from the global streams, which `RngState` saves.

    A sampler's ``set_epoch`` is called with the epoch. Samplers other than torch's plain sequential
    and shuffled ones are iterated once per epoch, ahead of it, with all randomness that they draw
    from seeded; one that remembers earlier iterations in any other way is refused.

    What cannot be restored: random generators that a dataset keeps for itself inside its workers.

    Args:
        loader: The loader to take the dataset, sampler, workers and so on from. It is not used up.
        seed: What the order follows from. None takes the seed of the loader's or its sampler's
            generator, else ``torch.initial_seed()``; nothing is drawn.

    Attributes:
        loader: The loader that was wrapped.
        seed: What the order follows from.
        epoch: Epochs that were handed out completely.
        batch: Batches of the current epoch that were handed out.

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

    def __init__(self, loader: DataLoader[Any], *, seed: Optional[int] = None) -> None:
        refuse_unsupported(loader)
        self.loader = loader
        self._has_own_seed = seed is not None
        self.seed = _default_seed(loader) if seed is None else int(seed)
        self.epoch = 0
        self.batch = 0
        self.last_batch_size = 0
        self._order: Optional[EpochOrder] = None
        self._checked: Optional[EpochOrder] = None
        self._is_repeatable = is_known_order(loader)
        self._generator = torch.Generator()
        self._upcoming = UpcomingBatches(is_seeding=loader.num_workers > 0)
        self._inner = rebuild(loader, self._upcoming, self._generator)
        self._turn: object = None

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
        return self.batch == 0

    def __len__(self) -> int:
        """Count the batches of the current epoch, those handed out included."""
        return len(self._current_order())

    def __iter__(self) -> Iterator[Any]:
        """Hand out the rest of the current epoch.

        Yields:
            What the wrapped loader would.

        Raises:
            ConfigError: Another loop over the same loader was begun meanwhile.
        """
        turn = self._turn = object()
        if self.is_epoch_start:
            self._order = None  # the user may have changed the sampler since
        order = self._current_order()
        rank, _ = rank_and_world_size()
        self._upcoming.aim(
            order, self.batch, seed=derive_seed(self.seed, "fetch", self.epoch, rank)
        )
        # Only worker_init_fn sees what follows from this one: torch draws the workers' base seed.
        self._generator.manual_seed(derive_seed(self.seed, "workers", self.epoch, rank))
        for item in self._inner:
            self._advance(order)
            yield item
            if self._turn is None:
                return  # a state was loaded inside the loop body: the next loop starts from there
            if self._turn is not turn:
                raise ConfigError(
                    "Two loops over one ResumableLoader are under way; it has one position only.",
                    hint="Finish the first loop, or wrap the DataLoader a second time.",
                )

    def _advance(self, order: EpochOrder) -> None:
        self.last_batch_size = len(order[self.batch])
        self.batch += 1
        if self.batch >= len(order):
            self.epoch, self.batch, self._order = self.epoch + 1, 0, None

    def _current_order(self) -> EpochOrder:
        if self._order is None:
            self._order = self._order_of(self.seed, self.epoch)
            self._prove_repeatable(self._order)
        return self._order

    def _order_of(self, seed: int, epoch: int) -> EpochOrder:
        rank, _ = rank_and_world_size()
        return epoch_order(self.loader, seed=seed, epoch=epoch, rank=rank)

    def _prove_repeatable(self, order: EpochOrder) -> None:
        # Found out at the start of the training, not when a resume needs it.
        if self._is_repeatable:
            return
        again = self._order_of(self.seed, self.epoch)
        if again.fingerprint() != order.fingerprint():
            raise ConfigError(
                f"The sampler {self._sampler_name} gives another order each time it is asked for "
                f"epoch {self.epoch}, so no resume could be exact.",
                hint="Let the order follow from set_epoch(epoch), from the global random streams, "
                "or from a generator that is an attribute of the sampler.",
            )
        self._is_repeatable = True

    @property
    def _sampler_name(self) -> str:
        batch_sampler: Any = self.loader.batch_sampler
        inner = getattr(batch_sampler, "sampler", None)
        names = [type(each).__name__ for each in (batch_sampler, inner) if each is not None]
        return names[-1] if names[0] == "BatchSampler" else "/".join(names)

    def _shape(self) -> Dict[str, Any]:
        rank, world_size = rank_and_world_size()
        dataset: Any = self.loader.dataset
        return {
            "dataset_length": len(dataset) if hasattr(dataset, "__len__") else None,
            "batch_size": self.loader.batch_size,
            "drop_last": self._drop_last,
            "sampler": self._sampler_name,
            "world_size": world_size,
            "rank": rank,
        }

    @property
    def _drop_last(self) -> bool:
        # With a batch_sampler of the user's the loader's own flag is always False.
        return bool(getattr(self.loader.batch_sampler, "drop_last", self.loader.drop_last))

    def state_dict(self) -> Dict[str, Any]:
        """Return the position and what it depends on.

        Returns:
            Plain values, the same number of them however large the dataset is.
        """
        return {
            "format": FORMAT,
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self.batch,
            **self._shape(),
            "workers": self.loader.num_workers,
            "order": None if self.is_epoch_start else self._current_order().fingerprint(),
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved position from being gone back to.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, _FIELDS) or count_problems(
            saved, ["seed", "epoch", "batch"]
        )
        problems = problems or [
            f"The {name.replace('_', ' ')} was {saved[name]!r} and is {here!r} now."
            for name, here in self._shape().items()
            if saved[name] != here
        ]
        self._checked = None
        if problems or saved["batch"] == 0:
            return problems
        order = self._checked = self._order_of(saved["seed"], saved["epoch"])
        if saved["batch"] >= len(order):
            return [f"Its batch is {saved['batch']}, but an epoch has {len(order)} batches."]
        if saved["order"] != order.fingerprint():
            return [f"The sampler gives other batches for epoch {saved['epoch']} than it did."]
        return []

    def _apply(self, saved: Mapping[str, Any]) -> None:
        if self._has_own_seed and saved["seed"] != self.seed:
            logger.warning(
                "The data order goes on with the saved seed %d, not with %d.",
                saved["seed"],
                self.seed,
            )
        if (saved["workers"] == 0) != (self.loader.num_workers == 0):
            logger.warning(
                "The state was saved with %d workers and goes on with %d: the samples are the "
                "same, random augmentations are not.",
                saved["workers"],
                self.loader.num_workers,
            )
        self.seed, self.epoch, self.batch = saved["seed"], saved["epoch"], saved["batch"]
        # Where it was checked it is the order that was saved, so it can be gone back to: no need to
        # ask the sampler a second and a third time.
        self._order, self._checked, self._turn = self._checked, None, None
        self._is_repeatable = self._is_repeatable or self._order is not None

    def __repr__(self) -> str:
        return f"ResumableLoader({self._sampler_name}, epoch={self.epoch}, batch={self.batch})"


def _default_seed(loader: DataLoader[Any]) -> int:
    for owner in (loader, loader.sampler):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator):
            return generator.initial_seed()
    return torch.initial_seed()
