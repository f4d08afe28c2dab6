from __future__ import annotations

import threading

import pytest

from hfl_core import Timer


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
