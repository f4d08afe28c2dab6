"""Stopping when a metric no longer improves."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional

from hfl_core import ConfigError
from hfl_state._component import FORMAT, Component, count_problems, format_problems, is_count
from hfl_state._metric_value import check_min_delta, check_mode, finite, is_better

_FIELDS: Dict[str, Any] = {
    "metric": str,
    "mode": str,
    "best": (int, float, type(None)),
    "bad": int,
    "stopped": bool,
}


class EarlyStopping(Component):
    """Stop after a number of evaluations in a row that brought no improvement.

    The count survives a resume, and a run that had stopped stays stopped: `TrainingState.batches`
    then yields nothing.

    Args:
        metric: The metric's name.
        patience: How many evaluations in a row may bring no improvement before it stops.
        mode: ``"min"`` when lower is better, ``"max"`` when higher is.
        min_delta: An improvement has to be larger than this.

    Attributes:
        metric: The metric's name.
        patience: How many evaluations without improvement it takes.
        mode: Which direction is better.
        min_delta: What an improvement has to exceed.
        best: The value to beat, or None before the first.
        bad: Evaluations without improvement since the best one.
        stopped: Whether training should end.

    Raises:
        ConfigError: The patience is below 1, the delta is negative, or the mode unknown.

    Example:
        >>> stopping = EarlyStopping("eval_loss", patience=2)
        >>> [stopping.update(loss) for loss in (0.5, 0.6, 0.4, 0.4, 0.5)]
        [False, False, False, False, True]
        >>> stopping.stopped
        True
    """

    def __init__(
        self,
        metric: str,
        patience: int,
        mode: Literal["min", "max"] = "min",
        min_delta: float = 0.0,
    ) -> None:
        check_mode(mode)
        if not is_count(patience, 1):
            raise ConfigError(
                f"A patience of {patience!r} makes no sense.", hint="It is a whole number from 1."
            )
        check_min_delta(min_delta)
        self.metric = metric
        self.patience = patience
        self.mode: str = mode
        self.min_delta = float(min_delta)
        self.best: Optional[float] = None
        self.bad = 0
        self.stopped = False

    def update(self, value: Any) -> bool:
        """Look at the outcome of an evaluation.

        Args:
            value: A number or a tensor of one element. NaN and infinities are evaluations without
                improvement; None means that there was no evaluation and counts for nothing.

        Returns:
            Whether to stop, which stays so once it is.

        Raises:
            ConfigError: It is not one number.
        """
        number = finite(value)
        if value is None or self.stopped:
            return self.stopped
        if number is not None and is_better(
            number, self.best, mode=self.mode, min_delta=self.min_delta
        ):
            self.best, self.bad = number, 0
        else:
            self.bad += 1
            self.stopped = self.bad >= self.patience
        return self.stopped

    def state_dict(self) -> Dict[str, Any]:
        """Return the value to beat, the count and whether it stopped.

        Returns:
            Plain values. Patience and delta are settings, not state: they may change on a resume.
        """
        return {
            "format": FORMAT,
            "metric": self.metric,
            "mode": self.mode,
            "best": self.best,
            "bad": self.bad,
            "stopped": self.stopped,
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from fitting.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, _FIELDS) or count_problems(saved, ["bad"])
        return problems or [
            f"Its {name} is {saved[name]!r}, here it is {getattr(self, name)!r}."
            for name in ("metric", "mode")
            if saved[name] != getattr(self, name)
        ]

    def _apply(self, saved: Mapping[str, Any]) -> None:
        self.best, self.bad = saved["best"], saved["bad"]
        # A larger patience than before lets a stopped run go on; the same one keeps it stopped.
        self.stopped = saved["stopped"] and self.bad >= self.patience

    def __repr__(self) -> str:
        return (
            f"EarlyStopping({self.metric!r}, patience={self.patience}, bad={self.bad}, "
            f"stopped={self.stopped})"
        )
