"""How long a run takes, over all the processes that worked on it."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, Literal, Mapping

from hfl_core import IncompatibleStateError, Timer
from hfl_metadata._facts import DurationInfo

Activity = Literal["training", "saving", "evaluating"]
_ACTIVITIES = ("training", "saving", "evaluating")
_SPANS: Dict[str, Activity] = {
    "train": "training",
    "training": "training",
    "save": "saving",
    "saving": "saving",
    "evaluate": "evaluating",
    "evaluating": "evaluating",
    "eval": "evaluating",
}


class RunClock:
    """Counts the seconds of a run, across resumes; a component for checkpoints.

    The time between two sessions does not count, nor does work that was lost because no checkpoint
    held it. Nested activities are not counted twice: saving inside of training is saving.

    Args:
        timer: Counts what this timer measures, too: its spans by the names that `spans` has. An
            open span counts once it is closed, so give each step a span of its own.
        spans: Names of spans to ``"training"``, ``"saving"`` or ``"evaluating"``; ``train``, ``save``
            and ``evaluate`` (``eval``) if None.
        clock: Returns seconds; only differences count.

    Example:
        >>> ticks = iter([0.0, 1.0, 3.0, 4.0])
        >>> run_clock = RunClock(clock=lambda: next(ticks))
        >>> with run_clock.measure("training"):
        ...     pass
        >>> run_clock.durations()
        DurationInfo(wall=4.0, training=2.0, saving=0.0, evaluating=0.0, sessions=1)
    """

    def __init__(
        self,
        timer: Timer | None = None,
        *,
        spans: Mapping[str, Activity] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timer = timer
        self._spans: Mapping[str, str] = _SPANS if spans is None else spans
        unknown = sorted(set(self._spans.values()) - set(_ACTIVITIES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(_ACTIVITIES)}.")
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._session = uuid.uuid4().hex
        self._before = DurationInfo(sessions=0)
        self._measured = dict.fromkeys(_ACTIVITIES, 0.0)
        self._open: Dict[int, List[_Open]] = {}

    @contextlib.contextmanager
    def measure(self, activity: Activity) -> Iterator[None]:
        """Count what happens inside a `with` block, also when it raises.

        Args:
            activity: ``"training"``, ``"saving"`` or ``"evaluating"``.

        Yields:
            Nothing.

        Raises:
            ValueError: There is no such activity.
        """
        if activity not in _ACTIVITIES:
            raise ValueError(f"{activity!r} is none of {', '.join(_ACTIVITIES)}.")
        thread = threading.get_ident()
        with self._lock:
            now = self._clock()
            stack = self._open.setdefault(thread, [])
            if stack:
                self._pause(stack[-1], now)
            stack.append(_Open(activity, now))
        try:
            yield
        finally:
            with self._lock:
                now = self._clock()
                self._pause(stack.pop(), now)
                if stack:
                    stack[-1].since = now
                else:
                    self._open.pop(thread, None)

    def _pause(self, item: _Open, now: float) -> None:
        self._measured[item.activity] += now - item.since

    def durations(self) -> DurationInfo:
        """Say how long the run took so far.

        Returns:
            Seconds, of this session and all before it.
        """
        with self._lock:
            now = self._clock()
            seconds = dict(self._measured)
            for stack in self._open.values():
                seconds[stack[-1].activity] += now - stack[-1].since
            wall = now - self._began
            before = self._before
        for activity, amount in self._of_timer().items():
            seconds[activity] += amount
        return DurationInfo(
            wall=before.wall + wall,
            training=before.training + seconds["training"],
            saving=before.saving + seconds["saving"],
            evaluating=before.evaluating + seconds["evaluating"],
            sessions=before.sessions + 1,
        )

    def _of_timer(self) -> Dict[str, float]:
        found = dict.fromkeys(_ACTIVITIES, 0.0)
        for span in [] if self._timer is None else self._timer.spans():
            # The time of a span that is none of ours belongs to the nearest one around it that is.
            for name in reversed(span.path.split("/")):
                if name in self._spans:
                    found[self._spans[name]] += span.own_seconds
                    break
        return found

    def state_dict(self) -> Dict[str, Any]:
        """Give the counts, to be saved.

        Returns:
            Plain values.
        """
        now = self.durations()
        return {
            "session": self._session,
            "sessions": now.sessions,
            "wall": now.wall,
            "training": now.training,
            "saving": now.saving,
            "evaluating": now.evaluating,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting where a session before this one stopped.

        What this session has counted so far stays. A state of this very session changes nothing:
        going back to an earlier checkpoint takes no time back.

        Args:
            state: What `state_dict` gave.

        Raises:
            IncompatibleStateError: It is something else; nothing was changed.
        """
        try:
            before = DurationInfo(
                **{name: float(state[name]) for name in ("wall", *_ACTIVITIES)},
                sessions=int(state["sessions"]),
            )
            session = str(state["session"])
        except (KeyError, TypeError, ValueError) as error:
            raise IncompatibleStateError(
                f"This is not the state of a RunClock: {type(error).__name__}: {error}.",
                hint="Give the component the name that it was saved under.",
            ) from error
        if session == self._session:
            return
        with self._lock:
            self._before = before


class _Open:
    def __init__(self, activity: str, since: float) -> None:
        self.activity = activity
        self.since = since
