"""The whole state of a training run, and the loop that goes on from it."""

from __future__ import annotations

from typing import Any, Collection, Dict, Iterable, List, Literal, Mapping, Optional

from torch import nn
from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state._batches import Batches
from hfl_state._best_metric import BestMetric
from hfl_state._callbacks import Callbacks
from hfl_state._clock import Clock
from hfl_state._component import Component, OnChange, check_on_change, logger, raise_for
from hfl_state._components import (
    check_components,
    check_names,
    check_seed,
    own_generators,
    resumable,
    unfolded,
)
from hfl_state._fit import problems_of, restore
from hfl_state._loader import ResumableLoader
from hfl_state._preemption import PreemptionGuard
from hfl_state._progress import Progress
from hfl_state._rng import RngState
from hfl_state._seeds import seed_global
from hfl_state._settings import Settings


class TrainingState(Batches):
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
        optimizer: The optimizer, if there is one; several as a list, or as a dict by name.
        scheduler: The learning rate scheduler; or several, as with optimizers.
        scaler: The gradient scaler.
        loader: A DataLoader, wrapped into a `ResumableLoader`, or one of these.
        early_stopping: Ends `batches` once it has stopped; or several, as with optimizers.
        callbacks: Objects whose state is saved where they have one, in a list or by name. Two of one
            class keep a state each.
        seed: Seeds Python, NumPy and torch now, and is what the data order follows from. The model's
            initial weights were drawn before: call ``torch.manual_seed`` ahead of it for these. None
            leaves the streams where they are and lets the order follow from
            ``torch.initial_seed()``.
        rng: The random streams to save, where generators of your own belong to them. Those of the
            loader and its sampler always do.
        guard: Ends `batches` when the process is to end.
        on_change: What to do on a resume when hyperparameters, the schedule, the batch size, the
            number of processes or the dataset are not what they were: ``"error"`` refuses and shows
            the difference; ``"keep"`` goes on with the saved hyperparameters and schedule;
            ``"override"`` with everything as it is now, which is not exact any more.
        more: Anything else with ``state_dict`` and ``load_state_dict``, under names of your own, for
            example ``ema=``. None is left out.

    Attributes:
        model: The model.
        optimizer: What was passed, or None.
        scheduler: What was passed, or None.
        scaler: The gradient scaler or None.
        loader: The `ResumableLoader` or None.
        early_stopping: What was passed, or None.
        guard: The guard or None.
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

    def __init__(  # noqa: PLR0913  # one for each thing that a run may have
        self,
        *,
        model: Any,
        optimizer: Any = None,
        scheduler: Any = None,
        scaler: Any = None,
        loader: Optional[DataLoader[Any] | ResumableLoader] = None,
        early_stopping: Any = None,
        callbacks: Optional[Mapping[str, Any] | Iterable[Any]] = None,
        seed: Optional[int] = None,
        rng: Optional[RngState] = None,
        guard: Optional[PreemptionGuard] = None,
        on_change: OnChange = "error",
        **more: Any,
    ) -> None:
        check_seed(seed)
        check_names(more)
        check_on_change(on_change)
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scaler = scaler
        self.early_stopping = early_stopping
        self.on_change = on_change
        classes: Dict[str, str] = {}
        super().__init__(resumable(loader, seed), Progress(classes), guard)
        self.rng = RngState() if rng is None else rng
        self._clock = Clock()
        named = {
            "model": model,
            **unfolded("optimizer", optimizer),
            **unfolded("scheduler", scheduler),
            "scaler": scaler,
            **unfolded("early_stopping", early_stopping),
            "callbacks": None if callbacks is None else Callbacks(callbacks),
            "loader": self.loader,
            "progress": self._progress,
            "clock": self._clock,
            **{
                name: each
                for key, value in more.items()
                for name, each in unfolded(key, value).items()
            },
        }
        self._components = {name: each for name, each in named.items() if each is not None}
        check_components(self._components)
        settings = Settings(self._components)
        # Restoring one thing may draw random numbers, so the streams come after all others.
        self._components.update({"settings": settings, "rng": self.rng})
        # Not of models: renaming or wrapping one is fine as long as its parameters fit.
        classes.update(
            (name, type(each).__name__)
            for name, each in self._components.items()
            if not isinstance(each, nn.Module)
        )
        for each in (self.loader, self._progress, settings, self.rng):
            if each is not None and on_change != "error":
                each.on_change = on_change
        for name, generator in own_generators(self.loader).items():
            self.rng.register(name, generator)
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
    def elapsed(self) -> float:
        """Seconds of training in this process and those that it goes on from."""
        return self._clock.elapsed

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

    def components(self) -> Dict[str, Any]:
        """Name everything that is saved, in the order in which it is restored.

        Returns:
            Name to object with ``state_dict`` and ``load_state_dict``. The random streams are last.
        """
        return dict(self._components)

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
            for name, each in self._components.items()
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Compare a saved state with this run, without changing anything.

        Args:
            saved: What `state_dict` returned: component name to state dict.

        Returns:
            What keeps it from being restored exactly, in words, whatever ``on_change`` makes of it:
            components that are missing or of another class, shapes, hyperparameters and the learning
            rate schedule, the dataset, batch size, world size. Nothing when it fits.
        """
        return self._compare(saved, is_report=True)

    def _compare(
        self, saved: Mapping[str, Any], *, is_report: bool, allowed: Collection[str] = ()
    ) -> List[str]:
        live = self._components
        problems = [f"It has no {n!r}." for n in live if n not in saved and n not in allowed]
        if is_report or self.on_change == "error":
            problems += [f"Its {n!r} has no counterpart here." for n in saved if n not in live]
        for name, each in live.items():
            if name not in saved:
                continue
            is_ours = is_report and isinstance(each, Component)
            found = each.report(saved[name]) if is_ours else problems_of(each, saved[name])
            problems += [f"{name}: {text}" for text in found]
        return problems

    def load_state_dict(
        self, state_dict: Mapping[str, Any], *, allow_missing: Collection[str] = ()
    ) -> None:
        """Take over a saved state, or change nothing.

        Args:
            state_dict: What `state_dict` returned, in this process or another.
            allow_missing: Components that it may lack; these stay as they are.

        Raises:
            IncompatibleStateError: It does not fit; the message names everything that differs.
        """
        raise_for(
            self._compare(state_dict, is_report=False, allowed=allow_missing),
            what="run",
        )
        for name in state_dict:
            if name not in self._components:
                logger.warning("Its %r has no counterpart here and is left out.", name)
        components = {n: each for n, each in self._components.items() if n in state_dict}
        for name in sorted(components, key=lambda n: getattr(components[n], "restore_last", False)):
            restore(components[name], state_dict[name])

    def __repr__(self) -> str:
        return (
            f"TrainingState(step={self.step}, epoch={self.epoch}, "
            f"components={list(self._components)})"
        )
