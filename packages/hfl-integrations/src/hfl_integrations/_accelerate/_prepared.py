"""What an accelerator was given, under the names that it has in a checkpoint."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from hfl_core import ConfigError, IncompatibleStateError
from hfl_integrations._accelerate._compat import has_sharded_tensors, sharded_by

FORMAT = 1

# The component that tells a checkpoint of an accelerator from others.
ACCELERATOR = "accelerator"

_COUNTED = {
    "models": "models were prepared",
    "optimizers": "optimizers were prepared",
    "schedulers": "schedulers were prepared",
    "custom": "objects were registered",
}


class AcceleratorState:
    """What an accelerator counts itself, and what it was given, to compare on a resume.

    Args:
        accelerator: The accelerator.
        steps: What counts the optimizer steps.
    """

    def __init__(self, accelerator: Any, steps: StepCount) -> None:
        self._accelerator = accelerator
        self._steps = steps
        self._saving: Dict[str, int] = {}

    def saving(self, models: int) -> None:
        """Learn that what `state_dict` returns goes into a checkpoint.

        Args:
            models: How many models it holds; hooks may have taken some out.
        """
        iteration = int(self._accelerator.project_configuration.iteration)
        self._saving = {"models": models, "iteration": iteration + 1}

    def comparing(self, models: int) -> None:
        """Learn that what `state_dict` returns is compared with a checkpoint.

        Args:
            models: How many models it is to hold.
        """
        self._saving = {"models": models}

    def state_dict(self) -> Dict[str, Any]:
        """Return the counts."""
        accelerator = self._accelerator
        counts = counts_of(accelerator)
        counts["models"] = self._saving.get("models", counts["models"])
        iteration = int(accelerator.project_configuration.iteration)
        return {
            "format": FORMAT,
            "step": int(accelerator.step),
            "optimizer_steps": self._steps.count,
            "iteration": self._saving.get("iteration", iteration),
            "counts": counts,
            "has_scaler": accelerator.scaler is not None,
            "mixed_precision": str(accelerator.mixed_precision),
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from being loaded; nothing is changed."""
        if saved.get("format") != FORMAT or not isinstance(saved.get("counts"), Mapping):
            return ["It is not the state of an accelerator that this version understands."]
        counts = self.state_dict()["counts"]
        found = [
            f"{saved['counts'].get(name)} {words}, and {counts[name]} are now"
            for name, words in _COUNTED.items()
            if saved["counts"].get(name) != counts[name]
        ]
        if saved["has_scaler"] and self._accelerator.scaler is None:
            found.append(
                f"mixed_precision was {saved['mixed_precision']!r} with a gradient scaler, and is "
                f"{self._accelerator.mixed_precision!s} now"
            )
        return found

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on counting.

        Raises:
            IncompatibleStateError: It is no such state.
        """
        problems = self.check(saved)
        if problems:
            raise IncompatibleStateError("; ".join(problems) + ".")
        self._accelerator.step = saved["step"]
        self._accelerator.project_configuration.iteration = saved["iteration"]
        self._steps.count = saved["optimizer_steps"]


class StepCount:
    """Counts the steps that the first of the prepared optimizers takes.

    Attributes:
        count: Steps taken since the beginning of the run.
    """

    def __init__(self) -> None:
        self.count = 0
        self._optimizer: Any = None
        self._handle: Any = None

    def follow(self, accelerator: Any) -> None:
        """Listen to the first optimizer.

        Args:
            accelerator: The accelerator, whose optimizer may be another one than before.
        """
        optimizer = bare(accelerator._optimizers[0], "optimizer")
        if optimizer is self._optimizer:
            return
        self.rest()
        self._optimizer = optimizer
        self._handle = optimizer.register_step_post_hook(self._rise)

    def rest(self) -> None:
        """Listen no more."""
        if self._handle is not None:
            self._handle.remove()
        self._optimizer = self._handle = None

    def _rise(self, *_: Any) -> None:
        self.count += 1


def require_prepared(accelerator: Any) -> None:
    """Refuse an accelerator that was given nothing yet, and one that shards.

    Args:
        accelerator: The accelerator.

    Raises:
        ConfigError: It is such a one.
    """
    if not hasattr(accelerator, "prepare") or not hasattr(
        accelerator, "register_for_checkpointing"
    ):
        raise ConfigError(
            f"A {type(accelerator).__name__} is not an Accelerator.",
            hint="Pass the accelerate.Accelerator of your training loop.",
        )
    sharded = sharded_by(accelerator)
    if sharded is None and any(has_sharded_tensors(model) for model in accelerator._models):
        sharded = "tensor parallelism"
    if sharded is not None:
        raise ConfigError(
            f"This accelerator uses {sharded}, whose sharded states AcceleratedCheckpoints does not save.",
            hint="Use accelerator.save_state() and load_state() there, or train with DDP or in one process.",
        )
    for name, found in (("model", accelerator._models), ("optimizer", accelerator._optimizers)):
        if not found:
            raise ConfigError(
                f"No {name} was prepared, so there is nothing to save of one.",
                hint="Call accelerator.prepare(model, optimizer, ...) before making AcceleratedCheckpoints.",
            )


def bare(wrapped: Any, attribute: str) -> Any:
    """Return the optimizer or scheduler inside accelerate's wrapper.

    Args:
        wrapped: What was prepared.
        attribute: Under which name the wrapper has it.
    """
    while type(wrapped).__name__ in ("AcceleratedOptimizer", "AcceleratedScheduler"):
        wrapped = getattr(wrapped, attribute)
    return wrapped


def counts_of(accelerator: Any) -> Dict[str, int]:
    """Count what an accelerator was given.

    Args:
        accelerator: The accelerator.
    """
    return {
        "models": len(accelerator._models),
        "optimizers": len(accelerator._optimizers),
        "schedulers": len(accelerator._schedulers),
        "custom": len(accelerator._custom_objects),
    }


def named(accelerator: Any, models: Sequence[Any]) -> Dict[str, Any]:
    """Name what was prepared and registered, beside the data loaders.

    Args:
        accelerator: The accelerator.
        models: Its models, or what hooks left of them.
    """
    found: Dict[str, Any] = {}
    found.update((_numbered("model", index), each) for index, each in enumerate(models))
    for name, items in (
        ("optimizer", accelerator._optimizers),
        ("scheduler", accelerator._schedulers),
    ):
        found.update((_numbered(name, index), bare(each, name)) for index, each in enumerate(items))
    if accelerator.scaler is not None:
        found["scaler"] = accelerator.scaler
    found.update(
        (f"custom_{index}", each) for index, each in enumerate(accelerator._custom_objects)
    )
    return found


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name
