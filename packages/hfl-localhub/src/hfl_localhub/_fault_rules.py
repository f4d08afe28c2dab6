"""One fault: when it applies and what it does."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import random
import threading
from typing import Callable, Deque, Dict, Optional, Tuple

__all__ = ["Fault", "Match", "Quota"]


@dataclasses.dataclass(frozen=True)
class Match:
    """Which requests a fault is for. See ``Faults``."""

    method: Optional[str] = None
    path: str = "*"
    times: Optional[int] = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0


class Quota:
    """Counts commits per repository within a sliding window.

    Args:
        limit: How many are taken.
        window: Within how many seconds.
        retry_after: What ``Retry-After`` says, whatever the truth is.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, limit: int, window: float, retry_after: float, clock: Callable[[], float]
    ) -> None:
        self.limit = limit
        self.retry_after = retry_after
        self._window = window
        self._clock = clock
        self._landed: Dict[str, Deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, path: str) -> float | None:
        """Return the seconds until a commit would be taken, or None when it is now."""
        with self._lock:
            times = self._landed.setdefault(_repo(path), collections.deque())
            while times and times[0] <= self._clock() - self._window:
                times.popleft()
            return times[0] + self._window - self._clock() if len(times) >= self.limit else None

    def count(self, path: str) -> None:
        """Note a commit that has landed."""
        with self._lock:
            self._landed.setdefault(_repo(path), collections.deque()).append(self._clock())


def _repo(path: str) -> str:
    return path.split("/commit/", 1)[0]


class Fault:
    """A fault that is armed.

    Attributes:
        kind: What it does.
        hits: How many requests have met it.
    """

    def __init__(  # noqa: PLR0913  # each kind uses a few of these
        self,
        kind: str,
        match: Match,
        *,
        status: int = 0,
        is_after: bool = False,
        error: str = "",
        code: str | None = None,
        headers: Tuple[Tuple[str, str], ...] = (),
        direction: str = "download",
        at: int = 0,
        rate: float = 0.0,
        token: str = "",
        quota: Quota | None = None,
    ) -> None:
        self.kind = kind
        self.match = match
        self.status = status
        self.is_after = is_after
        self.error = error
        self.code = code
        self.headers = headers
        self.direction = direction
        self.at = at
        self.rate = rate
        self.token = token
        self.quota = quota
        self.hits = 0
        self._seen = 0
        self._random = random.Random(match.seed)  # noqa: S311  # repeatable on purpose
        self._released = threading.Event()
        self._reached = threading.Event()

    def applies(self, method: str, path: str) -> bool:
        """Whether a request meets this fault; if so it counts."""
        match = self.match
        if match.method not in (None, method) or not fnmatch.fnmatchcase(path, match.path):
            return False
        if match.times is not None and self.hits >= match.times:
            return False
        self._seen += 1
        if self._seen <= match.skip or self._random.random() >= match.probability:
            return False
        self.hits += 1
        return True

    def release(self) -> None:
        """Let go of the requests that are stalled."""
        self._released.set()

    @property
    def is_released(self) -> bool:
        """Whether stalled requests may go on."""
        return self._released.is_set()

    def reach(self) -> None:
        """Note that a request has come to the point where it stalls."""
        self._reached.set()

    def wait_until_reached(self, timeout: float = 30.0) -> bool:
        """Wait until a request has stalled. Returns whether one has."""
        return self._reached.wait(timeout)
