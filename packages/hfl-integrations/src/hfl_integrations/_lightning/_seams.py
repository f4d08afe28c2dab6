"""The places of one Trainer at which a save or a resume has to happen.

They are set on the objects: no class of Lightning's is changed, and other Trainers do not notice. What is
saved stands between two batches, or between two epochs, when validation, schedulers and loggers have had
their turn. Lightning's own hooks come in the middle of that, which is why it repeats or leaves out things.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, List, Tuple

from hfl_core import ConfigError, get_logger
from hfl_integrations._lightning import _places
from hfl_integrations._lightning._compat import is_sigterm, sigterm_error
from hfl_integrations._lightning._loader import PositionedLoader
from hfl_integrations._lightning._sigterm import Sigterm
from hfl_integrations._lightning._together import from_first, require_nobody_else

if TYPE_CHECKING:
    from hfl_integrations._lightning._callback import LifecycleCheckpoint
    from hfl_integrations._lightning._resume import Resume
    from hfl_integrations._lightning._saves import Saves

_log = get_logger(__name__)

_MISSING = object()


class Replaced:
    """Methods of objects that are replaced for a while."""

    def __init__(self) -> None:
        self._before: List[Tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a method.

        Args:
            owner: The object.
            name: The method.
            make: Given the method, returns what takes its place.
        """
        original, before = getattr(owner, name), vars(owner).get(name, _MISSING)
        setattr(owner, name, functools.wraps(original)(make(original)))
        self._before.append((owner, name, before))

    def take_back(self) -> None:
        """Put back what was there."""
        while self._before:
            owner, name, value = self._before.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


class Seams:
    """What is replaced in a Trainer while it fits.

    Args:
        trainer: The Trainer.
        callback: The callback that it has.
        saves: The saving side.
        resume: The resuming side.
        on_change: ``"error"`` or ``"override"``.
    """

    def __init__(
        self,
        trainer: Any,
        callback: LifecycleCheckpoint,
        saves: Saves,
        resume: Resume,
        *,
        on_change: str,
    ) -> None:
        self._trainer = trainer
        self._callback = callback
        self._saves = saves
        self._resume = resume
        self._on_change = on_change
        self._place: int | None = None
        self._has_validated = False
        self._may_validate = True

    def install(self, replaced: Replaced) -> None:
        """Put the seams in place."""
        fit = self._trainer.fit_loop
        replaced.put(fit, "run", self._run)
        replaced.put(fit, "setup_data", self._setup_data)
        replaced.put(self._trainer.strategy, "process_dataloader", self._process_dataloader)
        replaced.put(fit, "on_run_start", self._on_run_start)
        replaced.put(fit, "on_advance_end", self._after_epoch)
        replaced.put(fit.epoch_loop, "reset", self._reset_epoch)
        replaced.put(fit.epoch_loop, "on_run_start", self._on_epoch_run_start)
        replaced.put(fit.epoch_loop, "on_advance_end", self._after_batch)
        replaced.put(fit.epoch_loop.val_loop, "run", self._validate)
        if self._trainer.world_size > 1:
            Sigterm(self._trainer, self._end_between_batches).install(replaced)

    # -- resuming -----------------------------------------------------------------------------

    def _run(self, original: Any) -> Any:
        def run() -> Any:
            self._may_validate = self._trainer.enable_validation
            self._resume.begin()
            return original()

        return run

    def _on_run_start(self, original: Any) -> Any:
        def on_run_start() -> None:
            original()
            self._resume.before_epoch()

        return on_run_start

    def _reset_epoch(self, original: Any) -> Any:
        def reset() -> None:
            if not self._resume.reset_epoch():
                original()

        return reset

    def _on_epoch_run_start(self, original: Any) -> Any:
        def on_run_start(data_fetcher: Any) -> None:
            if not self._resume.within_epoch(data_fetcher, original):
                original(data_fetcher)
            elif self._resume.is_validation_due:
                self._trainer.fit_loop.epoch_loop.on_advance_end(data_fetcher)

        return on_run_start

    def _setup_data(self, original: Any) -> Any:
        def setup_data() -> Any:
            self._place = 0
            try:
                return original()
            finally:
                self._place = None

        return setup_data

    def _process_dataloader(self, original: Any) -> Any:
        def process_dataloader(dataloader: Any) -> Any:
            loader = original(dataloader)
            if self._place is None:  # not one to train with
                return loader
            place, self._place = self._place, self._place + 1
            return self._positioned(place, loader)

        return process_dataloader

    def _positioned(self, place: int, loader: Any) -> Any:
        before = self._saves.loaders.get(place)
        try:
            positioned = PositionedLoader(loader, on_change=self._on_change)
        except ConfigError as error:
            self._saves.loaders[place] = None
            if not _keeps_state(loader):  # else Lightning saves what it keeps
                _log.warning(
                    "a resume within an epoch will not be exact, as Lightning begins the data anew: %s %s",
                    error.message,
                    error.hint or "",
                )
            return loader
        if before is not None:  # reload_dataloaders_every_n_epochs
            positioned.begin_epoch(before.epoch + 1)
        self._saves.loaders[place] = positioned
        return positioned

    # -- saving -------------------------------------------------------------------------------

    def _after_batch(self, original: Any) -> Any:
        loop = self._trainer.fit_loop.epoch_loop

        def on_advance_end(data_fetcher: Any) -> None:
            is_due = self._may_validate and loop._should_check_val_fx(data_fetcher)
            # A validation may take long; what is to be saved is saved first, and the validation made up for.
            streams = self._callback.before_validation() if is_due else None
            self._has_validated = False
            try:
                original(data_fetcher)
            except BaseException as error:
                if is_sigterm(error):
                    is_cut = is_due and not self._has_validated
                    self._callback.on_boundary(
                        within_epoch=True, is_ending=True, streams=streams if is_cut else None
                    )
                raise
            # With the last batch it waits for the end of the epoch, where metrics and schedules change.
            if not loop._num_ready_batches_reached():
                self._callback.on_boundary(within_epoch=True)

        return on_advance_end

    def _validate(self, original: Any) -> Any:
        def run() -> Any:
            found = original()
            self._has_validated = True
            return found

        return run

    def _end_between_batches(self) -> None:
        self._callback.on_boundary(within_epoch=True, is_ending=True)
        raise sigterm_error(self._trainer)

    def _after_epoch(self, original: Any) -> Any:
        def on_advance_end() -> None:
            try:
                original()
            except BaseException as error:
                if is_sigterm(error):
                    self._callback.on_boundary(within_epoch=False, is_ending=True)
                raise
            self._callback.on_boundary(within_epoch=False)

        return on_advance_end


def load_ours(callback: LifecycleCheckpoint) -> Callable[[Any], Any]:
    """Make what takes the place of a strategy's ``load_checkpoint``: it reads our checkpoints, too."""

    def make(original: Any) -> Any:
        def load_checkpoint(checkpoint_path: Any, *args: Any, **kwargs: Any) -> Any:
            path = from_first(lambda: callback.arrive(checkpoint_path))
            if from_first(lambda: _places.is_ours(path)):
                return _places.read(path).checkpoint
            return original(path, *args, **kwargs)

        return load_checkpoint

    return make


def as_first_says(original: Any) -> Any:
    """Make what takes the place of ``resume_start``: all processes go on from what rank 0 has found.

    Lightning looks for ``"last"`` in every process, before they can talk to each other, and each may see
    another disk.
    """

    def resume_start(checkpoint_path: Any = None, *args: Any, **kwargs: Any) -> Any:
        chosen = from_first(lambda: checkpoint_path)
        if chosen is None:
            require_nobody_else(checkpoint_path)
        return original(chosen, *args, **kwargs)

    return resume_start


def _keeps_state(loader: Any) -> bool:
    return callable(getattr(loader, "state_dict", None)) and callable(
        getattr(loader, "load_state_dict", None)
    )
