"""When a step is saved: epochs, given steps, the clock, a metric, a signal; and all ranks alike."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfl_checkpoint import (
    AtSteps,
    BeforeDeadline,
    EveryEpochs,
    EveryMinutes,
    EverySteps,
    KeepAll,
    OnBest,
    OnSignal,
    SaveContext,
    SavePolicy,
)
from hfl_core import ConfigError

EPOCH_2030 = 1_893_456_000.0


class State:
    """A training state of a counter alone."""

    def __init__(self) -> None:
        self.step = 0
        self.epoch: Optional[int] = 0
        self.counter = {"step": 0}

    def components(self) -> Dict[str, Any]:
        self.counter["step"] = self.step
        return {"counter": self.counter}


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def context(step: int = 1, previous: int = 0, **metrics: Any) -> SaveContext:
    return SaveContext(step, None, previous, None, metrics)


def in_epoch(epoch: Optional[int], previous: Optional[int]) -> SaveContext:
    return SaveContext(10, epoch, 9, previous, {})


def saved(manager: Any) -> List[Any]:
    return [(item.step, item.reason) for item in manager.checkpoints()]


def walk(manager: Any, steps: Any, state: Optional[State] = None, **metrics: Any) -> State:
    """Take steps, each with its value of every metric."""
    state = state or State()
    for index, step in enumerate(steps):
        state.step = step
        manager.step(state, **{name: values[index] for name, values in metrics.items()})
    return state


# Epochs and given steps


@given(st.integers(1, 7), st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_an_epoch_interval_is_crossed_once_however_epochs_jump(n: int, jumps: List[int]) -> None:
    policy, epoch, saves = EveryEpochs(n), 0, 0
    for jump in jumps:
        reached = (epoch + jump) // n > epoch // n
        answer = policy.should_save(in_epoch(epoch + jump, epoch))
        assert answer == ("interval" if reached else None)
        saves += reached
        epoch += jump
    assert saves <= epoch // n


def test_an_epoch_counts_from_zero_where_nothing_was_known_before() -> None:
    assert EveryEpochs().should_save(in_epoch(1, None)) == "interval"
    assert EveryEpochs().should_save(in_epoch(0, None)) is None


def test_epochs_that_are_not_counted_are_an_error_at_the_first_step(open_manager: Any) -> None:
    manager = open_manager(save=EveryEpochs(1))
    state = State()
    state.step, state.epoch = 1, None
    with pytest.raises(ConfigError, match="counts no epochs"):
        manager.step(state)
    assert manager.checkpoints() == []


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
)
def test_each_given_step_is_saved_at_it_or_right_after(steps: List[int], jumps: List[int]) -> None:
    policy, step = AtSteps(*steps), 0
    for jump in jumps:
        passed = {item for item in steps if step < item <= step + jump}
        answer = policy.should_save(context(step + jump, step))
        assert answer == ("milestone" if passed else None)
        step += jump


@pytest.mark.parametrize(
    "make",
    [
        lambda: EveryEpochs(0),
        lambda: EveryEpochs(True),
        lambda: EveryEpochs(1.5),  # type: ignore[arg-type]  # refused when it runs
        AtSteps,
        lambda: AtSteps(10, 0),
        lambda: AtSteps([10, 20]),  # type: ignore[arg-type]  # refused when it runs
        lambda: EveryMinutes(0),
        lambda: EveryMinutes(-1),
        lambda: EveryMinutes(float("nan")),
        lambda: EveryMinutes("5"),  # type: ignore[arg-type]  # refused when it runs
        lambda: BeforeDeadline(0),
        lambda: BeforeDeadline(-5.0),
        lambda: BeforeDeadline(True),
        lambda: BeforeDeadline(float("inf")),
        lambda: BeforeDeadline("tomorrow"),  # type: ignore[arg-type]  # refused when it runs
        lambda: BeforeDeadline(60, margin=-1),
        lambda: BeforeDeadline(60, margin=float("nan")),
        lambda: BeforeDeadline(datetime.datetime(2030, 1, 1)),  # noqa: DTZ001  # what is refused
        lambda: BeforeDeadline(datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)),
        lambda: BeforeDeadline.from_environment(environ={}),
        lambda: BeforeDeadline.from_environment(environ={"SLURM_JOB_END_TIME": "soon"}),
        lambda: BeforeDeadline.from_environment(environ={"SLURM_JOB_END_TIME": "1e400"}),
        lambda: BeforeDeadline.from_environment(environ={"SLURM_JOB_END_TIME": "1000"}),
        lambda: OnBest(""),
        lambda: OnBest("loss", mode="lowest"),  # type: ignore[arg-type]  # refused when it runs
        lambda: OnSignal("SIGKILL"),
        lambda: OnSignal("SIGSTOP"),
        lambda: OnSignal(signal.SIGSEGV),
        lambda: OnSignal("SIGNAL"),
        lambda: OnSignal(12345),
        lambda: OnSignal(None),  # type: ignore[arg-type]  # refused when it runs
        lambda: OnSignal("SIGBREAK"),  # which this system does not have
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.hint


def test_an_interval_counts_over_a_resume(open_manager: Any) -> None:
    walk(open_manager(save=EverySteps(10)), [4, 9, 12])
    resumed = open_manager(save=EverySteps(10) | AtSteps(25))
    state = State()
    assert resumed.resume(state).checkpoint.step == 12
    walk(resumed, [13, 19, 21, 26, 28], state)
    assert saved(resumed) == [(12, "interval"), (21, "interval"), (26, "milestone")]


def test_the_reasons_of_all_policies_are_joined_once_each() -> None:
    policy = EverySteps(10) | AtSteps(20) | (EverySteps(5) | OnBest("loss"))
    assert isinstance(policy, SavePolicy)
    assert policy.should_save(context(20, 19)) == "interval+milestone"
    assert policy.should_save(context(20, 19, loss=1.0)) == "interval+milestone+best"
    assert policy.should_save(context(21, 20, loss=1.0)) == "best"
    assert policy.should_save(context(21, 20)) is None


# The clock


def test_minutes_count_from_the_last_save_whatever_it_was_for(open_manager: Any) -> None:
    clock = Clock()
    manager = open_manager(save=EveryMinutes(10, clock=clock) | AtSteps(3))
    state = State()
    for step, now in enumerate([0, 599, 600, 1199, 1200, 1799, 1801, 5000, 5001], start=1):
        clock.now = now
        walk(manager, [step], state)
    assert saved(manager) == [
        (3, "interval+milestone"),
        (5, "interval"),
        (7, "interval"),
        (8, "interval"),
    ]
    clock.now += 599
    state.step = 11
    manager.save(11, **state.components())
    clock.now += 599
    walk(manager, [12], state)
    assert saved(manager)[-1] == (11, "manual")


def test_a_resumed_run_counts_its_minutes_anew(open_manager: Any) -> None:
    clock = Clock()
    walk(open_manager(save=AtSteps(1)), [1])
    manager = open_manager(save=EveryMinutes(10, clock=clock))
    clock.now = 595  # the model is being loaded
    state = State()
    manager.resume(state)
    clock.now = 1194
    walk(manager, [2], state)
    assert saved(manager) == [(1, "milestone")]
    clock.now = 1195
    walk(manager, [3], state)
    assert saved(manager) == [(1, "milestone"), (3, "interval")]


def test_a_deadline_is_saved_for_once_and_as_late_as_the_slowest_step_allows() -> None:
    clock = Clock(EPOCH_2030)
    policy = BeforeDeadline(1000, margin=60, clock=clock)
    asked = []
    for second in (0, 100, 130, 700, 840, 940, 999):
        clock.now = EPOCH_2030 + second
        asked.append(policy.should_save(context()))
        if asked[-1]:
            policy.on_save(context())
    # The slowest step took 570 s, so that after 700 s there was no time for another one.
    assert asked == [None, None, None, "deadline", None, None, None]


def test_a_deadline_leaves_time_for_as_long_as_saves_took() -> None:
    clock = Clock(EPOCH_2030)
    policy = BeforeDeadline(datetime.timedelta(seconds=1000), margin=10, clock=clock)
    policy.on_commit(200.0)
    policy.on_commit(50.0)
    clock.now += 780
    assert policy.should_save(context()) is None
    clock.now += 5  # 215 s are left, and a save, a step and the margin take that long
    assert policy.should_save(context()) == "deadline"
    assert policy.should_save(context()) == "deadline", "until it is saved"
    assert policy.remaining() == 215


def test_a_save_for_another_reason_shortly_before_the_deadline_is_enough() -> None:
    clock = Clock(EPOCH_2030)
    policy = BeforeDeadline(1000, margin=60, clock=clock)
    policy.on_save(context())
    clock.now += 950
    policy.on_save(context())
    assert policy.should_save(context()) is None


def test_the_time_of_a_save_does_not_count_as_a_slow_step() -> None:
    clock = Clock(EPOCH_2030)
    policy = BeforeDeadline(1000, margin=0, clock=clock)
    assert policy.should_save(context()) is None
    policy.on_save(context())
    clock.now += 500
    policy.on_commit(500.0)
    assert policy.should_save(context()) == "deadline"
    policy = BeforeDeadline(500, margin=0, clock=clock)
    assert policy.should_save(context()) is None
    policy.on_save(context())
    clock.now += 300
    assert policy.should_save(context()) is None


@pytest.mark.parametrize(
    "text", ["1893456000", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00Z", " 1893456000.0\n"]
)
def test_a_deadline_comes_from_the_environment(text: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", text)
    clock = Clock(EPOCH_2030 - 100)
    policy = BeforeDeadline.from_environment(margin=30, clock=clock)
    assert policy.remaining() == 100
    assert repr(policy) == "BeforeDeadline(2030-01-01T00:00:00+00:00, margin=30)"
    assert (
        BeforeDeadline.from_environment("MY_END", environ={"MY_END": text}, clock=clock).remaining()
        == 100
    )


def test_a_save_before_the_deadline_is_safe_before_training_goes_on(run_path: Path) -> None:
    from hfl_checkpoint import CheckpointManager

    clock = Clock(EPOCH_2030)
    policy = BeforeDeadline(100, margin=60, clock=clock)
    with CheckpointManager(run_path, save=policy, when_busy="skip") as manager:
        state = walk(manager, [1])
        clock.now += 50
        state.step = 2
        manager.step(state)
        on_disk = [path.name for path in run_path.iterdir() if path.name.startswith("step")]
        assert on_disk == ["step-00000002"]
    assert saved(manager) == [(2, "deadline")]


# A metric


def test_only_what_beats_every_checkpoint_is_saved_as_best(open_manager: Any) -> None:
    manager = open_manager(save=OnBest("eval"))
    nan, inf = float("nan"), float("inf")
    values = [nan, None, inf, 0.5, 0.5, 0.6, torch.tensor(0.4), -inf, "0.1", 0.39]
    walk(manager, range(1, 11), eval=values)
    assert saved(manager) == [(4, "best"), (7, "best"), (10, "best")]


def test_more_is_better_if_it_is_said(open_manager: Any) -> None:
    manager = open_manager(save=OnBest("accuracy", mode="max"))
    walk(manager, range(1, 5), accuracy=[0.5, 0.4, 0.6, 0.6])
    assert saved(manager) == [(1, "best"), (3, "best")]


def test_what_was_saved_for_another_reason_counts_as_the_best_so_far(open_manager: Any) -> None:
    manager = open_manager(save=OnBest("eval") | AtSteps(2))
    walk(manager, range(1, 5), eval=[0.5, 0.4, 0.45, 0.3])
    assert saved(manager) == [(1, "best"), (2, "best+milestone"), (4, "best")]


def test_after_a_resume_the_best_is_that_of_the_checkpoints(open_manager: Any) -> None:
    walk(open_manager(save=OnBest("eval") | AtSteps(3)), range(1, 4), eval=[0.5, 0.2, 0.4])
    manager = open_manager(save=OnBest("eval"))
    state = State()
    assert manager.resume(state).checkpoint.step == 3
    walk(manager, range(4, 7), state, eval=[0.3, 0.19, 0.2])
    assert saved(manager) == [(1, "best"), (2, "best"), (3, "milestone"), (5, "best")]


def test_another_run_in_the_same_directory_sets_no_record(open_manager: Any) -> None:
    walk(open_manager(save=OnBest("eval")), [1], eval=[0.001])
    manager = open_manager(save=OnBest("eval"), keep=KeepAll())
    walk(manager, [1], eval=[0.5])
    assert saved(manager) == [(1, "best")]


# A signal


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back what a test has done to the handlers."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.usefixtures("handlers")
def test_a_signal_saves_at_the_next_step_and_calls_the_handler_before(open_manager: Any) -> None:
    heard: List[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    earlier = signal.getsignal(signal.SIGUSR1)
    policy = OnSignal(signal.SIGUSR1)
    manager = open_manager(save=policy)
    state = walk(manager, [1])
    assert policy.received is None
    send(signal.SIGUSR1)
    assert manager.checkpoints() == [], "not in the handler: the step is not over"
    walk(manager, [2, 3], state)
    assert saved(manager) == [(2, "preemption")]
    assert heard == [signal.SIGUSR1]
    assert policy.received is signal.SIGUSR1
    send(signal.SIGUSR1)
    walk(manager, [4], state)
    assert saved(manager) == [(2, "preemption"), (4, "preemption")]
    manager.close()
    assert signal.getsignal(signal.SIGUSR1) is earlier
    send(signal.SIGUSR1)
    assert heard == [signal.SIGUSR1] * 3


@pytest.mark.usefixtures("handlers")
def test_a_handler_that_others_put_on_top_stays_and_reaches_the_one_below(
    open_manager: Any,
) -> None:
    heard: List[str] = []
    signal.signal(signal.SIGUSR1, lambda *_: heard.append("below"))
    manager = open_manager(save=OnSignal("SIGUSR1"))
    ours: Any = signal.getsignal(signal.SIGUSR1)

    def above(number: int, frame: Any) -> None:
        heard.append("above")
        ours(number, frame)

    signal.signal(signal.SIGUSR1, above)
    send(signal.SIGUSR1)
    walk(manager, [1])
    assert saved(manager) == [(1, "preemption")]
    manager.close()
    assert signal.getsignal(signal.SIGUSR1) is above
    send(signal.SIGUSR1)
    assert heard == ["above", "below"] * 2


@pytest.mark.usefixtures("handlers")
def test_two_managers_listen_one_on_top_of_the_other(open_manager: Any, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    first = open_manager(save=OnSignal("SIGUSR2"))
    second = open_manager(tmp_path / "other", save=OnSignal("SIGUSR2"))
    send(signal.SIGUSR2)
    walk(first, [1])
    walk(second, [1])
    assert saved(first) == saved(second) == [(1, "preemption")]
    second.close()
    first.close()
    assert signal.getsignal(signal.SIGUSR2) is before


@pytest.mark.usefixtures("handlers")
def test_an_interrupt_saves_first_and_interrupts_when_it_is_repeated(open_manager: Any) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clock = Clock()
    manager = open_manager(save=OnSignal("SIGINT", clock=clock))
    send(signal.SIGINT)
    clock.now = 4.0
    send(signal.SIGINT)  # a launcher forwards what the terminal sent to everybody
    state = walk(manager, [1])
    clock.now = 6.0
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    assert saved(manager) == [(1, "preemption")]
    walk(manager, [2], state)


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_was_ignored_is_listened_to_and_then_ignored_again(open_manager: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    manager = open_manager(save=OnSignal())
    send(signal.SIGTERM)
    walk(manager, [1])
    assert saved(manager) == [(1, "preemption")]
    manager.close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@pytest.mark.usefixtures("handlers")
def test_another_thread_is_told_that_it_cannot_listen(
    open_manager: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    policy = OnSignal("SIGUSR1")
    found: List[Any] = []

    def work() -> None:
        found.append(open_manager(save=policy | AtSteps(1)))
        walk(found[0], [1])
        found[0].close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert saved(found[0]) == [(1, "milestone")]
    assert signal.getsignal(signal.SIGUSR1) is before
    assert "only the main thread" in caplog.text


@pytest.mark.usefixtures("handlers")
def test_closing_in_another_thread_leaves_a_handler_that_passes_on(open_manager: Any) -> None:
    heard: List[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    policy = OnSignal("SIGUSR1")
    manager = open_manager(save=policy)
    thread = threading.Thread(target=manager.close)
    thread.start()
    thread.join()
    send(signal.SIGUSR1)
    assert heard == [signal.SIGUSR1]
    assert policy.should_save(context()) is None


def test_names_that_other_systems_have_are_left_out() -> None:
    assert repr(OnSignal("SIGBREAK", "SIGTERM", signal.SIGTERM)) == "OnSignal('SIGTERM')"
    assert OnSignal().signals == (signal.SIGTERM, signal.SIGUSR1)
    assert OnSignal(int(signal.SIGUSR2)).signals == (signal.SIGUSR2,)


def train_until_told(path: Path, repeat: bool) -> Any:
    """Run a training loop that gets SIGTERM, as it would be written."""
    from hfl_checkpoint import CheckpointManager

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    clock = Clock()
    policy = OnSignal(clock=clock)
    state = State()
    with CheckpointManager(path, save=policy) as manager:
        for step in range(1, 100):
            state.step = step
            if step == 7:
                send(signal.SIGTERM)
            if step == 9 and repeat:
                clock.now = 10.0
                send(signal.SIGTERM)
            manager.step(state)
            if policy.received and not repeat:
                break
    return step, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_terminated_process_saves_and_ends_by_itself(children: Any, run_path: Path) -> None:
    from hfl_checkpoint import CheckpointManager

    assert children.call(lambda: train_until_told(run_path, False)) == (7, True)
    assert saved(CheckpointManager(run_path)) == [(7, "preemption")]


def test_a_loop_that_does_not_stop_is_ended_by_the_second_signal(
    children: Any, run_path: Path
) -> None:
    from hfl_checkpoint import CheckpointManager

    status = children.wait(children.start(lambda: train_until_told(run_path, True)))
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGTERM
    assert saved(CheckpointManager(run_path)) == [(7, "preemption")]


@pytest.mark.usefixtures("handlers")
def test_in_the_middle_of_accumulated_batches_nothing_is_saved_and_after_them_what_was_due(
    open_manager: Any,
) -> None:
    class Accumulating(State):
        batch = 0

        @property
        def is_step_boundary(self) -> bool:
            return self.batch % 3 == 0

        def components(self) -> Dict[str, Any]:
            assert self.is_step_boundary, "here no state holds the gradients"
            return super().components()

    manager = open_manager(save=OnSignal("SIGUSR1") | EveryEpochs(1))
    state = Accumulating()
    for state.batch in range(1, 13):
        state.step, state.epoch = -(-state.batch // 3), state.batch // 8
        if state.batch == 4:
            send(signal.SIGUSR1)
        manager.step(state)
    assert saved(manager) == [(2, "preemption"), (3, "interval")]


# All ranks alike


RANK = """
import datetime, json, os, signal, sys
from hfl_checkpoint import BeforeDeadline, EveryMinutes, OnBest, OnSignal, SaveContext
from hfl_checkpoint._policies import tell
import torch.distributed

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
)
# The clock of rank 1 is three seconds ahead and goes faster, and its metric is another one.
begin = 1_893_456_000.0
now = begin + 3.0 * rank
clock = lambda: now
minutes = EveryMinutes(0.5, clock=clock)
deadline = BeforeDeadline(
    datetime.datetime.fromtimestamp(begin + 100, datetime.timezone.utc), margin=10, clock=clock
)
told = OnSignal("SIGUSR1")
policy = minutes | deadline | OnBest("loss") | told
tell(policy, "on_start")
answers = []
for step in range(1, 121):
    now += 1.0 if rank == 0 else 1.02
    if step == 33 and rank == 1:
        os.kill(os.getpid(), signal.SIGUSR1)
    loss = {30: 0.5, 40: 0.4}.get(step) if rank == 0 else 1.0 / step
    context = SaveContext(step, None, step - 1, None, {"loss": loss})
    reason = policy.should_save(context)
    if reason:
        answers.append([step, reason])
        tell(policy, "on_save", context)
tell(policy, "on_close")
print(json.dumps([*answers, told.received.name]), flush=True)
os._exit(0)  # taking the meeting file down waits for ever at times with older releases of torch
"""


def test_all_processes_save_at_the_same_steps_although_their_clocks_differ(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    first, second = (json.loads(process.communicate(timeout=120)[0]) for process in running)
    assert first == second
    assert first == [
        [30, "interval+best"],
        [33, "preemption"],
        [40, "best"],
        [70, "interval"],
        [89, "deadline"],
        [119, "interval"],
        "SIGUSR1",
    ]


def test_a_policy_that_listens_to_nothing_may_have_attributes_of_any_name(
    open_manager: Any,
) -> None:
    class Mine:
        on_save = "never mind"

        def should_save(self, context: SaveContext) -> Optional[str]:
            return "mine" if context.step == 2 else None

    manager = open_manager(save=Mine())
    walk(manager, [1, 2])
    assert saved(manager) == [(2, "mine")]


def test_seconds_that_are_left_pass_whatever_the_clock_on_the_wall_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall, passed = [1e9], [5.0]
    monkeypatch.setattr(time, "time", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    policy = BeforeDeadline(100, margin=10)
    wall[0] += 86_400.0  # summer time, or a clock that was set
    passed[0] += 1.0
    assert policy.should_save(SaveContext(1, None, 0, None, {})) is None
    wall[0] -= 2 * 86_400.0
    passed[0] += 95.0
    assert policy.should_save(SaveContext(2, None, 1, None, {})) == "deadline"
