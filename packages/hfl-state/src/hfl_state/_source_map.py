"""Map-style datasets: the position is a number, and going back to it reads nothing."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import torch
from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state._component import logger
from hfl_state._epoch_order import EpochOrder, epoch_order, is_known_order, is_sharded
from hfl_state._loader_rebuild import UpcomingBatches, rebuild
from hfl_state._position import Fetched, Position
from hfl_state._ranks import rank_and_world_size
from hfl_state._seeds import derive_seed, isolated_randomness

_END = object()

# What a position can be carried over, because the samples keep their order.
_CUTTING = {"batch_size", "drop_last", "world_size", "rank"}


class MapSource:
    """A DataLoader over a map-style dataset, rebuilt around batches that begin anywhere.

    Args:
        loader: The user's loader.
        seeds_samples: Whether every sample is fetched with a seed of its own.
    """

    kind = "map"

    def __init__(self, loader: DataLoader[Any], *, seeds_samples: bool) -> None:
        self._loader = loader
        self._seeds_samples = seeds_samples
        self._is_in_process = loader.num_workers == 0
        self._generator = torch.Generator()
        self._upcoming = UpcomingBatches(
            is_seeding=seeds_samples or not self._is_in_process,
            is_seeding_samples=seeds_samples and not hasattr(loader.dataset, "__getitems__"),
        )
        self._inner = rebuild(loader, self._upcoming, self._generator)
        self._is_repeatable = is_known_order(loader)
        self._order: Optional[Tuple[Tuple[int, int, int], EpochOrder]] = None

    def shape(self) -> Dict[str, Any]:
        """Name what a position depends on."""
        loader = self._loader
        # A loader that was given a batch_sampler has no batch size of its own.
        size = getattr(loader.batch_sampler, "batch_size", None)
        return {
            "batch_size": size if isinstance(size, int) else loader.batch_size,
            # With a batch_sampler of the user's the loader's own flag is always False.
            "drop_last": bool(getattr(loader.batch_sampler, "drop_last", loader.drop_last)),
            "sampler": self.sampler_name,
        }

    @property
    def sampler_name(self) -> str:
        """The class of the sampler, and of the batch sampler if it is not torch's."""
        batch_sampler: Any = self._loader.batch_sampler
        inner = getattr(batch_sampler, "sampler", None)
        names = [type(each).__name__ for each in (batch_sampler, inner) if each is not None]
        return names[-1] if names[0] == "BatchSampler" else "/".join(names)

    def count(self, at: Position) -> int:
        """Count the batches of the epoch of a position, those handed out included."""
        return len(self._order_at(at))

    def fetch(self, at: Position) -> Iterator[Fetched]:
        """Go through the rest of an epoch."""
        order = self._order_at(at)
        rank, _ = rank_and_world_size()
        start = at.batch
        fetch_seed = derive_seed(at.seed, "fetch", at.epoch, rank, at.begin)
        self._upcoming.aim(
            order, start, seed=fetch_seed, samples=derive_seed(at.seed, "samples", at.epoch)
        )
        # Only worker_init_fn sees what follows from this one: torch draws the workers' base seed.
        self._generator.manual_seed(derive_seed(at.seed, "workers", at.epoch, rank))
        iterator = iter(self._inner)
        for number in range(start, len(order)):
            with self._randomness(derive_seed(fetch_seed, number)):
                item = next(iterator, _END)
            if item is _END:
                break
            yield Fetched(item, order.size(number), number + 1 == len(order))
        next(
            iterator, None
        )  # persistent workers count the epoch as over only when it was asked for

    def _randomness(self, seed: int) -> contextlib.AbstractContextManager[None]:
        if self._is_in_process and self._seeds_samples:
            return isolated_randomness(seed)
        return contextlib.nullcontext()  # the global streams are part of the state

    def _order_at(self, at: Position) -> EpochOrder:
        key = (at.seed, at.epoch, at.begin)
        if self._order is None or self._order[0] != key:
            order = self._order_of(*key)
            self._prove_repeatable(order, key)
            self._order = (key, order)
        return self._order[1]

    def _order_of(self, seed: int, epoch: int, begin: int) -> EpochOrder:
        rank, _ = rank_and_world_size()
        return epoch_order(self._loader, seed=seed, epoch=epoch, rank=rank, begin=begin)

    def _prove_repeatable(self, order: EpochOrder, key: Tuple[int, int, int]) -> None:
        # Found out at the start of the training, not when a resume needs it.
        if self._is_repeatable:
            return
        if self._order_of(*key).fingerprint() != order.fingerprint():
            raise ConfigError(
                f"The sampler {self.sampler_name} gives another order each time it is asked for "
                f"epoch {key[1]}, so no resume could be exact.",
                hint="Let the order follow from set_epoch(epoch), from the global random streams, "
                "or from a generator that is an attribute of the sampler.",
            )
        self._is_repeatable = True

    def inner(self, at: Position) -> Any:  # noqa: ARG002  # the number is the position
        """Return None: there is no other state than the number."""
        return None

    def fingerprint(self, at: Position) -> Optional[str]:
        """Digest the order of the epoch, unless nothing of it was handed out."""
        return None if at.is_epoch_start else self._order_at(at).fingerprint()

    def forget(self) -> None:
        """Look at the sampler anew: the user may have changed it since."""
        self._order = None

    def problems(self, saved: Mapping[str, Any], changed: List[str]) -> List[str]:
        """Say why a saved position can never be gone back to."""
        if changed or saved["batch"] == 0:
            return []
        batches = len(self._saved_order(saved))
        if saved["batch"] >= batches:
            return [f"Its batch is {saved['batch']}, but an epoch has {batches} batches."]
        return []

    def order_differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say how the order differs from the saved one, though the shape is the same."""
        if saved["order"] is None or saved["order"] == self._saved_order(saved).fingerprint():
            return []
        return [f"The sampler gives other batches for epoch {saved['epoch']} than it did."]

    def _saved_order(self, saved: Mapping[str, Any]) -> EpochOrder:
        # Kept, so that the sampler is not asked a second and a third time: where its digest is the
        # saved one, it can be gone back to, which is all that is to be proven.
        key = (saved["seed"], saved["epoch"], saved["begin"])
        if self._order is None or self._order[0] != key:
            self._order = (key, self._order_of(*key))
        order = self._order[1]
        if saved["order"] == order.fingerprint():
            self._is_repeatable = True
        return order

    def translate(self, saved: Mapping[str, Any], changed: List[str]) -> Position:
        """Find the place in the data that a saved position of another shape stands for."""
        at = Position(saved["seed"], saved["epoch"])
        if saved["batch"] == 0 and saved["begin"] == 0:
            return at
        self.forget()
        # One that is sharded says how many processes there were by how many samples were read.
        can_carry = not is_sharded(self._loader) or is_known_order(self._loader)
        order = self._order_at(at)
        if order.is_cut and can_carry and set(changed) <= _CUTTING and saved["batch_size"]:
            world_size = saved["world_size"] if is_sharded(self._loader) else 1
            at.begin = saved["begin"] + saved["batch"] * saved["batch_size"] * world_size
        else:
            at.batch = saved["batch"]
            logger.warning(
                "Epoch %d goes on with batch %d of another order: some of its samples are read "
                "twice and some not at all.",
                at.epoch,
                at.batch,
            )
        if at.batch >= self.count(at):
            at.begin_epoch(at.epoch + 1)
        return at
