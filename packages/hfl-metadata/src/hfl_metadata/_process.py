"""Asking another program, which may hang, and whose children may hang in its place."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence


class Answer(NamedTuple):
    """What a program said.

    Attributes:
        code: Its exit status.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    code: int
    output: bytes
    errors: bytes


class Deadline:
    """A moment after which nobody waits any more.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, never less than zero."""
        return max(0.0, self._end - time.monotonic())


def ask(
    command: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    deadline: Deadline,
) -> Answer:
    """Run a program and read what it says.

    Args:
        command: The program and its arguments.
        directory: Where it runs.
        environment: Its environment; this process's if None.
        deadline: When it is stopped, with its children.

    Returns:
        Its answer.

    Raises:
        TimeoutError: It did not end in time.
        OSError: It could not be started.
    """
    if not deadline.left:
        raise TimeoutError
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A group of its own, so that a wrapper's children can be stopped with it; they hold the
        # pipes open, and whoever waits for the end of these waits for them.
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=deadline.left)
    except subprocess.TimeoutExpired:
        _stop(process)
        raise TimeoutError from None
    except BaseException:
        _stop(process)
        raise
    return Answer(process.returncode, output, errors)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":  # pragma: no cover  # there are no process groups
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # it waits for a dead file server
        process.wait(0.5)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
