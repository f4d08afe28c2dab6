"""When to save, by a metric. With several processes, the metric of rank 0 counts for all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Mapping, Sequence

from hfl_checkpoint._agreement import first_decides
from hfl_checkpoint._metrics import finite_or_none
from hfl_checkpoint._policies import Joinable
from hfl_checkpoint._retention import ranked, require_metric, require_mode
from hfl_core import get_logger

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._policies import SaveContext


_log = get_logger(__name__)


class OnBest(Joinable):
    """Saves a step whose metric is better than that of every checkpoint of the run.

    What is missing, NaN or infinite is never best, and of equal values the older one is. After a resume
    the best so far is the best of the checkpoints that are there: keep it, with ``KeepBest``.

    A metric that is a tensor on a GPU is waited for, at the steps at which it is passed.

    Args:
        metric: The metric's name, as it is passed to ``step``.
        mode: Whether ``"min"`` or ``"max"`` is best.

    Raises:
        ConfigError: An argument makes no sense.

    Example:
        >>> OnBest("accuracy", mode="max")
        OnBest('accuracy', mode='max')
    """

    def __init__(self, metric: str, mode: Literal["min", "max"] = "min") -> None:
        require_metric("OnBest", metric)
        require_mode(mode)
        self.metric = metric
        self.mode = mode
        self._best = math.inf  # of the metric, or of its negative when more is better
        self._others: set[str] = set()
        self._is_seen = False

    def __repr__(self) -> str:
        return f"OnBest({self.metric!r}, mode={self.mode!r})"

    def should_save(self, context: SaveContext) -> str | None:
        """Return ``"best"`` when this step's metric beats all checkpoints."""
        self._is_seen = self._is_seen or self.metric in context.metrics
        if not self._is_seen:
            self._others.update(map(str, context.metrics))
        return "best" if first_decides(self._cost(context.metrics) < self._best) else None

    def on_restore(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Take the best so far from the checkpoints that are there."""
        best = ranked(checkpoints, self.metric, self.mode)[:1]
        self._best = self._cost(best[0].metrics) if best else math.inf

    def on_save(self, context: SaveContext) -> None:
        """Remember the best that was saved, whatever it was saved for."""
        self._best = min(self._best, self._cost(context.metrics))

    def on_close(self) -> None:
        """Say so when the metric never came: its name may be mistyped."""
        if not self._is_seen and self._others:
            _log.warning(
                "%r never saved anything: no step had this metric, only %s",
                self,
                ", ".join(sorted(self._others)),
            )

    def _cost(self, metrics: Mapping[str, Any]) -> float:
        number = finite_or_none(metrics.get(self.metric))
        if number is None:
            return math.inf
        return number if self.mode == "min" else -number
