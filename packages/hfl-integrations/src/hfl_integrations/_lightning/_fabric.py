"""The checkpoints of a training loop that is written with Fabric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from hfl_checkpoint import CheckpointManager
from hfl_core import ConfigError
from hfl_integrations._lightning._compat import framework_of, require_supported
from hfl_integrations._lightning._loader import PositionedLoader
from hfl_integrations._lightning._paths import require_local
from hfl_state import RngState

if TYPE_CHECKING:
    import os

    from hfl_checkpoint import Checkpoint, PendingCheckpoint, RestoreReport

_PLAIN = "values"


class FabricCheckpoints:
    """Saves and resumes what a Fabric loop keeps in its state dictionary, exactly.

    The dictionary is the one that is passed to ``fabric.save``: models and optimizers that Fabric has set
    up, schedules, and plain values (counters), which are put back into it. Random streams and the positions
    of the loaders that `setup_dataloaders` has made are saved with it, for each process.

    Args:
        fabric: The Fabric; launch it first.
        directory: The run's directory.
        on_change: As for `hfl_state.ResumableLoader`.
        **options: Of `hfl_checkpoint.CheckpointManager`.

    Attributes:
        manager: The checkpoint manager.

    Raises:
        ConfigError: An option makes no sense.
        UnsupportedFrameworkError: This version of Lightning is not supported.

    Example:
        .. code-block:: python

            checkpoints = FabricCheckpoints(fabric, "runs/digits", save=EverySteps(500))
            loader = checkpoints.setup_dataloaders(loader)
            state = {"model": model, "optimizer": optimizer, "step": 0, "epoch": 0}
            checkpoints.resume(state)
            while state["epoch"] < 3:
                for batch in loader:  # the rest of the epoch after a resume
                    train(batch)
                    state["step"] += 1
                    checkpoints.step(state)
                state["epoch"] += 1
    """

    def __init__(
        self,
        fabric: Any,
        directory: str | os.PathLike[str],
        *,
        on_change: Any = "error",
        **options: Any,
    ) -> None:
        framework = framework_of(fabric)
        require_supported(framework.name, framework.version)
        self._fabric = fabric
        self._on_change = on_change
        self._loaders: Dict[str, PositionedLoader] = {}
        self._wrapper = framework.find_in_fabric("wrappers", "_FabricDataLoader")
        self.manager = CheckpointManager(require_local(directory), **options)

    def setup_dataloaders(self, *dataloaders: Any, **options: Any) -> Any:
        """Set up loaders as Fabric does, with positions that are saved.

        Args:
            *dataloaders: The loaders to train with, always in the same order.
            **options: Of ``fabric.setup_dataloaders``.

        Returns:
            The loader, or a list when there are several.

        Raises:
            ConfigError: The position in one of them cannot be known.
        """
        prepared = self._fabric.setup_dataloaders(*dataloaders, **options)
        found = [
            self._positioned(item) for item in (prepared if len(dataloaders) > 1 else [prepared])
        ]
        return found if len(dataloaders) > 1 else found[0]

    def step(
        self, state: Mapping[str, Any], **metrics: Any
    ) -> Checkpoint | PendingCheckpoint | None:
        """Tell the manager that a step was taken; it saves when its policy says so.

        Args:
            state: The state dictionary, with ``"step"`` in it.
            **metrics: What was measured.

        Returns:
            What was saved, or None.
        """
        moment = _Moment(_count(state, "step"), state.get("epoch"), state, self)
        return self.manager.step(moment, **metrics)

    def save(
        self, state: Mapping[str, Any], *, metrics: Mapping[str, Any] | None = None
    ) -> Checkpoint | PendingCheckpoint:
        """Save now; every process has to.

        Args:
            state: The state dictionary, with ``"step"`` in it.
            metrics: What was measured.
        """
        return self.manager.save(
            _count(state, "step"),
            epoch=state.get("epoch"),
            metrics=metrics,
            **self.components(state),
        )

    def resume(self, state: Dict[str, Any]) -> RestoreReport | None:
        """Restore the newest verified checkpoint, here or on the Hub; do nothing on a fresh run.

        Call it when everything is set up, right before the loop: what draws random numbers comes before.

        Args:
            state: The state dictionary. Its objects are restored, and its plain values replaced.

        Returns:
            What was restored, or None when there is no checkpoint yet.
        """
        components = self.components(state)
        report = self.manager.resume(**components)
        if report is not None:
            state.update(components.get(_PLAIN, {}))
        return report

    def load(self, which: Any, state: Dict[str, Any]) -> RestoreReport:
        """Restore a certain checkpoint.

        Args:
            which: As for `CheckpointManager.restore`.
            state: As for `resume`.
        """
        components = self.components(state)
        report = self.manager.restore(which, **components)
        state.update(components.get(_PLAIN, {}))
        return report

    def components(self, state: Mapping[str, Any]) -> Dict[str, Any]:
        """Name what is saved and restored.

        Args:
            state: The state dictionary.

        Raises:
            ConfigError: A name is taken.
        """
        taken = sorted({_PLAIN, "loaders", "rng"} & set(state))
        if taken:
            raise ConfigError(
                f"The state has something called {taken[0]!r}, which is saved by itself.",
                hint="Give it another name.",
            )
        found: Dict[str, Any] = {}
        plain: Dict[str, Any] = {}
        for name, value in state.items():
            inner = _unwrapped(value)
            if isinstance(inner, PositionedLoader) or isinstance(value, self._wrapper):
                continue  # its position is saved already
            if hasattr(inner, "state_dict") and hasattr(inner, "load_state_dict"):
                found[name] = inner
            else:
                plain[name] = value
        if plain:
            found[_PLAIN] = plain
        if self._loaders:
            found["loaders"] = _Positions(self._loaders)
        return {**found, "rng": RngState(on_change=self._on_change)}

    def _positioned(self, prepared: Any) -> Any:
        loader = PositionedLoader(prepared._dataloader, on_change=self._on_change)
        self._loaders[f"loader{len(self._loaders)}"] = loader
        return self._wrapper(dataloader=loader, device=prepared._device)


class _Positions:
    """The positions of this process's loaders."""

    per_rank = True

    def __init__(self, loaders: Mapping[str, PositionedLoader]) -> None:
        self._loaders = loaders

    def state_dict(self) -> Dict[str, Any]:
        """Return where they stand, and whether a loop over them is under way."""
        return {
            name: {"position": loader.position(), "is_open": loader.is_open}
            for name, loader in self._loaders.items()
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps the positions from being gone to."""
        if set(saved) != set(self._loaders):
            return [f"There were {len(saved)} loaders, and there are {len(self._loaders)}."]
        return [
            text
            for name, item in self._loaders.items()
            for text in item.check(saved[name]["position"])
        ]

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go there."""
        for name, loader in self._loaders.items():
            is_open = bool(saved[name]["is_open"])
            loader.go_to(saved[name]["position"], within_epoch=is_open, was_open=is_open)


class _Moment:
    """A step as `CheckpointManager.step` wants it."""

    def __init__(
        self, step: int, epoch: int | None, state: Mapping[str, Any], owner: FabricCheckpoints
    ) -> None:
        self.step, self.epoch = step, epoch
        self._state, self._owner = state, owner

    def components(self) -> Dict[str, Any]:
        """Name what is saved."""
        return self._owner.components(self._state)


def _count(state: Mapping[str, Any], name: str) -> int:
    value = state.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(
            f"The state has no whole number {name!r}: {value!r}.",
            hint='Count the optimizer steps in it: state["step"] += 1.',
        )
    return value


def _unwrapped(value: Any) -> Any:
    """The model or the optimizer inside Fabric's wrapper, and inside torch.compile's."""
    kinds = {cls.__name__ for cls in type(value).__mro__}
    if "OptimizedModule" in kinds:
        return _unwrapped(value._orig_mod)
    if "_FabricModule" in kinds:
        return value._original_module
    return value.optimizer if "_FabricOptimizer" in kinds else value
