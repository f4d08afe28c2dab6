"""Trying again: exponential backoff with jitter, a deadline, and patience with rate limits."""

from __future__ import annotations

import functools
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, TypeVar

from hfl_core._log import get_logger
from hfl_core.errors import ConfigError, NetworkError, RateLimitError

if TYPE_CHECKING:
    from typing import ParamSpec  # only type checkers read this, and they know it on every version

    from tenacity import RetryCallState

    _P = ParamSpec("_P")

_T = TypeVar("_T")
_LOG = get_logger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """When and how often something that failed is tried again.

    The n-th wait is `base_delay * 2 ** (n - 1)` seconds, at most `max_delay`, shortened by a random
    part of up to `jitter`. A server that says when to come back (`RateLimitError.retry_after`) is
    never asked earlier, even if that is longer than `max_delay`. When the policy gives up, the last
    error is raised as it is, with a note on the attempts.

    Args:
        attempts: How often it is tried in all, the first time included.
        base_delay: Seconds before the second attempt.
        max_delay: The longest computed wait in seconds.
        timeout: Seconds for everything together, waits included; None for no limit. An attempt
            under way is not cut short, but none starts after a wait that would pass the limit.
        jitter: The random share of each wait, from 0 (none) to 1 (the wait may be as short as 0).
        retry_if: Says of an error whether it is worth another attempt, besides `NetworkError` and
            its subclasses, which always are.
        sleep: Waits a number of seconds.
        clock: Returns the time in seconds; only differences count.
        rng: Returns a random number from 0 to 1.

    Raises:
        ConfigError: If an argument makes no sense.

    Example:
        >>> policy = RetryPolicy(attempts=3, base_delay=0)
        >>> policy.call(len, "abc")
        3
    """

    attempts: int = 5
    base_delay: float = 0.5
    max_delay: float = 30.0
    timeout: float | None = 300.0
    jitter: float = 0.5
    retry_if: Callable[[Exception], bool] | None = field(default=None, compare=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    rng: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_whole(self.attempts) or self.attempts < 1:
            raise _wrong("attempts", self.attempts, "a whole number of 1 or more")
        if not _is_finite(self.base_delay) or self.base_delay < 0:
            raise _wrong("base_delay", self.base_delay, "a number of seconds of 0 or more")
        if not _is_finite(self.max_delay) or self.max_delay < self.base_delay:
            raise _wrong("max_delay", self.max_delay, "a number of seconds not below base_delay")
        if self.timeout is not None and (not _is_finite(self.timeout) or self.timeout <= 0):
            raise _wrong("timeout", self.timeout, "a number of seconds above 0, or None")
        if not _is_finite(self.jitter) or not 0 <= self.jitter <= 1:
            raise _wrong("jitter", self.jitter, "a number from 0 to 1")

    def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function, again if it fails in a way that may pass.

        Args:
            function: What to call.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.

        Returns:
            What the function returns.

        Raises:
            Exception: The last error of the function, with a note when it was tried more than
                once or could not be tried again.
        """
        from tenacity import Retrying

        run = _Run(self)
        retrying = Retrying(
            retry=run.should_retry,
            stop=run.should_stop,
            wait=run.delay,
            sleep=self.sleep,
            before_sleep=run.log,
            reraise=True,
        )
        return retrying(function, *args, **kwargs)

    def __call__(self, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """Decorate a function so that each call follows the policy.

        Args:
            function: What to call.

        Returns:
            A function with the same signature.

        Example:
            >>> @RetryPolicy(attempts=2)
            ... def fetch():
            ...     return "done"
            >>> fetch()
            'done'
        """

        @functools.wraps(function)
        def with_retries(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return self.call(function, *args, **kwargs)

        return with_retries

    def is_retryable(self, error: BaseException) -> bool:
        """Say whether an error is worth another attempt.

        Args:
            error: What an attempt raised.

        Returns:
            True for `NetworkError` and its subclasses and whatever `retry_if` accepts.
        """
        if not isinstance(error, Exception):  # Ctrl-C and the like always go through
            return False
        return isinstance(error, NetworkError) or bool(self.retry_if and self.retry_if(error))


class _Run:
    """One call under a policy. tenacity asks for the wait and the end in an order that depends on its version."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._started = policy.clock()
        self._delays: dict[int, float] = {}

    def should_retry(self, state: RetryCallState) -> bool:
        error = _error_of(state)
        if error is None:
            return False
        is_retryable = self._policy.is_retryable(error)
        if not is_retryable and state.attempt_number > 1:
            _annotate(
                error, f"This was attempt {state.attempt_number}; it is not worth another one."
            )
        return is_retryable

    def delay(self, state: RetryCallState) -> float:
        number = state.attempt_number
        if number not in self._delays:
            policy = self._policy
            # The exponent is bounded because 2.0 ** 1024 overflows.
            longest = min(policy.max_delay, policy.base_delay * 2.0 ** min(number - 1, 64))
            delay = longest * (1 - policy.jitter * policy.rng())
            self._delays[number] = max(delay, _asked_for(_error_of(state)) or 0.0)
        return self._delays[number]

    def should_stop(self, state: RetryCallState) -> bool:
        reason = self._reason_to_stop(state)
        error = _error_of(state)
        if reason is not None and error is not None:
            _annotate(error, reason)
        return reason is not None

    def _reason_to_stop(self, state: RetryCallState) -> str | None:
        policy, number = self._policy, state.attempt_number
        tried = "Tried once" if number == 1 else f"Tried {number} times"
        spent = policy.clock() - self._started
        if number >= policy.attempts:
            return f"{tried} in {spent:.1f} s; no attempts are left."
        if policy.timeout is None or spent + self.delay(state) <= policy.timeout:
            return None
        left = max(policy.timeout - spent, 0.0)
        asked = _asked_for(_error_of(state))
        if asked is not None and asked > left:
            return f"{tried}; the server asks to wait {asked:.1f} s, but only {left:.1f} s of {policy.timeout:g} s are left."
        return (
            f"{tried}; the time limit of {policy.timeout:g} s leaves no room for another attempt."
        )

    def log(self, state: RetryCallState) -> None:
        _LOG.info(
            "Attempt %d of %d failed (%s); trying again in %.1f s.",
            state.attempt_number,
            self._policy.attempts,
            _error_of(state),
            self.delay(state),
        )


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _asked_for(error: BaseException | None) -> float | None:
    return error.retry_after if isinstance(error, RateLimitError) else None


def _annotate(error: BaseException, note: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(note)
        return
    notes = [*getattr(error, "__notes__", ()), note]  # what add_note does from Python 3.11 on
    error.__notes__ = notes


def _is_finite(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < float("inf")
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(
        f"A retry policy with {name}={value!r} makes no sense.", hint=f"Pass {expected}."
    )
