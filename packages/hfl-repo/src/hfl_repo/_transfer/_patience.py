"""How long a transfer may take, and how it waits for a Hub that fails, refuses or is overtaken."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, TypeVar

from hfl_core import get_logger
from hfl_core.errors import ConfigError, HflError, NetworkError, RateLimitError
from hfl_repo.errors import HeadMovedError, TransferTimeoutError

if TYPE_CHECKING:
    from hfl_core import RetryPolicy

__all__ = ["DamagedOnTheWayError", "GivenUpError", "Patience"]

_LOG = get_logger(__name__)
_T = TypeVar("_T")
# Of eight writers the last one loses seven times; of more, chance decides.
_MOST_OVERTAKEN = 20
_MOST_RATE_LIMITED = 50
_WORTH_SAYING = 5.0


class GivenUpError(HflError):
    """The transfer was given up elsewhere, so its other threads end, too."""


class DamagedOnTheWayError(NetworkError):
    """What arrived is not what was sent; sent again, it may be."""


class Patience:
    """Tries again, waits as long as the Hub really asks, and keeps to the time that was given.

    Args:
        retry: How often a failed request is tried and how long is waited in between.
        timeout: Seconds for everything together; None for no limit.
        waits_for_quota: Whether a rate limit is waited out; raised at once if not.
        stop: Ends the transfer at its next check, or its waiting, when it is set.

    Attributes:
        retries: How often something was tried again.

    Raises:
        ConfigError: The timeout is not above 0.
    """

    def __init__(
        self,
        retry: RetryPolicy,
        timeout: float | None,
        *,
        waits_for_quota: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise ConfigError(f"timeout is a number of seconds above 0, or None, not {timeout!r}.")
        self._retry = retry
        self._timeout = timeout
        self._clock = retry.clock
        self._started = retry.clock()
        self._lock = threading.Lock()
        self._is_given_up = False
        self._waits_for_quota = waits_for_quota
        self._stop = stop
        self.retries = 0

    @property
    def left(self) -> float | None:
        """Seconds that are left; None without a limit."""
        if self._timeout is None:
            return None
        return max(0.0, self._started + self._timeout - self._clock())

    def overdue(self) -> TransferTimeoutError:
        """End all threads of the transfer, and return the error for a time that is over."""
        self.give_up()
        return TransferTimeoutError(self._timeout or 0.0)

    def give_up(self) -> None:
        """End all threads of the transfer at their next check: one was interrupted, or failed."""
        self._is_given_up = True

    def check(self) -> None:
        """Raise when the time is over.

        Raises:
            TransferTimeoutError: It is.
            GivenUpError: The transfer was given up.
        """
        if self._is_given_up or (self._stop is not None and self._stop.is_set()):
            raise GivenUpError("The transfer was given up.")
        if self._timeout is not None and self.left == 0:
            raise TransferTimeoutError(self._timeout)

    def bounded(self, seconds: float) -> float:
        """Return how long one request may be silent: what is usual, or what is left."""
        return seconds if self.left is None else max(0.001, min(seconds, self.left))

    def sleep(self, seconds: float) -> None:
        """Wait before something is tried again, and count it."""
        with self._lock:
            self.retries += 1
        if self._stop is None:
            self._retry.sleep(seconds)
        else:
            self._stop.wait(seconds)

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a function, again if it fails in a way that may pass.

        Args:
            function: What to call; it has to be safe to do twice.

        Returns:
            What it returns.

        Raises:
            TransferTimeoutError: The time is over.
            HflError: The function's last error.
        """
        failed = overtaken = limited = 0
        while True:
            self.check()
            try:
                return function()
            except TransferTimeoutError:
                raise
            except HeadMovedError as error:
                overtaken += 1
                if overtaken > _MOST_OVERTAKEN:
                    raise
                self._wait(error, self._backoff(overtaken, spread=True))
            except RateLimitError as error:
                limited += 1
                if not self._waits_for_quota:
                    raise
                if limited > _MOST_RATE_LIMITED or (
                    error.retry_after is None and limited >= self._retry.attempts
                ):
                    raise
                self._wait(error, max(error.retry_after or 0.0, self._backoff(limited)))
            except NetworkError as error:
                failed += 1
                if failed >= self._retry.attempts:
                    raise
                self._wait(error, self._backoff(failed))

    def _backoff(self, count: int, *, spread: bool = False) -> float:
        policy = self._retry
        longest = min(policy.max_delay, policy.base_delay * 2.0 ** min(count - 1, 64))
        return longest * (1 - (1.0 if spread else policy.jitter) * policy.rng())

    def _wait(self, error: HflError, seconds: float) -> None:
        if self._timeout is not None and seconds > (self.left or 0):
            wait = seconds if isinstance(error, RateLimitError) else None
            raise TransferTimeoutError(self._timeout, wait=wait) from error
        log = _LOG.warning if seconds >= _WORTH_SAYING else _LOG.info
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
        log("%s Going on in %.0f s, at %s; what has arrived stays.", error.message, seconds, until)
        self.sleep(seconds)
