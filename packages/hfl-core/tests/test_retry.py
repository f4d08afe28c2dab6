from __future__ import annotations

import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_core import ConfigError, HflError, NetworkError, NotFoundError, RateLimitError, RetryPolicy


class Time:
    """A clock that moves when somebody sleeps, or when an attempt says how long it took."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def policy(self, **options: object) -> RetryPolicy:
        options.setdefault("jitter", 0)
        return RetryPolicy(sleep=self.sleep, clock=lambda: self.now, **options)  # type: ignore[arg-type]  # checked by the policy


class Flaky:
    """Raises the given errors in order, then returns its arguments."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return args, kwargs


def notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))


def test_what_works_is_called_once():
    time, flaky = Time(), Flaky()
    assert time.policy().call(flaky, 1, key=2) == ((1,), {"key": 2})
    assert (flaky.calls, time.slept) == (1, [])


def test_waits_double_up_to_the_longest():
    time, flaky = Time(), Flaky(*[NetworkError("x")] * 5)
    time.policy(attempts=6, base_delay=1, max_delay=5).call(flaky)
    assert time.slept == [1, 2, 4, 5, 5]


@given(st.floats(0, 1), st.floats(0, 1))
def test_jitter_shortens_a_wait_by_its_share_at_most(jitter: float, drawn: float):
    time, flaky = Time(), Flaky(NetworkError("x"))
    time.policy(base_delay=2, jitter=jitter, rng=lambda: drawn).call(flaky)
    assert 2 * (1 - jitter) - 1e-9 <= time.slept[0] <= 2


def test_many_attempts_do_not_overflow():
    time, flaky = Time(), Flaky(*[NetworkError("x")] * 1100)
    time.policy(attempts=1101, base_delay=1, max_delay=2, timeout=None).call(flaky)
    assert time.slept[-1] == 2


def test_giving_up_raises_the_last_error_itself_with_a_note():
    first, last = NetworkError("first"), NetworkError("last")
    time, flaky = Time(), Flaky(first, last)
    with pytest.raises(NetworkError) as caught:
        time.policy(attempts=2, base_delay=1).call(flaky)
    assert caught.value is last
    assert notes(last) == ["Tried 2 times in 1.0 s; no attempts are left."]
    assert notes(first) == []


def test_the_note_survives_pickling():
    with pytest.raises(NetworkError) as caught:
        Time().policy(attempts=1).call(Flaky(NetworkError("x")))
    assert notes(pickle.loads(pickle.dumps(caught.value))) == [
        "Tried once in 0.0 s; no attempts are left."
    ]


def test_an_error_that_will_not_pass_is_raised_at_once():
    time, flaky = Time(), Flaky(NotFoundError("gone"))
    with pytest.raises(NotFoundError) as caught:
        time.policy().call(flaky)
    assert (flaky.calls, time.slept, notes(caught.value)) == (1, [], [])


def test_an_error_that_will_not_pass_says_at_which_attempt_it_came():
    flaky = Flaky(NetworkError("x"), NotFoundError("gone"))
    with pytest.raises(NotFoundError) as caught:
        Time().policy().call(flaky)
    assert notes(caught.value) == ["This was attempt 2; it is not worth another one."]


def test_the_caller_may_name_more_errors_that_pass():
    flaky = Flaky(TimeoutError("slow"), NetworkError("x"))
    Time().policy(retry_if=lambda error: isinstance(error, TimeoutError)).call(flaky)
    assert flaky.calls == 3
    with pytest.raises(TimeoutError):
        Time().policy().call(Flaky(TimeoutError("slow")))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_an_interruption_always_goes_through(error: BaseException):
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        Time().policy(retry_if=lambda _: True).call(flaky)
    assert flaky.calls == 1


def test_a_server_that_says_when_to_come_back_is_not_asked_earlier():
    time, flaky = Time(), Flaky(RateLimitError("slow down", retry_after=90))
    time.policy(base_delay=1, max_delay=2).call(flaky)
    assert time.slept == [90]


def test_a_short_request_to_wait_does_not_shorten_the_backoff():
    time, flaky = Time(), Flaky(
        RateLimitError("slow down", retry_after=0.1), RateLimitError("again")
    )
    time.policy(base_delay=1).call(flaky)
    assert time.slept == [1, 2]


def test_a_request_to_wait_beyond_the_deadline_is_given_up_at_once():
    time, flaky = Time(), Flaky(RateLimitError("slow down", retry_after=3600))
    with pytest.raises(RateLimitError) as caught:
        time.policy(timeout=60).call(flaky)
    assert (flaky.calls, time.slept) == (1, [])
    assert notes(caught.value) == [
        "Tried once; the server asks to wait 3600.0 s, but only 60.0 s of 60 s are left."
    ]


def test_without_a_deadline_the_server_decides():
    time, flaky = Time(), Flaky(RateLimitError("slow down", retry_after=3600))
    time.policy(timeout=None).call(flaky)
    assert time.slept == [3600]


def test_no_attempt_starts_after_the_deadline():
    time = Time()
    calls = []

    def slow() -> None:
        calls.append(time.now)
        time.now += 4
        raise NetworkError("x")

    with pytest.raises(NetworkError) as caught:
        time.policy(attempts=10, base_delay=1, timeout=12).call(slow)
    # The third attempt ends after 15 s; a fourth one would start after the limit of 12.
    assert calls == [100, 105, 111]
    assert notes(caught.value) == [
        "Tried 3 times; the time limit of 12 s leaves no room for another attempt."
    ]


@given(
    attempts=st.integers(1, 12),
    base=st.floats(0, 10),
    timeout=st.floats(0.1, 100),
    asked=st.lists(st.one_of(st.none(), st.floats(0, 50)), max_size=12),
    took=st.floats(0, 5),
)
def test_the_limits_always_hold(
    attempts: int, base: float, timeout: float, asked: list[float | None], took: float
):
    time = Time()
    starts: list[float] = []
    pending = list(asked)

    def attempt() -> str:
        starts.append(time.now)
        time.now += took
        if pending:
            raise RateLimitError("x", retry_after=pending.pop(0))
        return "done"

    policy = time.policy(
        attempts=attempts, base_delay=base, max_delay=max(base, 20), timeout=timeout
    )
    given_up = None
    try:
        policy.call(attempt)
    except RateLimitError as error:
        given_up = error
    if given_up is None:
        assert len(starts) == len(asked) + 1
    else:
        assert len(notes(given_up)) == 1
    assert len(starts) <= attempts
    assert all(start - 100 <= timeout + 1e-6 for start in starts)
    for waited, wanted in zip(time.slept, asked):
        assert waited >= (wanted or 0)


def test_the_decorator_follows_the_policy_and_keeps_the_name():
    failures = [NetworkError("x")]
    policy = Time().policy()

    @policy
    def fetch(name: str, *, times: int = 1) -> str:
        """Fetch."""
        if failures:
            raise failures.pop()
        return name * times

    assert fetch("a", times=3) == "aaa"
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch.")


def test_a_policy_can_be_used_again_with_its_limits_fresh():
    time = Time()
    policy = time.policy(attempts=2, timeout=5)
    for _ in range(3):
        time.now += 100
        policy.call(Flaky(NetworkError("x")))
    assert len(time.slept) == 3


def test_another_attempt_is_logged_without_secrets(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="hfl")
    Time().policy(base_delay=1).call(Flaky(NetworkError("lost https://me:secret@host/x")))
    assert caplog.messages == [
        "Attempt 1 of 5 failed (lost https://***@host/x); trying again in 1.0 s."
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"base_delay": -1},
        {"base_delay": float("nan")},
        {"base_delay": "1"},
        {"max_delay": float("inf")},
        {"base_delay": 10, "max_delay": 5},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"jitter": 1.1},
        {"jitter": -0.1},
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, object]):
    with pytest.raises(ConfigError, match=list(options)[-1]) as caught:
        RetryPolicy(**options)  # type: ignore[arg-type]  # wrong on purpose
    assert isinstance(caught.value, HflError)
    assert caught.value.hint


def test_policies_with_the_same_numbers_are_equal():
    assert RetryPolicy(sleep=print) == RetryPolicy()
    assert RetryPolicy(attempts=2) != RetryPolicy()


def test_a_policy_really_sleeps_by_default():
    assert RetryPolicy(base_delay=0).call(Flaky(NetworkError("x")), 1) == ((1,), {})
