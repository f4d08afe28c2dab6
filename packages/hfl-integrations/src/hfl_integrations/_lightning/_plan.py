"""What is said when a training with Lightning begins, and what is refused."""

from __future__ import annotations

from typing import Any, List, Sequence

from hfl_core import ConfigError, get_logger
from hfl_integrations._lightning._compat import framework_of

_log = get_logger(__name__)

_SHARDED = {
    "FSDPStrategy": "FSDP",
    "DeepSpeedStrategy": "DeepSpeed",
    "ModelParallelStrategy": "ModelParallel",
}


def refuse_unsupported(trainer: Any) -> None:
    """Refuse strategies whose states are spread over processes.

    Raises:
        ConfigError: It is one of them.
    """
    for cls in type(trainer.strategy).__mro__:
        if cls.__name__ in _SHARDED:
            raise ConfigError(
                f"This Trainer uses {_SHARDED[cls.__name__]}, whose sharded states LifecycleCheckpoint does "
                "not save yet.",
                hint="Use ModelCheckpoint, or train with DDP or in one process.",
            )


def require_same_framework(callback: Any, trainer: Any) -> None:
    """Refuse a Trainer that does not take the callback for a ModelCheckpoint.

    Raises:
        ConfigError: It is of the other Lightning.
    """
    framework = framework_of(trainer)
    if not isinstance(callback, framework.find("callbacks", "ModelCheckpoint")):
        raise ConfigError(
            f"This Trainer is one of {framework.name}, and the LifecycleCheckpoint was made for another "
            "Lightning, because that was not imported yet.",
            hint=f"Import {framework.name} before you make the callback.",
        )


def announce(callback: Any, trainer: Any, notes: Sequence[str]) -> None:
    """Say in one warning what is not as it looks.

    Args:
        callback: The callback.
        trainer: The Trainer.
        notes: What gave way, one clause each.
    """
    found: List[str] = list(notes)
    others = [
        item
        for item in trainer.checkpoint_callbacks
        if item is not callback and not isinstance(item, type(callback))
    ]
    for item in others:
        found.append(
            f"{type(item).__name__} saves beside it, in Lightning's own form, which no manager verifies, "
            "keeps or publishes; ckpt_path='last' takes whichever is newer, and ckpt_path='best' asks the "
            "first of the callbacks"
        )
        if callback.dirpath is not None and getattr(item, "dirpath", None) == callback.dirpath:
            found.append(f"{type(item).__name__} saves into the same directory; give it another")
    if callback.save_weights_only:
        found.append("save_weights_only=True: what is saved cannot be resumed from, only loaded")
    if found and trainer.is_global_zero:
        _log.warning("LifecycleCheckpoint: %s.", "; ".join(found))
