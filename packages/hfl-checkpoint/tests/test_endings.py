"""How programs end while a checkpoint is being saved: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from hfl_checkpoint import CheckpointManager
from hfl_core import ConfigError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and forks as POSIX has them")

# A save that lasts until a file appears, and fails if told so.
PRELUDE = """
    import atexit, os, pathlib, signal, sys, threading, time
    from hfl_checkpoint import CheckpointManager, _endings
    from hfl_core import Files

    run, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
    go = run.parent / "go"
    reached = threading.Event()

    def slowly(operation, path):
        if operation == "create" and path.name == "counters.json":
            print("saving", flush=True)
            reached.set()
            while not go.exists():
                time.sleep(0.01)
            if mode == "fail":
                raise OSError(28, "No space left on device")

    manager = CheckpointManager(run)
    manager._run.files = Files(slowly)
"""


class Program:
    """A program that saves, in a process of its own."""

    def __init__(self, run: Path, body: str, mode: str) -> None:
        self.go = run.parent / "go"
        self._errors = run.parent / "errors"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    textwrap.dedent(PRELUDE) + textwrap.dedent(body),
                    str(run),
                    mode,
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.line() == "saving"

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def send(self, signum: int) -> None:
        self._process.send_signal(signum)

    def let_through(self) -> None:
        self.go.touch()

    def wait_for_error(self, text: str) -> None:
        while text not in self._errors.read_text():
            assert self._process.poll() is None, self._errors.read_text()
            time.sleep(0.01)

    def end(self) -> Any:
        # Not communicate(): it does not have what readline() has read ahead.
        assert self._process.stdout is not None
        watch = threading.Timer(240, self._process.kill)
        watch.start()
        output = self._process.stdout.read()
        status = self._process.wait()
        watch.cancel()
        return status, output, self._errors.read_text()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def start(run_path: Path) -> Iterator[Any]:
    programs: List[Program] = []

    def start_one(body: str, mode: str = "work") -> Program:
        programs.append(Program(run_path, body, mode))
        return programs[-1]

    yield start_one
    for program in programs:
        program.kill()


SAVE = 'pending = manager.save(1, counters={"seen": 1}); reached.wait(60)\n'
IDLE = "while True: time.sleep(0.01)\n"


def saved(run: Path) -> Any:
    latest = CheckpointManager(run).latest()
    return None if latest is None else latest.step


def test_a_program_that_ends_finishes_the_save_first(start: Any, run_path: Path) -> None:
    program = start(SAVE)
    program.let_through()
    assert program.end() == (0, "", "")
    assert CheckpointManager(run_path).load()["counters"] == {"seen": 1}


def test_a_failed_save_that_nobody_asked_about_is_told_by_the_exit_status(
    start: Any, run_path: Path
) -> None:
    # The other exit handlers run, those registered before the first save as well.
    program = start('atexit.register(print, "cleaned up")\n' + SAVE, "fail")
    program.let_through()
    status, output, errors = program.end()
    assert status == 120
    assert output == "cleaned up\n"
    assert "DiskSpaceError: Could not save step 1" in errors
    assert saved(run_path) is None


def test_a_failed_save_that_somebody_asked_about_is_none_of_the_exit_status(start: Any) -> None:
    ask = """
    try:
        pending.result()
    except OSError:
        print("told")
    """
    program = start(SAVE + textwrap.dedent(ask), "fail")
    program.let_through()
    assert program.end() == (0, "told\n", "")


def test_an_error_of_the_program_s_own_is_shown_beside_that_of_the_save(start: Any) -> None:
    program = start(SAVE + "raise ZeroDivisionError('its own')\n", "fail")
    program.let_through()
    status, _, errors = program.end()
    assert status == 120
    assert "ZeroDivisionError: its own" in errors
    assert "Could not save step 1" in errors


def test_a_save_asked_for_by_an_exit_handler_is_finished(start: Any, run_path: Path) -> None:
    program = start("atexit.register(lambda: manager.save(1, counters={'seen': 1}))\n")
    program.let_through()
    assert program.end() == (0, "", "")
    assert saved(run_path) == 1


def test_sigterm_finishes_the_save_and_then_ends_the_program(start: Any, run_path: Path) -> None:
    program = start(SAVE + IDLE)
    program.send(signal.SIGTERM)
    program.wait_for_error("finishing the save of step 1 first")
    program.let_through()
    assert program.end()[0] == -signal.SIGTERM
    assert saved(run_path) == 1


def test_sigterm_does_not_wait_for_ever(start: Any, run_path: Path) -> None:
    program = start("_endings.SECONDS = 0.1\n" + SAVE + IDLE)
    program.send(signal.SIGTERM)
    status, _, errors = program.end()
    assert status == -signal.SIGTERM
    assert "step 1 was not saved within 0 s" in errors
    assert saved(run_path) is None


def test_sigterm_is_left_to_a_program_that_handles_it(start: Any, run_path: Path) -> None:
    handler = """
    def end(*_):
        print("handled", flush=True)
        sys.exit(3)
    signal.signal(signal.SIGTERM, end)
    """
    program = start(textwrap.dedent(handler) + SAVE + IDLE)
    program.send(signal.SIGTERM)
    assert program.line() == "handled"
    program.let_through()
    assert program.end() == (3, "", "")
    assert saved(run_path) == 1


def test_a_handler_that_hands_sigterm_on_is_followed_by_the_end_of_the_save(
    start: Any, run_path: Path
) -> None:
    handler = """
    def say(signum, frame):
        print("handled", flush=True)
        earlier(signum, frame)
    earlier = signal.signal(signal.SIGTERM, say)
    print("ready", flush=True)
    """
    program = start(SAVE + textwrap.dedent(handler) + IDLE)
    assert program.line() == "ready"
    program.send(signal.SIGTERM)
    assert program.line() == "handled"
    program.let_through()
    assert program.end()[0] == -signal.SIGTERM
    assert saved(run_path) == 1


def test_sigterm_does_what_it_always_did_once_the_save_has_ended(start: Any) -> None:
    body = """
    go.touch()
    pending.wait()
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
    manager.wait()
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
    """
    program = start(SAVE + textwrap.dedent(body) + IDLE)
    assert [program.line(), program.line()] == ["False", "True"]
    program.send(signal.SIGTERM)
    assert program.end() == (-signal.SIGTERM, "", "")


def test_sigterm_waits_while_the_training_copies_what_the_save_needs(
    start: Any, run_path: Path
) -> None:
    body = """
    with _endings.termination_postponed():
        with _endings.termination_postponed():
            os.kill(os.getpid(), signal.SIGTERM)
            print("still here", flush=True)
        print("still here", flush=True)
        go.touch()
    print("never here", flush=True)
    """
    program = start(SAVE + textwrap.dedent(body))
    status, output, _ = program.end()
    assert status == -signal.SIGTERM
    assert output == "still here\nstill here\n"
    assert saved(run_path) == 1


def test_a_save_from_another_thread_leaves_signals_alone(start: Any, run_path: Path) -> None:
    body = """
    def save():
        manager.save(1, counters={"seen": 1})
        reached.wait(60)
        with _endings.termination_postponed():
            print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
    thread = threading.Thread(target=save)
    thread.start()
    thread.join()
    """
    program = start(textwrap.dedent(body))
    assert program.line() == "True"
    program.let_through()
    assert program.end() == (0, "", "")
    assert saved(run_path) == 1


def test_a_fork_neither_waits_nor_uses_the_manager(start: Any, run_path: Path) -> None:
    body = """
    pid = os.fork()
    if pid == 0:
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        for use in (
            lambda: manager.save(2, counters={}),
            lambda: manager.wait(),
            lambda: manager.restore(counters={}),
            lambda: manager.load(),
        ):
            try:
                use()
            except Exception as error:
                print(type(error).__name__, "and this is its fork" in str(error))
        manager.close()
        sys.exit(5)
    _, status = os.waitpid(pid, 0)
    print("status", os.WEXITSTATUS(status), flush=True)
    """
    program = start(
        "import warnings; warnings.simplefilter('ignore')\n" + SAVE + textwrap.dedent(body)
    )
    lines = [program.line() for _ in range(6)]
    assert lines == ["True", *["ConfigError True"] * 4, "status 5"]
    program.let_through()
    assert program.end() == (0, "", "")
    assert saved(run_path) == 1


def test_a_fork_is_told_which_process_the_manager_belongs_to(
    open_manager: Any, live: Any, children: Any
) -> None:
    manager = open_manager()
    state = live(1)

    def use() -> Any:
        with pytest.raises(ConfigError, match=f"belongs to process {parent}") as caught:
            manager.step(state)
        return caught.value.hint

    parent = os.getpid()
    assert children.call(use) == "Make a manager in the process that uses it."
    assert manager.save(1, **state.components).step == 1
