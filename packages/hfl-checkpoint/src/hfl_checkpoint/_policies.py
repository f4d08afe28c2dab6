"""When to save: small objects that answer one question, joined with ``|``."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Protocol, Tuple, runtime_checkable

from hfl_core import ConfigError


@dataclasses.dataclass(frozen=True)
class SaveContext:
    """What a save policy may look at.

    Attributes:
        step: Optimizer steps taken.
        epoch: Completed epochs, or None.
        previous_step: The step at the previous question, or of the checkpoint that was restored; else 0.
        previous_epoch: The same for epochs.
        metrics: What the training loop measured at this step.
    """

    step: int
    epoch: int | None
    previous_step: int
    previous_epoch: int | None
    metrics: Mapping[str, object]


@runtime_checkable
class SavePolicy(Protocol):
    """Anything that decides whether a step is saved."""

    def should_save(self, context: SaveContext) -> str | None:
        """Return the reason for saving now, or None."""


class Joinable:
    """Gives policies the operator ``|``: save when any of them says so."""

    def __or__(self, other: SavePolicy) -> AnySave:
        """Save when this policy or the other one says so."""
        if not isinstance(other, SavePolicy):
            return NotImplemented
        return AnySave((self, other))  # type: ignore[arg-type]  # every subclass has should_save


@dataclasses.dataclass(frozen=True)
class AnySave(Joinable):
    """Saves when any of its policies does; the first one's reason counts."""

    policies: Tuple[SavePolicy, ...]

    def should_save(self, context: SaveContext) -> str | None:
        """Ask each policy; all are asked, so that those with a memory keep it."""
        reasons = [policy.should_save(context) for policy in self.policies]
        return next((reason for reason in reasons if reason is not None), None)


def is_count(value: object) -> bool:
    """Whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclasses.dataclass(frozen=True)
class EverySteps(Joinable):
    """Saves every `n` steps.

    An interval counts as soon as it is crossed, so a run whose steps jump over the exact multiple
    (after a resume, or with several steps per call) does not miss it.

    Args:
        n: Steps between two saves, at least 1.

    Raises:
        ConfigError: `n` is not a positive integer.

    Example:
        >>> EverySteps(500)
        EverySteps(n=500)
    """

    n: int

    def __post_init__(self) -> None:
        if not is_count(self.n):
            raise ConfigError(
                f"EverySteps({self.n!r}) makes no sense: the interval is in whole steps, at least 1.",
                hint="EverySteps(500) saves every 500 steps.",
            )

    def should_save(self, context: SaveContext) -> str | None:
        """Return ``"interval"`` when a multiple of `n` was reached since the previous question."""
        crossed = context.step // self.n > context.previous_step // self.n
        return "interval" if crossed else None
