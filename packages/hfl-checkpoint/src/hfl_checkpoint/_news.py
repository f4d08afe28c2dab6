"""What people and the log are told of a run: that it began, what it reached, how it ended."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    Mapping,
    Protocol,
    Sequence,
    Tuple,
    Union,
    runtime_checkable,
)

from hfl_checkpoint._metrics import finite_or_none
from hfl_checkpoint._policies import is_urgent
from hfl_checkpoint._policies_best import OnBest
from hfl_checkpoint._retention import KeepBest, ranked
from hfl_core import get_logger, log_context

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint

_log = get_logger(__name__)

Goal = Tuple[str, str]


@runtime_checkable
class Messenger(Protocol):
    """Whoever takes events of a run, such as `hfl_core.Notifier`."""

    def notify(self, event: str, text: str = "", /, **facts: Any) -> Any:
        """Take an event. It must not wait for the network."""


Notify = Union[Messenger, Callable[[str], object]]


class News:
    """Tells a messenger of the events of a run, or a function what a person should look after.

    Nothing that goes wrong with that reaches the training.

    Args:
        run: The run's name, for people.
        to: A messenger gets every event; a function gets the sentences; None gets nothing.
        goals: Metrics whose new best is news, each with ``"min"`` or ``"max"``.
    """

    def __init__(self, run: str, to: Notify | None, goals: Sequence[Goal] = ()) -> None:
        self._run = run
        self._messenger = to if isinstance(to, Messenger) else None
        self._function = to if callable(to) and self._messenger is None else None
        self._goals = tuple(goals) if self._messenger is not None else ()
        self._best: Dict[Goal, float] = {}
        self._is_stuck = False
        self._is_preempted = False
        self._began_at = 0.0
        # Looked at in each step, so that it is told once that the run began.
        self.is_under_way = to is None

    def begin(self, resumed_at: int | None) -> None:
        """Tell that the run began, or went on; the first call counts.

        Args:
            resumed_at: The step that it goes on from, or None.
        """
        if self.is_under_way:
            return
        self.is_under_way = True
        self._began_at = time.monotonic()
        if resumed_at is None:
            self._tell("started")
        else:
            self._tell("resumed", "", {"step": resumed_at})

    def committed(self, new: Checkpoint, others: Callable[[], Sequence[Checkpoint]]) -> None:
        """Tell what a checkpoint means: a new best, or that the run had to end early.

        Args:
            new: The checkpoint.
            others: Lists the run's checkpoints, this one included; asked once.
        """
        self._is_preempted = is_urgent(new.reason)
        for goal in self._goals:
            metric, mode = goal
            cost = _cost(new, goal)
            if cost is None:
                continue
            if goal not in self._best:
                before = [item for item in others() if item.sequence < new.sequence]
                best = ranked(before, metric, "min" if mode == "min" else "max")[:1]
                if not best:  # the first of all is the best of one
                    self._best[goal] = cost
                    continue
                self._best[goal] = float(_cost(best[0], goal) or 0.0)
            if cost < self._best[goal]:
                self._best[goal] = cost
                self._tell("new_best", "", {"step": new.step, metric: new.metrics[metric]})
        if self._is_preempted:
            self._tell("preempted", f"It is saved as {new.name}.", {"step": new.step})

    def disk_low(self, text: str) -> None:
        """Tell that room is running out, or that there is room again."""
        self._say("disk_low", text)

    def upload_stuck(self, text: str) -> None:
        """Tell that checkpoints do not reach the Hub; once until they do again."""
        if not self._is_stuck:
            self._is_stuck = True
            self._say("upload_stuck", text)

    def uploads_go_on(self) -> None:
        """Learn that they do."""
        self._is_stuck = False

    def end(self, error: BaseException | None, step: int | None) -> None:
        """Tell how the run ended, if it ever began.

        Args:
            error: What ended it, or None.
            step: The last step that was saved, or None.
        """
        if self._messenger is None or not self.is_under_way:
            return
        self.is_under_way = False
        facts: Dict[str, Any] = {} if step is None else {"step": step}
        facts["after"] = f"{time.monotonic() - self._began_at:.0f} s"
        if isinstance(error, Exception):
            self._tell("failed", f"{type(error).__name__}: {error}", facts)
        elif self._is_preempted:
            return  # told when the checkpoint was safe: there may not have been time afterwards
        elif isinstance(error, SystemExit) and error.code not in (None, 0):
            self._tell("failed", f"It ended with exit status {error.code!r}.", facts)
        elif error is not None and not isinstance(error, SystemExit):
            self._tell("preempted", f"It was ended by {type(error).__name__}.", facts)
        else:
            self._tell("finished", "", facts)

    def _say(self, event: str, text: str) -> None:
        if self._messenger is not None:
            self._tell(event, text)
        elif self._function is not None:
            try:
                self._function(text)
            except Exception:  # noqa: BLE001  # the save is not to fail with the message
                _log.exception("the notification failed")

    def _tell(
        self, event: str, text: str = "", facts: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        if self._messenger is None:
            return
        try:
            with log_context(run=self._run):
                self._messenger.notify(event, text, **facts)
        except Exception:  # noqa: BLE001  # training must not fail with the message about it
            _log.exception("the notification failed")


def goals_of(*policies: object) -> Tuple[Goal, ...]:
    """List the metrics that save and retention policies watch the best of, each with its mode."""
    return tuple(dict.fromkeys(goal for policy in policies for goal in _goals(policy)))


def _goals(policy: object) -> Iterator[Goal]:
    if isinstance(policy, (OnBest, KeepBest)):
        yield policy.metric, policy.mode
    for part in getattr(policy, "policies", ()):
        yield from _goals(part)


def _cost(checkpoint: Checkpoint, goal: Goal) -> float | None:
    metric, mode = goal
    number = finite_or_none(checkpoint.metrics.get(metric))
    if number is None:
        return None
    return number if mode == "min" else -number
