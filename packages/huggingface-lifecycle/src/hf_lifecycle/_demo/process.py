"""The training process, watched from outside."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator, Mapping

from hfl_core import HflError

Event = Mapping[str, Any]

_PROGRAM = "hf_lifecycle._demo.train"
_TAIL = 5
"""Lines of the log that an error message quotes."""


class TrainingProcess:
    """Starts the training program and reads what it says; a context manager that leaves nothing running.

    Args:
        run: Where the program puts its checkpoints.
        log: Where its stderr goes; appended to.

    Example:
        with TrainingProcess(run, log) as training:
            event = training.next_event(timeout=60)
    """

    def __init__(self, run: Path, log: Path) -> None:
        self._run = run
        self._log = log
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, name="demo-reader", daemon=True)

    def __enter__(self) -> TrainingProcess:
        try:
            # Ctrl-C while Popen forks would leave a process that nobody knows of.
            with interrupts_deferred():
                self._start()
            return self  # noqa: TRY300  # in here, so that no gap is left before the caller's block
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()

    def next_event(self, *, timeout: float) -> Event | None:
        """Wait for the next thing that the program says.

        Args:
            timeout: Seconds to wait.

        Returns:
            The event, or None when nothing was said in time.

        Raises:
            HflError: The program ended with an error.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._raise_failure()
        return event

    def kill(self) -> list[Event]:
        """Kill the program with SIGKILL, which it can neither catch nor delay.

        Returns:
            What it had said and nobody had read yet.
        """
        if self._process is None:
            return []
        self._process.kill()
        self._process.wait()
        self._reader.join()
        rest: list[Event] = []
        while not self._events.empty():
            event = self._events.get()
            if event is not None:
                rest.append(event)
        return rest

    def wait(self) -> None:
        """Wait for the end of a program that has said its last word.

        Raises:
            HflError: It ended with an error.
        """
        self._reader.join()
        if self._status() != 0:
            self._raise_failure()

    def _start(self) -> None:
        with self._log.open("ab") as stderr:
            # A session of its own, so that Ctrl-C reaches the conductor alone, which then kills.
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(self._run)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader.start()

    def _read(self) -> None:
        stream = None if self._process is None else self._process.stdout
        if stream is not None:
            with stream:
                for line in stream:
                    if line.endswith(b"\n"):  # else the kill cut it in two
                        self._events.put(json.loads(line))
        self._events.put(None)

    def _status(self) -> int | None:
        return None if self._process is None else self._process.wait()

    def _raise_failure(self) -> None:
        status = self._status()
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = " | ".join(line.strip() for line in lines[-_TAIL:]) or "nothing"
        raise HflError(
            f"The training process ended by itself with status {status}. Its last words: {said}",
            hint=f"Run it by hand to see more: {sys.executable} -m {_PROGRAM} DIRECTORY",
        )


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until a block is done; it raises KeyboardInterrupt at its end.

    Signals are Python's main thread's business; in another thread nothing is changed.

    Yields:
        Nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if arrived:
        raise KeyboardInterrupt
