"""The only place that knows that versions of transformers differ."""

from __future__ import annotations

import inspect
import re
from typing import Any

from hfl_core import MissingExtraError
from hfl_integrations.errors import UnsupportedFrameworkError

SUPPORTED = ">=4.46,<6"
_LOWEST, _BEYOND = (4, 46), (6, 0)

try:
    import transformers as _transformers
    from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments
    from transformers.trainer_callback import ExportableState
    from transformers.trainer_utils import TrainOutput
except ImportError as error:
    raise MissingExtraError("LifecycleCallback", extra="hfl-integrations[transformers]") from error

__all__ = [
    "ExportableState",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerState",
    "TrainingArguments",
    "can_correct_epochs",
    "carries_gradients_over_epochs",
    "decides_best_at_evaluation",
    "require_supported",
]


def require_supported(version: str | None = None) -> None:
    """Refuse a version of transformers that is not known to work.

    Args:
        version: The version; None stands for the installed one.

    Raises:
        UnsupportedFrameworkError: It is out of range.
    """
    installed = version or str(_transformers.__version__)
    numbers = tuple(int(part) for part in re.findall(r"\d+", installed)[:2])
    if not _LOWEST <= numbers < _BEYOND:
        raise UnsupportedFrameworkError("transformers", installed, supported=SUPPORTED)


def decides_best_at_evaluation(trainer: Any) -> bool:
    """Whether this Trainer looks for the best metric at every evaluation (4.46: only when it saves)."""
    return hasattr(trainer, "_determine_best_metric")


def carries_gradients_over_epochs() -> bool:
    """Whether this version counts the batches of a step on over the end of an epoch (4.46 does)."""
    try:
        source = inspect.getsource(Trainer._inner_training_loop)
    except (OSError, TypeError):  # an installation without sources
        return False
    return "total_batched_samples % args.gradient_accumulation_steps" in source


def can_correct_epochs() -> bool:
    """Whether this version works out where it stands in a method of its own (4.46 does not)."""
    return hasattr(Trainer, "_init_training_state")
