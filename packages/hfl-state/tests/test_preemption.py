"""Signals and deadlines end a run after its step, the same one in every process."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import signal
import threading

import pytest
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state import PreemptionGuard, TrainingState

NAIVE = datetime.datetime.fromisoformat("2030-01-01")  # without a zone on purpose


class Hands:
    """A clock that is moved by hand."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def make(guard, workers=0, **options):
    loader = DataLoader(range(400), batch_size=2, num_workers=workers)
    return TrainingState(model=torch.nn.Linear(1, 1), loader=loader, guard=guard, seed=0, **options)


def in_processes(target, *arguments, count=1):
    """Run a function in forked processes and return their exit codes."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=in_one_thread, args=(target, rank, *arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(100)
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()  # who still waits would wait for ever


def in_one_thread(target, *arguments):
    torch.set_num_threads(1)
    target(*arguments)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_the_first_signal_ends_the_loop_after_the_step_in_which_the_guard_is_asked(name):
    with PreemptionGuard() as guard:
        state = make(guard)
        asked = []
        for _ in state.batches(steps=100):
            if state.step == 3:
                signal.raise_signal(signal.Signals[name])
            asked.append(guard.should_stop())
        assert asked == [False, False, True]
        assert (state.step, guard.reason, guard.received) == (3, name, signal.Signals[name])
        assert guard.exit_code == 128 + signal.Signals[name]
        assert list(make(guard).batches(steps=5)) == [], "a run that is to stop begins nothing"


def test_a_loop_that_does_not_ask_gets_one_more_step_in_which_others_can_save():
    with PreemptionGuard("SIGTERM") as guard:
        state = make(guard)
        stopping = []
        for _ in state.batches(steps=100):
            if state.step == 3:
                signal.raise_signal(signal.SIGTERM)
            stopping.append(guard.is_stopping)
    assert stopping == [False, False, False, True]


def test_a_group_of_accumulated_batches_is_finished_first():
    with PreemptionGuard("SIGTERM") as guard:
        state = make(guard)
        for _ in state.batches(steps=100, accumulate=4):
            if state.batch == 5:
                signal.raise_signal(signal.SIGTERM)
            if state.is_step_boundary:
                guard.should_stop()
    assert (state.batch, state.step) == (8, 2)
    state.state_dict()


def test_a_guard_that_is_asked_after_each_batch_stops_where_no_gradients_are_lost():
    with PreemptionGuard("SIGTERM") as guard:
        state = make(guard)
        saved = None
        for _ in state.batches(steps=100, accumulate=4):
            if state.batch == 6:
                signal.raise_signal(signal.SIGTERM)
            if guard.should_stop():
                saved = state.state_dict()
    assert saved["progress"]["step"] == state.step == 2
    with PreemptionGuard("SIGTERM") as guard:
        for _ in make(guard).batches(steps=100, accumulate=4):
            break  # who leaves in the middle of a group can still be told to stop
        signal.raise_signal(signal.SIGTERM)
        assert guard.should_stop()


def test_one_step_gets_one_answer_even_if_the_signal_comes_in_between():
    with PreemptionGuard("SIGTERM") as guard:
        state = make(guard)
        answers = []
        for _ in state.batches(steps=3):
            first = guard.should_stop()
            if state.step == 2:
                signal.raise_signal(signal.SIGTERM)
            answers.append((first, guard.should_save(None)))
    assert answers[1] == (False, None)
    assert answers[2] == (True, "preemption")


def stop_at_the_second(_, name, seconds):
    clock = Hands()
    with PreemptionGuard(monotonic=clock):
        signal.raise_signal(signal.Signals[name])
        clock.now += seconds
        signal.raise_signal(signal.Signals[name])
    os._exit(7)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_the_second_signal_ends_the_process_as_it_would_have_without_a_guard(name):
    assert in_processes(stop_at_the_second, name, 2.0) == [-signal.Signals[name]]


def test_the_echo_of_a_launcher_is_no_second_signal():
    assert in_processes(stop_at_the_second, "SIGTERM", 0.5) == [7]


def interrupt(guard, clock):
    for _ in make(guard).batches(steps=100):
        clock.now += 2
        signal.raise_signal(signal.SIGINT)


def test_a_second_interrupt_is_a_keyboard_interrupt():
    clock = Hands()
    with PreemptionGuard(monotonic=clock) as guard, pytest.raises(KeyboardInterrupt):
        interrupt(guard, clock)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_earlier_handlers_are_called_too_and_put_back():
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: calls.append(number))
    mine = signal.getsignal(signal.SIGUSR1)
    try:
        with PreemptionGuard("SIGUSR1") as guard:
            signal.raise_signal(signal.SIGUSR1)
            assert guard.should_stop()
        assert calls == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is mine
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_guard_that_somebody_chained_stays_and_passes_on():
    outer, inner = PreemptionGuard("SIGUSR1"), PreemptionGuard("SIGUSR1")
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: calls.append(number))
    try:
        outer.install()
        inner.install()
        outer.remove()
        signal.raise_signal(signal.SIGUSR1)
        assert inner.should_stop()
        assert not outer.should_stop()
        assert calls == [signal.SIGUSR1]
        inner.remove()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_deadline_ends_the_run_with_a_step_and_the_margin_to_spare():
    clock = Hands()
    guard = PreemptionGuard(deadline=100, margin=20, clock=clock)
    state = make(guard)
    for _ in state.batches(steps=1000):
        clock.now += 7
        guard.should_stop()
    # The first step of 7 s after which less than 20 + 7 s would be left: 77 s of 100.
    assert (state.step, guard.reason, guard.exit_code) == (11, "deadline", 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deadline": -1}, "passed 1 s ago"),
        ({"deadline": datetime.timedelta(seconds=-5)}, "passed 5 s ago"),
        ({"deadline": NAIVE}, "which time zone"),
        ({"deadline": "soon"}, "is not a deadline"),
        ({"margin": -1}, "margin=-1"),
        ({"every": 0}, "every=0"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        PreemptionGuard(**options)
    assert caught.value.hint


def test_a_moment_with_a_time_zone_is_a_deadline():
    moment = datetime.datetime.fromtimestamp(1060, datetime.timezone.utc)
    assert PreemptionGuard(deadline=moment, margin=60, clock=Hands()).should_stop()
    assert not PreemptionGuard(deadline=moment, margin=59, clock=Hands()).should_stop()


@pytest.mark.parametrize(
    ("name", "words"),
    [("SIGKILL", "cannot go on"), ("SIGNAL", "not a signal"), (4711, "not a signal")],
)
def test_what_is_no_signal_or_cannot_be_caught_is_refused(name, words):
    with pytest.raises(ConfigError, match=words):
        PreemptionGuard(name)


def test_a_signal_that_only_other_systems_have_is_left_out():
    assert PreemptionGuard("SIGTERM", "SIGBREAK").signals == (signal.SIGTERM,)
    assert "SIGTERM" in repr(PreemptionGuard("SIGTERM"))


def test_outside_of_the_main_thread_it_says_that_it_cannot_listen(caplog):
    guard = PreemptionGuard("SIGUSR1")
    before = signal.getsignal(signal.SIGUSR1)
    for action in (guard.install, guard.remove):
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()
    assert "only the main thread" in caplog.text
    assert signal.getsignal(signal.SIGUSR1) == before


def in_a_group(_, folder, workers, name):
    os.setsid()
    with PreemptionGuard() as guard:
        state = make(guard, workers)
        seen = []
        for batch in state.batches(steps=150):
            seen += batch.tolist()
            if state.step == 3:
                os.killpg(os.getpgrp(), signal.Signals[name])
            if guard.should_stop():
                torch.save(state.state_dict(), folder / "state.pt")
    (folder / "seen.json").write_text(json.dumps(seen))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_workers_outlive_a_signal_to_the_whole_group_so_that_the_step_can_be_saved(name, tmp_path):
    assert in_processes(in_a_group, tmp_path, 2, name) == [0]
    assert json.loads((tmp_path / "seen.json").read_text()) == list(range(6))
    state = make(None)
    state.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert next(state.batches(steps=4)).tolist() == [6, 7]


def wait_until_told(ready):
    ready.set()
    threading.Event().wait(60)
    os._exit(9)


def test_a_forked_process_that_is_no_worker_still_ends_when_told():
    with PreemptionGuard("SIGTERM"):
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        process = context.Process(target=wait_until_told, args=(ready,))
        process.start()
        assert ready.wait(60)
        process.terminate()
        process.join(60)
    assert process.exitcode == -signal.SIGTERM


def one_of_several(rank, folder, count):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count
    )
    with PreemptionGuard() as guard:
        state = make(guard)
        for _ in state.batches(steps=50):
            if rank == 1 and state.step == 3:
                signal.raise_signal(signal.SIGTERM)
            if guard.should_stop():
                torch.save(state.state_dict(), folder / f"{rank}.pt")
    facts = [state.step, guard.reason, guard.received is not None]
    (folder / f"{rank}.json").write_text(json.dumps(facts))
    dist.destroy_process_group()


def test_a_signal_to_one_process_stops_all_after_the_same_step(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert in_processes(one_of_several, tmp_path, 2, count=2) == [0, 0]
    facts = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert facts == [[3, "SIGTERM", False], [3, "SIGTERM", True]]
    for rank in range(2):
        saved = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert saved["progress"]["step"] == 3
        assert (saved["rng"]["rank"], saved["loader"]["rank"]) == (rank, rank)


def meet_and_part(rank, folder, count, rounds):
    for number in range(rounds):
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/{number}", rank=rank, world_size=count
        )
        with PreemptionGuard() as guard:
            assert not guard.should_stop()
        dist.destroy_process_group()


def test_processes_can_part_right_after_they_agreed(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert in_processes(meet_and_part, tmp_path, 2, 40, count=2) == [0, 0]
