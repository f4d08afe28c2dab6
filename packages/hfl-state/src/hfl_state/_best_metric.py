"""The best value that a metric ever had."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional, Tuple

from hfl_state._component import FORMAT, Component, format_problems
from hfl_state._metric_value import check_min_delta, check_mode, finite, is_better

_FIELDS: Dict[str, Any] = {
    "metric": str,
    "mode": str,
    "value": (int, float, type(None)),
    "step": (int, type(None)),
    "history": (list, tuple, type(None)),
}


class BestMetric(Component):
    """Remember the best value of a metric, over any number of resumes.

    NaN, infinities and None are never best. A tie is not an improvement: the earlier one stays.

    Args:
        metric: The metric's name.
        mode: ``"min"`` when lower is better, ``"max"`` when higher is.
        history: Whether to keep every value that was seen, with its step.
        min_delta: An improvement has to be larger than this.

    Attributes:
        metric: The metric's name.
        mode: Which direction is better.
        min_delta: What an improvement has to exceed.
        value: The best value so far, or None before the first.
        step: The step of the best value, where one was given.
        history: All values as ``(step, value)`` in order, or None when they are not kept.

    Raises:
        ConfigError: The mode is neither of the two, or the delta is negative.

    Example:
        >>> best = BestMetric("eval_loss")
        >>> [best.update(value) for value in (0.5, float("nan"), 0.4, 0.4)]
        [True, False, True, False]
        >>> best.value
        0.4
    """

    def __init__(
        self,
        metric: str,
        mode: Literal["min", "max"] = "min",
        *,
        history: bool = False,
        min_delta: float = 0.0,
    ) -> None:
        check_mode(mode)
        check_min_delta(min_delta)
        self.metric = metric
        self.mode: str = mode
        self.min_delta = float(min_delta)
        self.value: Optional[float] = None
        self.step: Optional[int] = None
        self.history: Optional[List[Tuple[Optional[int], Optional[float]]]] = (
            [] if history else None
        )

    def update(self, value: Any, *, step: Optional[int] = None) -> bool:
        """Look at a new value.

        Args:
            value: A number or a tensor of one element; None when the metric is missing.
            step: The step that it belongs to.

        Returns:
            Whether it is the best so far.

        Raises:
            ConfigError: It is not one number.
        """
        number = finite(value)
        if self.history is not None:
            self.history.append((step, None if value is None else float(value)))
        if number is None or not is_better(
            number, self.value, mode=self.mode, min_delta=self.min_delta
        ):
            return False
        self.value, self.step = number, step
        return True

    def state_dict(self) -> Dict[str, Any]:
        """Return the best value, its step and the history.

        Returns:
            Plain values.
        """
        return {
            "format": FORMAT,
            "metric": self.metric,
            "mode": self.mode,
            "value": self.value,
            "step": self.step,
            "history": None if self.history is None else list(self.history),
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from fitting.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        return format_problems(saved, _FIELDS) or [
            f"Its {name} is {saved[name]!r}, here it is {getattr(self, name)!r}."
            for name in ("metric", "mode")
            if saved[name] != getattr(self, name)
        ]

    def _apply(self, saved: Mapping[str, Any]) -> None:
        self.value, self.step = saved["value"], saved["step"]
        if self.history is not None:
            self.history = [(step, value) for step, value in saved["history"] or ()]

    def __repr__(self) -> str:
        return f"BestMetric({self.metric!r}, {self.mode!r}, value={self.value}, step={self.step})"
