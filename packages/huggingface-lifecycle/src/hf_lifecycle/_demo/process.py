"""The training process, watched from outside."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Mapping

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
        self._log = log
        self._events: queue.Queue[Event | None] = queue.Queue()
        with log.open("ab") as stderr:
            # A session of its own, so that Ctrl-C reaches the conductor alone, which then kills.
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(run)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="demo-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> TrainingProcess:
        return self

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
        if self._process.wait() != 0:
            self._raise_failure()

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is not None:
            with stream:
                for line in stream:
                    if line.endswith(b"\n"):  # else the kill cut it in two
                        self._events.put(json.loads(line))
        self._events.put(None)

    def _raise_failure(self) -> None:
        status = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = " | ".join(line.strip() for line in lines[-_TAIL:]) or "nothing"
        raise HflError(
            f"The training process ended by itself with status {status}. Its last words: {said}",
            hint=f"Run it by hand to see more: {sys.executable} -m {_PROGRAM} DIRECTORY",
        )
