"""Where one prepared data loader stands, and its loop, which goes on from there."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, cast

from hfl_core import HflError, get_logger
from hfl_integrations._accelerate._compat import (
    DataLoaderDispatcher,
    DataLoaderShard,
    SeedableRandomSampler,
    find_batch_size,
    send_to_device,
    synchronize_rng_states,
)
from hfl_state import ResumableLoader

_log = get_logger(__name__)

# A loop is not under way; it is in the middle; it has its last batch in hand.
START, INSIDE, END = "start", "inside", "end"

_SEEDS = 2**63
_APART = 0x9E3779B97F4A7C15  # an odd number: neighbours get seeds far from each other


class LoaderPosition:
    """The position of one prepared loader, whose loop it takes over.

    The loop does what accelerate's does, with the batches of a `ResumableLoader`, which knows of each
    batch whether it is the last. accelerate's own looks one batch ahead for that, and with it draws
    the random numbers of the next batch before this one is trained with.

    A new loop begins the epoch that accelerate counts (``loader.iteration``), as accelerate's own; only
    the first one after a state was loaded goes on in the middle.

    A loop that was broken off is ambiguous. Who breaks off, saves and ends wants to go on there; who caps
    every epoch, and saves after each, begins anew with the next loop. So a save goes on in the middle until
    a loop was seen to begin anew after one. Of loaders but the first, which are evaluated with, all do.

    A loader that cannot go on in the middle keeps its loop. It can be saved between two loops.

    Args:
        loader: What ``accelerator.prepare`` returned.
        number: Its place among the prepared loaders.
        num_processes: How many processes train together.

    Attributes:
        loader: As given.
        reason: Why it cannot go on in the middle of an epoch, or None.
        seed: What the order follows from, in all processes.
        place: Whether a loop is under way.
    """

    def __init__(self, loader: Any, number: int, *, num_processes: int) -> None:
        self.loader = loader
        self.number = number
        self.reason: str | None = None
        self.place = START
        self._resumable: ResumableLoader | None = None
        try:
            self._resumable = self._make_resumable(num_processes)
        except HflError as error:
            self.reason = f"{error.message} {error.hint or ''}".strip()
        self.seed = 0 if self._resumable is None else (self._resumable.seed + number) % _SEEDS
        self._begun = (-1, 0)
        self._goes_on = False
        self._turn: object = None
        self._is_broken = self._was_saved_broken = self._restarts = False
        self._class = type(loader)
        self._take_over()

    # -- the loop -----------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Put our loop into this one object: a class of its own, since Python looks for it there."""
        position, cls = self, self._class

        def __iter__(_: Any) -> Iterator[Any]:  # noqa: N807  # it becomes that method
            return position.loop()

        own = type(cls.__name__, (cls,), {"__iter__": __iter__, "__module__": cls.__module__})
        _set_class(self.loader, own)

    def give_back(self) -> None:
        """Give the loader its own loop again."""
        _set_class(self.loader, self._class)

    def loop(self) -> Iterator[Any]:
        """Go through an epoch, or the rest of one."""
        turn = self._turn = object()
        goes_on, self._goes_on = self._goes_on, False
        self._notice_restart()
        is_over = False
        try:
            if self._resumable is None:
                self.place = INSIDE
                yield from self._class.__iter__(self.loader)
            else:
                yield from self._resumed(self._resumable, goes_on=goes_on)
            is_over = True
        finally:
            if self._turn is turn:  # unless another loop was begun meanwhile, or a state was loaded
                self._is_broken = not is_over and self.number == 0 and self._resumable is not None
                self.place = self.place if self._is_broken else START

    def _notice_restart(self) -> None:
        if self._is_broken and self._was_saved_broken and not self._restarts:
            self._restarts = True
            _log.warning(
                "data loader %d: a checkpoint that was saved after its loop was broken off goes on in the "
                "middle of epoch %d, and here that epoch begins anew; with checkpoints from here on it will",
                self.number,
                self.loader.iteration,
            )
        self._is_broken = self._was_saved_broken = False

    def saving(self) -> None:
        """Learn that the position goes into a checkpoint."""
        self._was_saved_broken = self._is_broken

    def _resumed(self, resumable: ResumableLoader, *, goes_on: bool) -> Iterator[Any]:
        loader = self.loader
        if goes_on and loader.iteration != self._begun[0]:
            _log.warning(
                "data loader %d was to go on in epoch %d, and set_epoch(%d) was called: the rest of that "
                "epoch is left out. Begin with the epoch that AcceleratedCheckpoints.epoch names",
                self.number,
                self._begun[0],
                loader.iteration,
            )
            goes_on = False
        if not goes_on:
            if getattr(loader, "rng_types", None) is not None:
                synchronize_rng_states(loader.rng_types, loader.synchronized_generator)
            self._begin(resumable, loader.iteration)
        loader.begin()
        loader.set_epoch(loader.iteration)
        was_handed_out = goes_on
        if self.place != END:
            self.place = INSIDE
            for fetched in resumable:
                was_handed_out = True
                yield self._handed_out(fetched, is_last=resumable.is_epoch_start)
                if self._turn is None:  # a state was loaded in the loop body; the next loop goes on
                    loader.end()
                    return
        if was_handed_out:
            loader.iteration += 1
        loader.end()

    def _handed_out(self, batch: Any, *, is_last: bool) -> Any:
        loader = self.loader
        is_dispatcher = isinstance_of(loader, DataLoaderDispatcher)
        device = loader.state.device if is_dispatcher else loader.device
        if device is not None:
            batch = send_to_device(batch, device, non_blocking=loader._non_blocking)
        if is_last:
            self.place = END
            loader.end_of_dataloader = True
            if is_dispatcher:
                loader.remainder = find_batch_size(batch)
        return batch

    def _begin(self, resumable: ResumableLoader, epoch: int) -> None:
        """Begin an epoch; where it was begun and broken off before, with another order, as a shuffle would."""
        count = self._begun[1] + 1 if self._begun[0] == epoch else 1
        self._begun = (epoch, count)
        self.place = START
        resumable.begin_epoch(epoch, seed=(self.seed + (count - 1) * _APART) % _SEEDS)

    def _make_resumable(self, num_processes: int) -> ResumableLoader:
        loader = self.loader
        if not isinstance_of(loader, (DataLoaderShard, DataLoaderDispatcher)):
            raise HflError(f"A {type(loader).__name__} has a loop of its own.")
        if isinstance_of(loader, DataLoaderDispatcher) and num_processes > 1:
            raise HflError(
                "With dispatch_batches, the first process reads ahead for all others.",
                hint="Pass DataLoaderConfiguration(dispatch_batches=False), with a map-style dataset or one "
                "of datasets' iterable datasets with a shard for each process.",
            )
        return ResumableLoader(loader.base_dataloader)

    # -- the state ----------------------------------------------------------------------------

    @property
    def _seedable(self) -> Any:
        sampler = self.loader.get_sampler() if hasattr(self.loader, "get_sampler") else None
        return sampler if isinstance(sampler, SeedableRandomSampler) else None

    def state_dict(self) -> Dict[str, Any]:
        """Return the position, as plain values."""
        seedable = self._seedable
        is_begun_here = self._begun[0] == self.loader.iteration
        return {
            "iteration": self.loader.iteration,
            "place": START if self._is_broken and self._restarts else self.place,
            "restarts": self._restarts,
            "begun": self._begun[1] if is_begun_here else 0,
            "seed": self.seed,
            "sampler_seed": None if seedable is None else int(seedable.initial_seed),
            "position": None if self._resumable is None else self._resumable.state_dict(),
        }

    def check(self, saved: Mapping[str, Any], *, is_override: bool) -> List[str]:
        """Say in words what keeps a saved position from being gone back to; nothing is changed."""
        resumable = self._resumable
        if (saved["position"] is None) != (resumable is None):
            return [f"It {'could' if resumable is None else 'could not'} go on in an epoch then."]
        if resumable is None:
            return []
        resumable.on_change = "override" if is_override else "error"
        seedable = self._seedable
        seed = None if seedable is None else seedable.initial_seed
        try:
            if saved["sampler_seed"] is not None and seedable is not None:
                seedable.initial_seed = saved["sampler_seed"]
            return resumable.check(saved["position"])
        finally:
            if seedable is not None:
                seedable.initial_seed = seed

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go back to a position that `check` found nothing wrong with."""
        loader, seedable = self.loader, self._seedable
        if seedable is not None and saved["sampler_seed"] is not None:
            seedable.initial_seed = saved["sampler_seed"]
        if self._resumable is not None:
            self._resumable.load_state_dict(saved["position"])
        loader.iteration = saved["iteration"]
        self.seed = saved["seed"]
        self.place = saved["place"]
        self._begun = (saved["iteration"], saved["begun"])
        self._restarts = saved["restarts"]
        self._is_broken = self._was_saved_broken = False
        self._goes_on = self.place != START
        self._turn = None


def isinstance_of(loader: Any, classes: Any) -> bool:
    """`isinstance` by the real class: prepared loaders say that they are what they wrap."""
    return issubclass(type(loader), classes)


def _set_class(loader: Any, cls: type) -> None:
    # A plain assignment ends at the property by which prepared loaders say that they are what they wrap.
    cast(Any, vars(object)["__class__"]).__set__(loader, cls)
