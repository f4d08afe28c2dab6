from __future__ import annotations

import json
import threading

import pytest

from hfl_core import ConfigError, Timer
from hfl_core._time_summary import duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_spans_nest_and_add_up():
    clock = Clock()
    timer = Timer(clock)
    with timer.span("save"):
        clock.now += 1
        for _ in range(2):
            with timer.span("write"):
                clock.now += 2
    assert [(s.path, s.count, s.seconds, s.own_seconds) for s in timer.spans()] == [
        ("save", 1, 5, 1),
        ("save/write", 2, 4, 4),
    ]
    assert timer.seconds("save/write") == 4
    assert timer.seconds("never") == 0


def test_a_span_that_raises_is_measured():
    clock = Clock()
    timer = Timer(clock)

    def load() -> None:
        with timer.span("load"):
            clock.now += 3
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        load()
    with timer.span("next"):
        pass
    assert [span.path for span in timer.spans()] == ["load", "next"]
    assert timer.seconds("load") == 3


def test_threads_nest_their_own_spans():
    timer = Timer()
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with timer.span("upload"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with timer.span("save"):
        thread.start()
        assert inside.wait(10)
        with timer.span("write"):
            pass
    leave.set()
    thread.join(10)
    assert {span.path for span in timer.spans()} == {"save", "save/write", "upload"}


def test_the_text_shows_the_nesting():
    clock = Clock()
    timer = Timer(clock)
    with timer.span("save"), timer.span("write"):
        clock.now += 1.5
    first, second = str(timer).splitlines()
    assert first.startswith("save ")
    assert second.startswith("  write ")
    assert second.endswith("1.500 s")


def test_a_timer_that_measured_nothing_is_empty():
    assert Timer().spans() == []
    assert str(Timer()) == ""


def test_percentiles_of_a_span():
    timer = Timer(Clock())
    for hundredth in range(100, 0, -1):
        timer.add("step", hundredth / 100)
    (span,) = timer.spans()
    assert (span.count, span.shortest, span.longest) == (100, 0.01, 1.0)
    assert (span.p50, span.p90, span.p99) == pytest.approx((0.505, 0.901, 0.9901))
    assert timer.percentile("step", 0) == 0.01
    assert timer.percentile("step", 100) == 1.0
    assert timer.percentile("never", 50) == 0.0
    with pytest.raises(ConfigError, match="percentile 101"):
        timer.percentile("step", 101)


def test_percentiles_of_a_long_run_are_estimated_in_little_memory():
    timer = Timer(Clock())
    for number in range(100_000):
        timer.add("step", number / 100_000)
    (span,) = timer.spans()
    assert (span.count, span.shortest, span.longest) == (100_000, 0.0, 0.99999)
    assert span.p50 == pytest.approx(0.5, abs=0.05)
    assert span.p99 == pytest.approx(0.99, abs=0.01)
    assert len(timer._records["step"].sample) == 2048


def test_a_summary_divides_the_time_and_names_the_rest():
    clock = Clock()
    timer = Timer(clock)
    for _ in range(4):
        with timer.span("train"):
            clock.now += 15
    with timer.span("save"):
        clock.now += 5
        with timer.span("wait"):
            clock.now += 5
    clock.now += 30

    def upload() -> None:
        with timer.span("upload"):
            clock.now += 0

    worker = threading.Thread(target=upload)
    worker.start()
    worker.join()
    summary = timer.summary()
    assert summary.seconds == 100
    assert [(row.path, summary.share(row)) for row in summary.rows] == [
        ("train", 0.6),
        ("save", 0.1),
        ("save/wait", 0.05),
        ("upload", 0.0),
    ]
    assert summary.other_seconds == 30
    data = json.loads(summary.to_json())
    assert data == summary.to_dict()
    assert (data["format"], data["spans"][0]["path"], data["spans"][0]["share"]) == (
        1,
        "train",
        0.6,
    )
    lines = str(summary).splitlines()
    assert lines[0] == "1.67 min in all"
    assert lines[2].split() == ["train", "60.0%", "1.00", "min", "4", "15.00", "s", "15.00", "s"]
    assert lines[4].startswith("  wait ")
    assert lines[-1].split() == ["(the", "rest)", "30.0%", "30.00", "s"]


def test_what_other_threads_do_is_listed_beside():
    clock = Clock()
    timer = Timer(clock)
    clock.now += 10
    worker = threading.Thread(target=timer.add, args=("upload", 8.0))
    worker.start()
    worker.join()
    timer.add("upload", 1.0)
    with timer.span("train"):
        clock.now += 2
    summary = timer.summary()
    assert [row.path for row in summary.rows] == ["train"]
    assert [(row.path, row.background_seconds) for row in summary.background] == [("upload", 8.0)]
    assert summary.other_seconds == 10
    assert "meanwhile, on other threads" in str(summary)


def test_what_was_measured_elsewhere_is_part_of_its_parent():
    timer = Timer(Clock())
    timer.add("save", 3.0)
    timer.add("save/write", 2.0)
    assert [(s.path, s.own_seconds) for s in timer.spans()] == [("save", 1.0), ("save/write", 2.0)]


def test_a_summary_of_nothing():
    assert str(Timer(Clock()).summary()).splitlines()[0] == "0.00 s in all"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (2e-5, "20.0 µs"), (0.002, "2.00 ms"), (90, "1.50 min"), (5400, "1.50 h")],
)
def test_times_are_written_as_people_say_them(seconds: float, text: str):
    assert duration(seconds) == text
