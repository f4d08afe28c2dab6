from __future__ import annotations

import os
import subprocess
import sys
import threading

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


INTERRUPTED = """
import signal, threading
from hfl_core import SteadyEvent

class Interrupt(Exception):
    pass

def interrupt(*_):
    raise Interrupt

signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
for _ in range(2000):
    event, is_through = SteadyEvent(), threading.Event()

    def give():
        event.set()
        is_through.set()

    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.00002)
        while True:  # as one who asks again and again
            event.wait(0.00001)
    except Interrupt:
        interrupted += 1
    assert is_through.wait(30.0) and event.wait(30.0)
print(interrupted)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX timers")
def test_interrupts_at_any_moment_of_the_waiting_do_not_hold_up_the_one_who_sets() -> None:
    # A process of its own, which coverage does not measure: interrupts leave its locks locked.
    environment = {k: v for k, v in os.environ.items() if k != "COVERAGE_PROCESS_START"}
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.stdout.strip(), result.stderr) == ("2000", "")
