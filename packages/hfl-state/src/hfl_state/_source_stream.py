"""Loaders that keep a state themselves, or whose dataset does: it is used as it is.

The one thing that they are not left is randomness of the moment. Everything that they draw in this
process, when an epoch begins and when a batch is fetched, comes from seeds that follow from (seed,
epoch, batch), so that what a resumed run draws anew is what was drawn before.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

import torch

from hfl_core import ConfigError, SteadyWorker
from hfl_state._batch_size import count_samples
from hfl_state._compat import renew_sampler_iterator
from hfl_state._component import logger
from hfl_state._epoch_order import set_epoch_of
from hfl_state._position import Fetched, Position
from hfl_state._ranks import rank_and_world_size
from hfl_state._sampler_randomness import seed_samplers
from hfl_state._seeds import derive_seed, isolated_randomness
from hfl_state._shuffle_buffer import ShuffleBuffer, lossy_shuffle

_END = object()


class _OwnStateSource:
    """What both kinds have in common.

    Args:
        loader: The user's loader.
        is_exact: Whether a state that loses samples is refused.
    """

    kind = ""

    def __init__(self, loader: Any, *, is_exact: bool) -> None:
        self._loader = loader
        lossy = lossy_shuffle(loader.dataset)
        if lossy and is_exact:
            raise ConfigError(
                f"The dataset shuffles with a buffer ({lossy}) that its state does not hold: a resume "
                "would lose the samples in the buffer.",
                hint="Leave out .shuffle(buffer_size=...) and wrap the dataset in "
                "hfl_state.ShuffleBuffer(dataset, size), whose state holds them; or pass exact=False "
                "to ResumableLoader and lose them.",
            )
        self._lossy = lossy

    def shape(self) -> Dict[str, Any]:
        """Name what a position depends on."""
        loader = self._loader
        return {
            "batch_size": loader.batch_size,
            "drop_last": bool(getattr(loader.batch_sampler, "drop_last", loader.drop_last)),
            "sampler": type(loader).__name__,
        }

    def fingerprint(self, at: Position) -> Optional[str]:  # noqa: ARG002  # it cannot be known
        """Return None: nobody knows the order of what has not been read yet."""
        return None

    def forget(self) -> None:
        """Do nothing: nothing about the sampler is remembered."""

    def problems(self, saved: Mapping[str, Any], changed: List[str]) -> List[str]:
        """Say why a saved position can never be gone back to."""
        if saved["batch"] == 0:
            return []
        if not isinstance(saved["inner"], Mapping):
            return ["It has no state of the dataset or loader."]
        return [
            f"The {name.replace('_', ' ')} was another one, and a stream's state is each process's own."
            for name in ("world_size", "rank")
            if name in changed
        ]

    def order_differences(
        self, saved: Mapping[str, Any]  # noqa: ARG002  # see fingerprint
    ) -> List[str]:
        """Return nothing: the order is the dataset's or the loader's own."""
        return []

    def translate(
        self,
        saved: Mapping[str, Any],
        changed: List[str],  # noqa: ARG002  # a stream's state counts samples, not batches
    ) -> Position:
        """Find the place in the data that a saved position of another shape stands for."""
        return Position(
            saved["seed"], saved["epoch"], saved["batch"], inner=copy.deepcopy(saved["inner"])
        )

    def inner(self, at: Position) -> Any:
        """Return the state, which was taken before anything was read ahead."""
        return at.inner

    def _seed(self, at: Position, *parts: object) -> int:
        return derive_seed(at.seed, *parts, at.epoch, rank_and_world_size()[0])

    def _warn_of_loss(self, at: Position) -> None:
        if self._lossy and at.inner is not None:
            logger.warning(
                "The samples that were in the shuffle buffer (%s) of epoch %d are lost.",
                self._lossy,
                at.epoch,
            )

    def _one_by_one(self, at: Position, begin: Callable[[], Any]) -> Callable[[], Any]:
        """Make a function that returns the next batch each time, or the end."""
        with isolated_randomness(self._seed(at, "iterator")):
            iterator = begin()
        seed, number = self._seed(at, "fetch"), at.batch

        def following() -> Any:
            nonlocal number
            with isolated_randomness(derive_seed(seed, number)):
                item = next(iterator, _END)
            number += 1
            return item

        return following

    def _one_ahead(
        self, following: Callable[[], Any], state: Callable[[], Any]
    ) -> Iterator[Fetched]:
        """Know of each batch whether it is the last, and the state before the next one is fetched."""
        item = following()
        while item is not _END:
            inner = state()
            upcoming = following()
            is_last = upcoming is _END
            size = count_samples(item, self._loader.batch_size)
            yield Fetched(item, size, is_last, None if is_last else inner)
            item = upcoming


class StreamSource(_OwnStateSource):
    """A plain DataLoader, without workers, over an iterable dataset that keeps a state."""

    kind = "stream"

    def __init__(self, loader: Any, *, is_exact: bool) -> None:
        super().__init__(loader, is_exact=is_exact)
        self._first = copy.deepcopy(loader.dataset.state_dict())

    def count(self, at: Position) -> int:  # noqa: ARG002  # a stream says how long it is, or not
        """Count the batches of an epoch, as the loader estimates them."""
        return len(self._loader)

    def fetch(self, at: Position) -> Iterator[Fetched]:
        """Go through the rest of an epoch."""
        dataset = self._loader.dataset
        self._warn_of_loss(at)
        set_epoch = getattr(dataset, "set_epoch", _ignore)
        if at.inner is None:
            # Without it some versions of datasets begin every epoch where a resume began.
            dataset.load_state_dict(copy.deepcopy(self._first))
            set_epoch(at.epoch)
        else:
            set_epoch(at.epoch)
            dataset.load_state_dict(copy.deepcopy(at.inner))
        following = self._one_by_one(at, lambda: iter(self._loader))
        return self._one_ahead(following, self._state)

    def _state(self) -> Any:
        state = self._loader.dataset.state_dict()
        # Ours is a copy already, and its samples may be many.
        return state if isinstance(self._loader.dataset, ShuffleBuffer) else copy.deepcopy(state)


class StatefulSource(_OwnStateSource):
    """A loader with a state of its own, as torchdata's ``StatefulDataLoader``."""

    kind = "stateful"

    def __init__(self, loader: Any, *, is_exact: bool) -> None:
        super().__init__(loader, is_exact=is_exact)
        if loader.num_workers > 0 and not isinstance(loader.worker_init_fn, SteadyWorker):
            loader.worker_init_fn = SteadyWorker(loader.worker_init_fn)
        # Of its own: what it draws for its workers would move the sampler's, if they shared one.
        loader.generator = torch.Generator()
        # Else they draw a seed from the global stream, when the first batch happens to be fetched.
        samplers: List[Any] = [loader.sampler, getattr(loader.batch_sampler, "sampler", None)]
        for sampler in samplers:
            if getattr(sampler, "generator", _END) is None:
                sampler.generator = torch.Generator()

    def count(self, at: Position) -> int:  # noqa: ARG002  # all epochs are as long
        """Count the batches of an epoch, as the loader does."""
        return len(self._loader)

    def fetch(self, at: Position) -> Iterator[Fetched]:
        """Go through the rest of an epoch."""
        loader = self._loader
        self._warn_of_loss(at)
        set_epoch_of(loader.batch_sampler, at.epoch)
        for owner in (loader.sampler, loader.dataset):
            if callable(getattr(owner, "set_epoch", None)):
                owner.set_epoch(at.epoch)
        seed = self._seed(at, "samplers")
        # Also on a resume: some versions of torchdata go through the sampler again from its start.
        seed_samplers(loader.batch_sampler, seed)
        loader.generator.manual_seed(derive_seed(seed, "loader"))
        renew_sampler_iterator(loader.batch_sampler)
        if at.inner is not None:
            loader.load_state_dict(copy.deepcopy(at.inner))
            if loader.num_workers > 0:
                logger.warning(
                    "The streams of the workers of a %s are not part of its state: augmentations that "
                    "draw from them go on with other numbers than they would have.",
                    type(loader).__name__,
                )
        following = self._one_by_one(at, lambda: iter(loader))
        return self._one_ahead(following, lambda: _copied(loader.state_dict()))


def _copied(state: Any) -> Any:
    """Copy a state without what is in it, which a loader does not change but replace."""
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(map(_copied, state))
    return state


def _ignore(_: int) -> None:
    """Stand in for the ``set_epoch`` of datasets that are the same in all epochs."""
