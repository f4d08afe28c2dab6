"""Checks of arguments that say what is wrong before anything happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, List

from hfl_checkpoint._policies import SavePolicy
from hfl_checkpoint._retention import KeepPolicy
from hfl_checkpoint.errors import MissingComponentError
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._manifest import Manifest


def check_policies(save: object, keep: object, when_busy: str) -> None:
    """Refuse what is not a policy."""
    if save is not None and (isinstance(save, type) or not isinstance(save, SavePolicy)):
        raise ConfigError(
            f"save={save!r} is not a save policy.", hint="Pass EverySteps(500), for example."
        )
    if isinstance(keep, type) or not isinstance(keep, KeepPolicy):
        raise ConfigError(
            f"keep={keep!r} is not a retention policy.",
            hint="Pass KeepLast(3) | KeepBest('eval_loss'), for example.",
        )
    if when_busy not in ("wait", "skip"):
        raise ConfigError(f"There is no when_busy={when_busy!r}.", hint="Use 'wait' or 'skip'.")


def require_step(step: object) -> None:
    """Refuse what is not a step."""
    if isinstance(step, int) and not isinstance(step, bool) and step >= 0:
        return
    if callable(getattr(step, "components", None)):
        raise ConfigError(
            f"An object of type {type(step).__name__} is a training state, not a step.",
            hint="Use step(state), which saves when a policy says so, or "
            "save(state.step, **state.components()).",
        )
    kind = type(step).__name__
    # What is no number may be a whole model, which nobody wants to read in a message.
    shown = repr(step) if isinstance(step, (int, float, str)) else f"An object of type {kind}"
    raise ConfigError(
        f"{shown} is not a step.",
        hint="Pass the number of optimizer steps taken, 0 or more, and objects by name: "
        "save(500, model=model).",
    )


def require_state(state: object, call: str) -> None:
    """Refuse what is not a training state, a model for instance."""
    if callable(getattr(state, "components", None)) and hasattr(state, "step"):
        return
    raise ConfigError(
        f"{call}() takes a training state, and got an object of type {type(state).__name__}.",
        hint=(
            f"Pass objects by name: {call}(model=model, optimizer=optimizer)."
            if call == "resume"
            else "Pass hfl_state.TrainingState, or call save(500, model=model) yourself."
        ),
    )


def missing_components(
    checkpoint: str, manifest: Manifest, wanted: Collection[str], allowed: Collection[str]
) -> List[str]:
    """Name the wanted components that a checkpoint lacks, all of which have to be allowed to be missing.

    Raises:
        MissingComponentError: One is not.
    """
    permitted = {allowed} if isinstance(allowed, str) else set(allowed)
    missing = [name for name in wanted if name not in manifest.names]
    refused = [name for name in missing if name not in permitted]
    if refused:
        raise MissingComponentError(checkpoint, missing=refused, available=manifest.names)
    return missing


def refuse_many_processes() -> None:
    """Refuse to save in a run of several processes, whose checkpoints would clash."""
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        world_size = torch.distributed.get_world_size()
        if world_size > 1:
            raise ConfigError(
                f"This run has {world_size} processes, and a joint checkpoint of several is not "
                "supported yet.",
                hint="Train with one process, or save with torch.distributed.checkpoint.",
            )
