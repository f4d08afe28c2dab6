"""What to keep: policies over all checkpoints of a run, joined with ``|`` and ``&``.

A policy only says what it wants to keep. What is never deleted, whatever it says, is decided in
`hfl_checkpoint._cleanup`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Literal,
    Mapping,
    Protocol,
    Sequence,
    Tuple,
    Union,
    runtime_checkable,
)

from hfl_checkpoint._policies import is_count
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint


@runtime_checkable
class KeepPolicy(Protocol):
    """Anything that chooses which checkpoints to keep.

    It may also have a method ``against(checkpoint)`` that says in a few words why one was not chosen.
    """

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose among the checkpoints of one run, oldest first.

        Returns:
            Name of each one to keep, with the reason in a few words.
        """


class Joinable:
    """Gives policies the operators ``|`` (keep what either wants) and ``&`` (what both want)."""

    def __or__(self, other: KeepPolicy) -> KeepAny:
        """Keep what this policy or the other one wants."""
        if not isinstance(other, KeepPolicy):
            return NotImplemented
        return KeepAny((self, other))  # type: ignore[arg-type]  # every subclass has select

    def __and__(self, other: KeepPolicy) -> KeepBoth:
        """Keep what both this policy and the other one want."""
        if not isinstance(other, KeepPolicy):
            return NotImplemented
        return KeepBoth((self, other))  # type: ignore[arg-type]  # every subclass has select


@dataclasses.dataclass(frozen=True)
class KeepAny(Joinable):
    """Keeps what any of its policies wants."""

    policies: Tuple[KeepPolicy, ...]

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Ask each policy, and join what they choose."""
        return self.join([policy.select(checkpoints) for policy in self.policies])

    def join(self, choices: Sequence[Mapping[str, str]]) -> Dict[str, str]:
        """Join choices; a checkpoint that several want has several reasons."""
        reasons: Dict[str, str] = {}
        for choice in choices:
            for name, reason in choice.items():
                reasons[name] = f"{reasons[name]}, {reason}" if name in reasons else reason
        return reasons


@dataclasses.dataclass(frozen=True)
class KeepBoth(Joinable):
    """Keeps what all of its policies want."""

    policies: Tuple[KeepPolicy, ...]

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Ask each policy, and keep what all of them choose."""
        return self.join([policy.select(checkpoints) for policy in self.policies])

    def join(self, choices: Sequence[Mapping[str, str]]) -> Dict[str, str]:
        """Intersect choices."""
        return {
            name: " and ".join(choice[name] for choice in choices)
            for name in choices[0]
            if all(name in choice for choice in choices)
        }


@dataclasses.dataclass(frozen=True)
class KeepAll(Joinable):
    """Keeps everything.

    Example:
        >>> KeepAll()
        KeepAll()
    """

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose all."""
        return {checkpoint.name: "everything is kept" for checkpoint in checkpoints}


@dataclasses.dataclass(frozen=True)
class KeepLast(Joinable):
    """Keeps the newest `n`, in the order of commits.

    Args:
        n: How many, at least 1.

    Raises:
        ConfigError: `n` is not a positive integer.

    Example:
        >>> KeepLast(3) & KeepEvery(steps=1000)
        KeepBoth(policies=(KeepLast(n=3), KeepEvery(steps=1000)))
    """

    n: int

    def __post_init__(self) -> None:
        _require_count("KeepLast", self.n, "KeepLast(3) keeps the newest three.")

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose the last ones."""
        newest = list(reversed(checkpoints))[: self.n]
        return {
            checkpoint.name: "newest" if rank == 0 else f"among the newest {self.n}"
            for rank, checkpoint in enumerate(newest)
        }

    def against(self, checkpoint: Checkpoint) -> str:  # noqa: ARG002  # the same for all
        """Say why one was not chosen."""
        return "newest is another one" if self.n == 1 else f"not among the newest {self.n}"


@dataclasses.dataclass(frozen=True)
class KeepBest(Joinable):
    """Keeps the `n` best by a metric. What is missing, NaN or infinite is never best.

    Args:
        metric: The metric's name, as it was passed to ``step`` or ``save``.
        n: How many, at least 1.
        mode: Whether ``"min"`` or ``"max"`` is best. Of equal values the older one is.

    Raises:
        ConfigError: `metric`, `n` or `mode` makes no sense.

    Example:
        >>> KeepBest("eval_loss") | KeepLast(3)
        KeepAny(policies=(KeepBest(metric='eval_loss', n=1, mode='min'), KeepLast(n=3)))
    """

    metric: str
    n: int = 1
    mode: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        _require_count("KeepBest", self.n, "KeepBest('eval_loss', n=2) keeps the best two.")
        require_metric("KeepBest", self.metric)
        require_mode(self.mode)

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose the best ones."""
        best = ranked(checkpoints, self.metric, self.mode)[: self.n]
        return {
            checkpoint.name: (
                f"best {self.metric}" if rank == 0 else f"among the best {self.n} by {self.metric}"
            )
            for rank, checkpoint in enumerate(best)
        }

    def against(self, checkpoint: Checkpoint) -> str:
        """Say why one was not chosen."""
        value = checkpoint.metrics.get(self.metric)
        if value is None:
            return f"has no {self.metric}"
        if not math.isfinite(value):
            return f"its {self.metric} is {value}, which never counts as best"
        return f"its {self.metric} of {value:.6g} is not among the best {self.n}"


@dataclasses.dataclass(frozen=True)
class KeepEvery(Joinable):
    """Keeps one checkpoint for each multiple of so many steps: the first at it or after it.

    Where training went back and reached a multiple a second time, the newer line's checkpoint counts.

    Args:
        steps: The distance, at least 1.

    Raises:
        ConfigError: `steps` is not a positive integer.

    Example:
        >>> KeepEvery(steps=10_000)
        KeepEvery(steps=10000)
    """

    steps: int

    def __post_init__(self) -> None:
        if not is_count(self.steps):
            raise ConfigError(
                f"KeepEvery(steps={self.steps!r}) makes no sense: the distance is in whole steps.",
                hint="KeepEvery(steps=10_000) keeps one for each ten thousand steps.",
            )

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose the first of each interval but the one that no multiple begins."""
        first: Dict[int, Checkpoint] = {}
        for checkpoint in checkpoints:
            multiple = checkpoint.step // self.steps
            known = first.get(multiple)
            if known is None or checkpoint.step <= known.step:
                first[multiple] = checkpoint
        return {
            checkpoint.name: f"the first from step {multiple * self.steps} on"
            for multiple, checkpoint in first.items()
            if multiple > 0 or checkpoint.step == 0
        }

    def against(self, checkpoint: Checkpoint) -> str:
        """Say why one was not chosen."""
        multiple = checkpoint.step // self.steps * self.steps
        if multiple == 0:
            return f"before step {self.steps}"
        return f"not the first from step {multiple} on"


@dataclasses.dataclass(frozen=True)
class KeepIf(Joinable):
    """Keeps those for which a function of yours says so. When it raises, nothing is deleted.

    Args:
        fn: Takes a `Checkpoint`; returns whether to keep it, or the reason for keeping it as a text.

    Raises:
        ConfigError: `fn` is not callable.

    Example:
        >>> policy = KeepIf(lambda checkpoint: checkpoint.metrics.get("loss", 1.0) < 0.1)
    """

    fn: Callable[[Checkpoint], Union[bool, str]]

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise ConfigError(
                f"KeepIf({self.fn!r}) needs a function.",
                hint="KeepIf(lambda checkpoint: checkpoint.step % 1000 == 0)",
            )

    def __repr__(self) -> str:
        return f"KeepIf({getattr(self.fn, '__name__', type(self.fn).__name__)})"

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Ask the function about each.

        Raises:
            ConfigError: It answered with something else than yes or no, such as None.
        """
        chosen: Dict[str, str] = {}
        for checkpoint in checkpoints:
            answer = self.fn(checkpoint)
            if not isinstance(answer, (bool, str)):
                # A function that forgets to return would otherwise delete everything.
                raise ConfigError(
                    f"{self!r} answered {answer!r} about {checkpoint.name!r}, which is neither yes nor no.",
                    hint="Return True, False, or the reason for keeping it as a text.",
                )
            if answer:
                chosen[checkpoint.name] = answer if isinstance(answer, str) else f"{self!r} says so"
        return chosen

    def against(self, checkpoint: Checkpoint) -> str:  # noqa: ARG002  # the same for all
        """Say why one was not chosen."""
        return f"{self!r} says no"


def ranked(
    checkpoints: Sequence[Checkpoint], metric: str, mode: Literal["min", "max"]
) -> Sequence[Checkpoint]:
    """Sort the checkpoints by a metric, best first, leaving out those where it is no finite number."""
    sign = 1 if mode == "min" else -1
    having = [
        checkpoint
        for checkpoint in checkpoints
        if math.isfinite(checkpoint.metrics.get(metric, math.nan))
    ]
    return sorted(
        having, key=lambda checkpoint: (sign * checkpoint.metrics[metric], checkpoint.sequence)
    )


def require_metric(policy: str, metric: object) -> None:
    """Refuse what cannot be the name of a metric."""
    if not (metric and isinstance(metric, str)):
        raise ConfigError(
            f"{policy}({metric!r}) needs the name of a metric.",
            hint=f"{policy}('eval_loss', mode='min'), with the name used in step(..., eval_loss=…).",
        )


def require_mode(mode: str) -> None:
    """Refuse a mode that is neither ``"min"`` nor ``"max"``."""
    if mode not in ("min", "max"):
        raise ConfigError(
            f"There is no mode {mode!r} for a metric.", hint="Use mode='min' or mode='max'."
        )


def _require_count(policy: str, n: object, example: str) -> None:
    if not is_count(n):
        raise ConfigError(
            f"{policy} cannot keep {n!r} checkpoints: the number is at least 1, "
            "and the newest one is never deleted.",
            hint=example,
        )
