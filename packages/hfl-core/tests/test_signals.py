"""Handlers of signals: they pass on, come off cleanly, and mean nothing in a fork."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading

import pytest

from hfl_core import (
    ConfigError,
    SignalHandlers,
    SteadyWorker,
    find_signals,
    signals_listened_to,
)

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers():
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
    assert signals_listened_to() == ()


class Heard(list):
    """Remembers signals, and says whether they end the process."""

    def __init__(self, ends=False):
        super().__init__()
        self.ends = ends

    def __call__(self, received):
        self.append(received.name)
        return self.ends


def listening(heard, *signals):
    handlers = SignalHandlers(signals or [signal.SIGUSR1], heard)
    assert handlers.install()
    return handlers


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("SIGKILL", "cannot go on"),
        (signal.SIGSEGV, "cannot go on"),
        ("SIGNAL", "not a signal"),
        (4711, "not a signal"),
        (None, "not a signal"),
    ],
)
def test_what_is_no_signal_or_cannot_be_caught_is_refused(wanted, words):
    with pytest.raises(ConfigError, match=words) as caught:
        find_signals([wanted])
    assert caught.value.hint


def test_signals_are_found_by_name_and_number_once_and_others_systems_ones_are_left_out():
    wanted = ["SIGTERM", int(signal.SIGINT), signal.SIGTERM, "SIGBREAK"]
    assert find_signals(wanted) == (signal.SIGTERM, signal.SIGINT)


def test_installing_twice_listens_once_and_removing_twice_takes_nothing_from_others():
    heard, others = Heard(), Heard()
    before = signal.getsignal(signal.SIGUSR1)
    other = listening(others)
    handlers = listening(heard)
    assert handlers.install()
    assert handlers.is_listening
    signal.raise_signal(signal.SIGUSR1)
    assert (heard, others) == (["SIGUSR1"], ["SIGUSR1"])
    handlers.remove()
    handlers.remove()
    assert signals_listened_to() == (signal.SIGUSR1,)
    signal.raise_signal(signal.SIGUSR1)
    assert (len(heard), len(others)) == (1, 2)
    other.remove()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_what_is_installed_again_under_a_handler_that_calls_it_does_not_call_itself_for_ever():
    heard, chain = Heard(), []
    signal.signal(signal.SIGUSR1, lambda *_: chain.append("below"))
    handlers = listening(heard)
    ours = signal.getsignal(signal.SIGUSR1)

    def above(number, frame):
        chain.append("above")
        ours(number, frame)

    signal.signal(signal.SIGUSR1, above)
    handlers.remove()
    signal.raise_signal(signal.SIGUSR1)
    assert (heard, chain) == ([], ["above", "below"])
    assert handlers.install()
    signal.raise_signal(signal.SIGUSR1)
    assert (heard, chain) == (["SIGUSR1"], ["above", "below"] * 2)
    handlers.remove()
    assert signal.getsignal(signal.SIGUSR1) is above


def test_after_a_removal_in_another_thread_it_passes_on_and_can_be_installed_again():
    heard, below = Heard(), []
    signal.signal(signal.SIGUSR1, lambda *_: below.append(1))
    handlers = listening(heard)
    thread = threading.Thread(target=handlers.remove)
    thread.start()
    thread.join()
    assert not handlers.is_listening
    signal.raise_signal(signal.SIGUSR1)
    assert handlers.install()
    signal.raise_signal(signal.SIGUSR1)
    assert (heard, len(below)) == (["SIGUSR1"], 2)
    handlers.remove()


def test_who_has_a_function_of_somebody_else_below_knows_it():
    handlers = listening(Heard(), signal.SIGUSR1, signal.SIGINT)
    above = listening(Heard(), signal.SIGUSR1)
    assert not handlers.has_earlier(signal.SIGUSR1)
    assert not handlers.has_earlier(signal.SIGINT)
    assert above.has_earlier(signal.SIGUSR1)
    above.remove()
    handlers.remove()


def test_an_interrupt_that_ends_is_a_keyboard_interrupt_and_one_that_was_ignored_is_not():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handlers = listening(Heard(ends=True), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    handlers.remove()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handlers = listening(Heard(ends=True), signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    handlers.remove()


def in_a_fork(action):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=action)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_signal_that_ends_does_so_by_its_default_and_in_a_fork_as_it_was_before():
    def ends():
        listening(Heard(ends=True))
        signal.raise_signal(signal.SIGUSR1)

    assert in_a_fork(ends) == -signal.SIGUSR1
    handlers = listening(Heard())
    assert in_a_fork(lambda: signal.raise_signal(signal.SIGUSR1)) == -signal.SIGUSR1
    handlers.remove()
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
    handlers = listening(Heard())
    assert in_a_fork(lambda: signal.raise_signal(signal.SIGUSR1)) == 7
    handlers.remove()


def work_on(worker):
    worker(3)
    signal.raise_signal(signal.SIGUSR1)
    os._exit(5)


def test_a_worker_ignores_what_its_parent_listens_to_and_does_the_users_work():
    called = []
    SteadyWorker(called.append)(3)
    assert called == [3]
    assert in_a_fork(lambda: work_on(SteadyWorker())) == -signal.SIGUSR1
    handlers = listening(Heard())
    assert in_a_fork(lambda: work_on(SteadyWorker())) == 5
    sent = pickle.dumps(SteadyWorker(abs))  # what a spawned worker gets
    handlers.remove()
    assert in_a_fork(lambda: work_on(pickle.loads(sent))) == 5
