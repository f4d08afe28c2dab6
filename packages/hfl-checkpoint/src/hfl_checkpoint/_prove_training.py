"""A training as a process that can be killed, with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Sequence

from hfl_checkpoint._catalog import Catalog
from hfl_core import HflError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

PLACEHOLDER = "{run}"
VARIABLE = "HFL_RUN"
_LOOK = 0.02  # seconds between two looks at a run that is to be killed
_TAIL = 15  # lines of a failed run that are shown


class Training:
    """A training as a process group of its own, whose output goes to a file beside its run.

    Args:
        command: What to run; ``{run}`` in it stands for the run's directory.
        run: The run's directory.
        timeout: Seconds that it may take, or None.

    Raises:
        NotFoundError: It cannot be started.
    """

    def __init__(self, command: Sequence[str], run: Path, timeout: float | None) -> None:
        self._run = run
        self._timeout = timeout
        self._log = run.with_name(f"{run.name}.log")
        words = [word.replace(PLACEHOLDER, str(run)) for word in command]
        with self._log.open("ab") as log:
            try:
                self._process = subprocess.Popen(  # nosec  # it is the user's own
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, VARIABLE: str(run)},
                    start_new_session=True,
                )
            except OSError as error:
                raise NotFoundError(
                    f"{words[0]!r} cannot be started: {error.strerror or error}.",
                    hint="What follows the two dashes is run as it stands, without a shell.",
                ) from error
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def finish(self) -> None:
        """Wait for its end, which has to be a good one.

        Raises:
            HflError: It failed, or took too long.
        """
        try:
            code = self._process.wait(self._timeout)
        except subprocess.TimeoutExpired as error:
            raise self._too_slow() from error
        finally:
            self._end()
        self._require_success(code)

    def kill_after(self, sequence: int, delay: float) -> bool:
        """Kill it some seconds after a checkpoint; return whether it was still there to be killed.

        Raises:
            HflError: It failed, or took too long.
        """
        try:
            while self._process.poll() is None:
                latest = Catalog(self._run).latest()
                if latest is not None and latest.sequence >= sequence:
                    time.sleep(delay)
                    return self._process.poll() is None
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise self._too_slow()
                time.sleep(_LOOK)
        finally:
            self._end()
        self._require_success(self._process.returncode)
        return False

    def _end(self) -> None:
        """Kill whatever is left of the group, workers of a loader included."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def _require_success(self, code: int) -> None:
        if code:
            lines = self._log.read_bytes().decode("utf-8", "replace").splitlines()[-_TAIL:]
            raise HflError(
                "\n".join([f"The training ended with status {code}.", *lines]),
                hint=f"All it said is in '{self._log}'.",
            )

    def _too_slow(self) -> HflError:
        return HflError(
            f"The training did not end within {self._timeout:g} s.",
            hint=f"What it said is in '{self._log}'. Give it a longer --timeout.",
        )
