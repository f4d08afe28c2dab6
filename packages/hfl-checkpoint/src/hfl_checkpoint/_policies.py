"""When to save: small objects that answer one question, joined with ``|``.

Those that look at the time, at signals and at metrics are in `_policies_time`, `_policies_signal` and
`_policies_best`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, Mapping, Protocol, Tuple, runtime_checkable

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


# Reasons for which a save is neither put off nor left in the background: the process may end soon.
URGENT = frozenset({"preemption", "deadline"})

Event = Literal["on_start", "on_restore", "on_save", "on_commit", "on_close"]


@runtime_checkable
class SavePolicy(Protocol):
    """Anything that decides whether a step is saved.

    A policy that remembers something may also have any of these methods, which the manager calls:
    ``on_start()`` when it is made, ``on_restore(checkpoints)`` when it goes on from one of these,
    ``on_save(context)`` when a step is being saved for whatever reason, ``on_commit(seconds)`` when
    that save is safe, on the thread that wrote it, and ``on_close()``. A policy belongs to one manager.
    """

    def should_save(self, context: SaveContext) -> str | None:
        """Return the reason for saving now, in a word, or None."""


class Joinable:
    """Gives policies the operator ``|``: save when any of them says so."""

    def __or__(self, other: SavePolicy) -> AnySave:
        """Save when this policy or the other one says so."""
        if not isinstance(other, SavePolicy):
            return NotImplemented
        return AnySave((self, other))  # type: ignore[arg-type]  # every subclass has should_save


@dataclasses.dataclass(frozen=True)
class AnySave(Joinable):
    """Saves when any of its policies does, for all of their reasons: ``"interval+best"``."""

    policies: Tuple[SavePolicy, ...]

    def should_save(self, context: SaveContext) -> str | None:
        """Ask each policy; all are asked, so that those with a memory keep it."""
        reasons = [policy.should_save(context) for policy in self.policies]
        words = [word for reason in reasons if reason for word in reason.split("+")]
        return "+".join(dict.fromkeys(words)) or None


def tell(policy: SavePolicy | None, event: Event, *arguments: Any) -> None:
    """Tell a policy, or each of those that it is joined of, what happened.

    Args:
        policy: The policy; it listens by having a method of the event's name.
        event: What happened.
        *arguments: What the method takes.
    """
    if isinstance(policy, AnySave):
        for part in policy.policies:
            tell(part, event, *arguments)
        return
    listener = getattr(policy, event, None)
    if callable(listener):
        listener(*arguments)


def is_urgent(reason: str) -> bool:
    """Whether a save for this reason must be safe before training goes on."""
    return not URGENT.isdisjoint(reason.split("+"))


def is_count(value: object) -> bool:
    """Whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]  # it is one


def is_positive(value: object) -> bool:
    """Whether a value is a finite number above 0."""
    return is_number(value) and value > 0  # type: ignore[operator]  # it is a number


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


@dataclasses.dataclass(frozen=True)
class EveryEpochs(Joinable):
    """Saves every `n` completed epochs; as with steps, an interval is crossed, not hit.

    Args:
        n: Epochs between two saves, at least 1.

    Raises:
        ConfigError: `n` is not a positive integer.

    Example:
        >>> EveryEpochs(1)
        EveryEpochs(n=1)
    """

    n: int = 1

    def __post_init__(self) -> None:
        if not is_count(self.n):
            raise ConfigError(
                f"EveryEpochs({self.n!r}) makes no sense: the interval is in whole epochs, at least 1.",
                hint="EveryEpochs(1) saves after each epoch.",
            )

    def should_save(self, context: SaveContext) -> str | None:
        """Return ``"interval"`` when a multiple of `n` was reached since the previous question.

        Raises:
            ConfigError: The run does not count epochs, so that nothing would ever be saved.
        """
        if context.epoch is None:
            raise ConfigError(
                f"EveryEpochs({self.n}) has nothing to go by: the training state counts no epochs.",
                hint="Give the state an epoch, or use EverySteps.",
            )
        crossed = context.epoch // self.n > (context.previous_epoch or 0) // self.n
        return "interval" if crossed else None


@dataclasses.dataclass(frozen=True, init=False)
class AtSteps(Joinable):
    """Saves once at each of the given steps, or at the first step after it.

    Args:
        *steps: The steps, each at least 1.

    Raises:
        ConfigError: There is none, or one is not a positive integer.

    Example:
        >>> AtSteps(100, 1000, 10_000)
        AtSteps(steps=(100, 1000, 10000))
    """

    steps: Tuple[int, ...]

    def __init__(self, *steps: int) -> None:
        wrong = [step for step in steps if not is_count(step)]
        if wrong or not steps:
            raise ConfigError(
                f"AtSteps needs whole steps of at least 1, not {', '.join(map(repr, wrong)) or 'none'}.",
                hint="AtSteps(100, 1000) saves at these two.",
            )
        object.__setattr__(self, "steps", tuple(sorted(set(steps))))

    def should_save(self, context: SaveContext) -> str | None:
        """Return ``"milestone"`` when one of the steps was reached since the previous question."""
        crossed = any(context.previous_step < step <= context.step for step in self.steps)
        return "milestone" if crossed else None
