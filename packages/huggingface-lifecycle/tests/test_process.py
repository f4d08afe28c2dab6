"""The watched process: nothing that happens to the watcher leaves one behind."""

from __future__ import annotations

import signal
import threading

import psutil
import pytest

from hf_lifecycle._demo import process
from hf_lifecycle._demo.process import TrainingProcess, interrupts_deferred


def test_ctrl_c_waits_until_the_block_is_done():
    done = []

    def interrupted() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["the rest of the block"]


def test_afterwards_ctrl_c_is_what_it_was():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_deferred():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_in_the_block_comes_out_and_ctrl_c_is_what_it_was():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), interrupts_deferred():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_ctrl_c_while_a_process_starts_leaves_none(tmp_path, monkeypatch):
    started = []

    class Interrupted(process.subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)  # it exists, and nobody holds it yet

    monkeypatch.setattr(process.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), TrainingProcess(tmp_path / "run", tmp_path / "log"):
        raise AssertionError("the block is not entered")
    assert len(started) == 1
    assert not psutil.pid_exists(started[0])


def test_a_log_that_cannot_be_written_starts_no_process(tmp_path):
    nowhere = tmp_path / "nowhere" / "log"
    with pytest.raises(FileNotFoundError), TrainingProcess(tmp_path / "run", nowhere):
        raise AssertionError("the block is not entered")
