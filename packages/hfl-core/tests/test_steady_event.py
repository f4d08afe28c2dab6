from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from hfl_core import SteadyEvent


def test_every_thread_that_waits_is_woken() -> None:
    event = SteadyEvent()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(event.wait(30.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8


def test_what_was_cleared_can_be_waited_for_again() -> None:
    event = SteadyEvent()
    event.set()
    event.set()
    assert event.wait()
    assert event.is_set()
    event.clear()
    event.clear()
    assert not event.is_set()
    assert not event.wait(0.001)
    event.set()
    assert event.wait(0.0)


@pytest.mark.skipif(os.name != "posix", reason="POSIX timers")
def test_interrupts_at_any_moment_of_the_waiting_do_not_hold_up_the_one_who_sets() -> None:
    class InterruptError(Exception):
        pass

    def interrupt(*_: Any) -> None:
        raise InterruptError

    earlier = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for _ in range(2000):
            event, is_through = SteadyEvent(), threading.Event()

            def give(event: SteadyEvent = event, is_through: Any = is_through) -> None:
                event.set()
                is_through.set()

            thread = threading.Thread(target=give, daemon=True)
            thread.start()
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002)
                while True:  # as one who asks again and again
                    event.wait(0.00001)
            except InterruptError:
                interrupted += 1
            assert is_through.wait(30.0)
            assert event.wait(30.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    assert interrupted == 2000
