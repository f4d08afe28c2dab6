"""The whole state of a training run, and the loop that goes on from it."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Literal, Mapping, Optional

from torch import nn
from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state._best_metric import BestMetric
from hfl_state._component import is_count, raise_for
from hfl_state._early_stopping import EarlyStopping
from hfl_state._fit import problems_of, restore
from hfl_state._loader import ResumableLoader
from hfl_state._progress import Progress
from hfl_state._rng import RngState
from hfl_state._seeds import seed_global

_RESERVED = ("progress", "rng", "step", "epoch", "batch", "samples", "best")


class TrainingState:
    """Everything that a training run needs to go on as if it had never stopped.

    Give it what your loop uses, iterate `batches`, and save the `components` (or the one
    `state_dict`) whenever you like between two optimizer steps. After `load_state_dict` the loop
    goes on at the exact sample, with the exact randomness.

    **Which side of a batch a save stands on.** The counts and the data position move when `batches`
    *hands out* a batch, so a save anywhere in the loop body after the optimizer step covers that
    batch. With the last batch of an epoch, `epoch` (the number of completed epochs) has risen
    already and the position is the start of the next: such a save stands after the epoch.

    Args:
        model: The model.
        optimizer: The optimizer, if there is one.
        scheduler: The learning rate scheduler.
        scaler: The gradient scaler.
        loader: A map-style DataLoader, wrapped into a `ResumableLoader`, or one of these.
        early_stopping: Ends `batches` once it has stopped.
        seed: Seeds Python, NumPy and torch now, and is what the data order follows from. The model's
            initial weights were drawn before: call ``torch.manual_seed`` ahead of it for these. None
            leaves the streams where they are and lets the order follow from
            ``torch.initial_seed()``.
        rng: The random streams to save, where generators of your own belong to them.
        more: Anything else with ``state_dict`` and ``load_state_dict``, under names of your own. None
            is left out.

    Attributes:
        model: The model.
        optimizer: The optimizer or None.
        scheduler: The scheduler or None.
        scaler: The gradient scaler or None.
        loader: The `ResumableLoader` or None.
        early_stopping: The early stopping or None.
        rng: The random streams.

    Raises:
        ConfigError: Something has no ``state_dict`` or ``load_state_dict``, a name is taken or not
            an identifier, or the loader's position cannot be known.

    Example:
        >>> import torch
        >>> from torch.utils.data import DataLoader
        >>> def build():
        ...     model = torch.nn.Linear(1, 1)
        ...     loader = DataLoader(torch.arange(8.0).reshape(8, 1), batch_size=2, shuffle=True)
        ...     return TrainingState(model=model, loader=loader, seed=0)
        >>> state = build()
        >>> for batch in state.batches(steps=3):
        ...     pass
        >>> resumed = build()
        >>> resumed.load_state_dict(state.state_dict())
        >>> [resumed.step for batch in resumed.batches(steps=5)]
        [4, 5]
    """

    def __init__(
        self,
        *,
        model: Any,
        optimizer: Any = None,
        scheduler: Any = None,
        scaler: Any = None,
        loader: Optional[DataLoader[Any] | ResumableLoader] = None,
        early_stopping: Optional[EarlyStopping] = None,
        seed: Optional[int] = None,
        rng: Optional[RngState] = None,
        **more: Any,
    ) -> None:
        _check_seed(seed)
        _check_names(more)
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scaler = scaler
        self.early_stopping = early_stopping
        self.loader = _resumable(loader, seed)
        self.rng = RngState() if rng is None else rng
        self._more = {name: each for name, each in more.items() if each is not None}
        self._classes: Dict[str, str] = {}
        self._progress = Progress(self._classes)
        self._is_running = False
        _check_components(self.components())
        self._classes.update(_class_names(self.components()))
        if seed is not None:
            seed_global(seed)

    @property
    def step(self) -> int:
        """Optimizer steps done, the one that the batch in hand completes included."""
        return self._progress.step

    @step.setter
    def step(self, value: int) -> None:
        self._progress.step = int(value)

    @property
    def epoch(self) -> int:
        """Epochs that were handed out to their last batch."""
        return self._progress.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._progress.epoch = int(value)

    @property
    def batch(self) -> int:
        """Batches handed out since the start of training."""
        return self._progress.batch

    @property
    def samples(self) -> int:
        """Samples handed out by this process since the start of training."""
        return self._progress.samples

    @property
    def best(self) -> Dict[str, BestMetric]:
        """The best value of each metric that `update_best` was told of, with its step."""
        return self._progress.best

    @property
    def is_step_boundary(self) -> bool:
        """Whether the batch in hand completes a step, so that a save loses no gradients."""
        return self._progress.pending == 0

    def update_best(self, metric: str, value: Any, mode: Literal["min", "max"] = "min") -> bool:
        """Tell the state the value of a metric at this step.

        Args:
            metric: The metric's name.
            value: A number or a tensor of one element. NaN, infinities and None are never best.
            mode: Which direction is better.

        Returns:
            Whether it is the best so far.

        Raises:
            ConfigError: It is not one number, or the mode differs from before.
        """
        best = self.best.get(metric) or BestMetric(metric, mode)
        if best.mode != mode:
            raise ConfigError(
                f"The metric {metric!r} is compared with mode {best.mode!r}, not {mode!r}.",
                hint="Use one mode for one metric.",
            )
        is_best = best.update(value, step=self.step)
        self.best[metric] = best
        return is_best

    def batches(
        self, *, steps: Optional[int] = None, epochs: Optional[int] = None, accumulate: int = 1
    ) -> Iterator[Any]:
        """Hand out batches until the run has come to a total of steps or epochs.

        The totals count from the start of training, not from the resume: a run that is there already
        yields nothing, and so does one whose early stopping has stopped. A state that is loaded
        inside the loop body takes effect with the next batch.

        Args:
            steps: The total of optimizer steps to come to.
            epochs: The total of epochs to come to; instead of steps.
            accumulate: Batches per step. Groups may span epochs; with ``epochs`` the very last one
                is cut short, so that no gradients are left over.

        Returns:
            An iterator over what the loader yields.

        Raises:
            ConfigError: There is no loader or it has no batches, both limits or none are given, a
                number makes no sense, or another iteration of this state is under way.
        """
        loader = self._check_batches(steps, epochs, accumulate)
        return self._run(loader, steps, epochs, accumulate)

    def _check_batches(
        self, steps: Optional[int], epochs: Optional[int], accumulate: int
    ) -> ResumableLoader:
        if self.loader is None:
            raise ConfigError(
                "This state has no loader to take batches from.",
                hint="Pass loader=DataLoader(...) to TrainingState.",
            )
        if (steps is None) == (epochs is None):
            raise ConfigError(
                "batches() needs to know when to end: by steps or by epochs, one of them.",
                hint="For example batches(steps=10_000) or batches(epochs=3).",
            )
        for name, value, least in (
            ("steps", steps, 0),
            ("epochs", epochs, 0),
            ("accumulate", accumulate, 1),
        ):
            if value is not None and not is_count(value, least):
                raise ConfigError(
                    f"{name}={value!r} makes no sense.", hint=f"It is a whole number from {least}."
                )
        self._refuse_second_run()
        return self.loader

    def _refuse_second_run(self) -> None:
        if self._is_running:
            raise ConfigError(
                "Another batches() of this state is under way; the counts are one run's.",
                hint="Finish that loop first, or close() its iterator.",
            )

    def _run(
        self,
        loader: ResumableLoader,
        steps: Optional[int],
        epochs: Optional[int],
        accumulate: int,
    ) -> Iterator[Any]:
        self._refuse_second_run()
        self._is_running = True
        try:
            self._progress.announce(accumulate)
            while not self._is_done(steps, epochs):
                is_empty = True
                for batch in loader:
                    is_empty = False
                    self._progress.count(
                        loader.last_batch_size,
                        ends_epoch=loader.is_epoch_start,
                        accumulate=accumulate,
                        is_last_epoch=self.epoch + 1 == epochs,
                    )
                    yield batch
                    # Asked before the next batch is fetched, which may draw random numbers.
                    if self._is_done(steps, epochs):
                        return
                if is_empty:
                    raise ConfigError(
                        "An epoch of this loader has no batches.",
                        hint="Look at the dataset's length, the batch size and drop_last.",
                    )
        finally:
            self._is_running = False

    def _is_done(self, steps: Optional[int], epochs: Optional[int]) -> bool:
        stopping = [e for e in self.components().values() if isinstance(e, EarlyStopping)]
        if self.is_step_boundary and any(each.stopped for each in stopping):
            return True  # not inside a group, whose gradients would be left over
        return self.step >= steps if steps is not None else self.epoch >= (epochs or 0)

    def components(self) -> Dict[str, Any]:
        """Name everything that is saved, in the order in which it is restored.

        Returns:
            Name to object with ``state_dict`` and ``load_state_dict``. The random streams are last.
        """
        named = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "early_stopping": self.early_stopping,
            "loader": self.loader,
            "progress": self._progress,
            **self._more,
            "rng": self.rng,
        }
        return {name: each for name, each in named.items() if each is not None}

    def state_dict(self) -> Dict[str, Any]:
        """Return the state of all components.

        Returns:
            Name to state dict. Tensors of the model and the optimizer are the live ones, as in torch:
            copy or save them before the next step.

        Raises:
            IncompatibleStateError: The batch in hand is in the middle of an accumulation group.
        """
        progress = self._progress.state_dict()  # first: it may refuse
        return {
            name: progress if each is self._progress else each.state_dict()
            for name, each in self.components().items()
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Compare a saved state with this run, without changing anything.

        Args:
            saved: What `state_dict` returned: component name to state dict.

        Returns:
            What keeps it from being restored exactly, in words: components that are missing or of
            another class, shapes, the length of the dataset, batch size, world size. Nothing when it
            fits.
        """
        live = self.components()
        problems = [f"It has no {name!r}." for name in live if name not in saved]
        problems += [f"Its {name!r} has no counterpart here." for name in saved if name not in live]
        for name, each in live.items():
            if name in saved:
                problems += [f"{name}: {text}" for text in problems_of(each, saved[name])]
        return problems

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a saved state, or change nothing.

        Args:
            state_dict: What `state_dict` returned, in this process or another.

        Raises:
            IncompatibleStateError: It does not fit; the message names everything that differs.
        """
        raise_for(self.check(state_dict), what="run")
        components = self.components()
        # Restoring one thing may draw random numbers, so the streams come after all others.
        for name in sorted(components, key=lambda n: getattr(components[n], "restore_last", False)):
            restore(components[name], state_dict[name])

    def __repr__(self) -> str:
        return (
            f"TrainingState(step={self.step}, epoch={self.epoch}, "
            f"components={list(self.components())})"
        )


def _class_names(components: Mapping[str, Any]) -> Dict[str, str]:
    # Not of models: renaming or wrapping one is fine as long as its parameters fit.
    return {
        name: type(each).__name__
        for name, each in components.items()
        if not isinstance(each, nn.Module)
    }


def _check_seed(seed: Any) -> None:
    if seed is not None and not is_count(seed, 0):
        raise ConfigError(
            f"A seed of {seed!r} makes no sense.", hint="It is a whole number from 0."
        )


def _check_names(more: Mapping[str, Any]) -> None:
    for name in more:
        if name in _RESERVED:
            raise ConfigError(
                f"The component name {name!r} is taken.",
                hint=f"Choose another one than {', '.join(_RESERVED)}.",
            )
        if not name.isidentifier():
            raise ConfigError(
                f"The component name {name!r} is not an identifier.",
                hint="Use letters, digits and underscores: files are named after components.",
            )


def _check_components(components: Mapping[str, Any]) -> None:
    for name, each in components.items():
        for method in ("state_dict", "load_state_dict"):
            if not callable(getattr(each, method, None)):
                raise ConfigError(
                    f"The component {name!r} is a {type(each).__name__} without {method}().",
                    hint="Give it state_dict() and load_state_dict(), or leave it out.",
                )


def _resumable(
    loader: Optional[DataLoader[Any] | ResumableLoader], seed: Optional[int]
) -> Optional[ResumableLoader]:
    if loader is None or isinstance(loader, ResumableLoader):
        return loader
    # A generator that the user gave to the loader is the more specific wish.
    return ResumableLoader(loader, seed=None if _has_generator(loader) else seed)


def _has_generator(loader: Any) -> bool:
    owners = (loader, getattr(loader, "sampler", None))
    return any(getattr(owner, "generator", None) is not None for owner in owners)
