"""How far a save, a digest or a transfer has come, for whoever watches: a person, a log, a program."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Deque, Literal, TextIO

from hfl_core.errors import ConfigError

if TYPE_CHECKING:
    from hfl_core._progress_views import View
    from hfl_core._settings import Settings

Unit = Literal["bytes", "items"]
Mode = Literal["auto", "bars", "notebook", "lines", "off"]

# A bar is redrawn ten times a second; telling it more often costs time and shows nothing.
_SECONDS_BETWEEN_UPDATES = 0.1
# Speed is that of the last half minute: long enough to be steady, short enough to be true.
_SPEED_WINDOW = 30.0


@dataclass(frozen=True)
class ProgressUpdate:
    """How far a task has come; what a callback is given.

    Attributes:
        path: The task's description, after those of the tasks that it is part of.
        completed: How much is done.
        total: How much there is to do, or None if nobody knows.
        unit: What is counted: ``"bytes"`` or ``"items"``.
        seconds: How long it has been going on.
        speed: How much is done per second at present, or None as long as nobody can tell.
        eta: The seconds that are left at this speed, or None if nobody can tell.
        is_done: Whether this is the last update of the task.
    """

    path: tuple[str, ...]
    completed: int
    total: int | None
    unit: Unit
    seconds: float
    speed: float | None
    eta: float | None
    is_done: bool


class Progress:
    """Shows how far one or more tasks have come, if somebody is looking.

    On a terminal it draws bars on stderr, in a notebook it uses tqdm's, and in a log of continuous
    integration (or with the setting `progress` at ``"lines"``) it writes a line every few seconds.
    Elsewhere, with the setting at false, and on all ranks of a distributed run but the first, it only
    counts. Tasks may be advanced from any thread.

    Args:
        settings: Whose `progress` decides; the ones of the working directory if None.
        stream: Where it is shown; stderr if None.
        mode: ``"auto"``, or what is to be shown whatever the settings say: ``"bars"``,
            ``"notebook"``, ``"lines"`` or ``"off"``.
        callback: Called with every `ProgressUpdate`, at most ten times a second for each task and
            once at its end, also where nothing is shown. If it raises, it is not called again.
        every: Seconds between two lines of a task; one that is done sooner writes none.
        clock: Returns the time in seconds; only differences count.

    Raises:
        ConfigError: If there is no such mode, or `every` is not above 0.

    Example:
        >>> with Progress() as progress, progress.task("Copying", total=10) as task:
        ...     task.advance(10)
        >>> task.completed
        10
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        stream: TextIO | None = None,
        mode: Mode = "auto",
        callback: Callable[[ProgressUpdate], object] | None = None,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode not in ("auto", "bars", "notebook", "lines", "off"):
            raise ConfigError(
                f"There is no way to show progress called {mode!r}.",
                hint="Use one of: auto, bars, notebook, lines, off.",
            )
        if not every > 0:
            raise ConfigError(
                f"A line every {every!r} s makes no sense.", hint="Pass a number above 0."
            )
        self._stream = sys.stderr if stream is None else stream
        self._settings = settings
        self._mode: Mode = mode
        self._callback = callback
        self._every = every
        self._clock = clock
        self._views: tuple[View, ...] = ()

    def __enter__(self) -> Progress:
        from hfl_core._progress_views import CallbackView, view_for

        shown = view_for(self._chosen_mode(), self._stream, self._every, self._clock)
        called = None if self._callback is None else CallbackView(self._callback)
        self._views = tuple(view for view in (shown, called) if view is not None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        views, self._views = self._views, ()
        for view in views:
            view.stop()

    def task(
        self, description: str, total: int | None = None, unit: Unit = "items"
    ) -> ProgressTask:
        """Start to show a task.

        Args:
            description: What is being done, in a few words.
            total: How much there is to do, or None if nobody knows.
            unit: What is counted: `bytes` shows sizes and speed.

        Returns:
            The task, to be advanced; also a context manager that ends it.
        """
        return ProgressTask(self._views, description, total, unit, clock=self._clock)

    def _chosen_mode(self) -> Mode:
        if self._mode != "auto":
            return self._mode
        from hfl_core._progress_views import is_notebook
        from hfl_core._rank import rank_and_world
        from hfl_core._terminal import is_terminal

        wish = self._wish()
        if not wish or rank_and_world()[0] != 0:
            return "off"
        if wish == "lines":
            return "lines"
        if is_notebook():
            return "notebook"
        if is_terminal(self._stream):
            return "off" if os.environ.get("TERM") == "dumb" else "bars"
        return "lines" if _is_continuous_integration() else "off"

    def _wish(self) -> bool | str:
        from hfl_core._settings_files import load_settings

        if self._settings is not None:
            return self._settings.progress
        try:
            return load_settings().progress
        except ConfigError:  # what needs the settings reports it; a bar is no reason to stop
            return True


class ProgressTask:
    """One thing that is being done; made by `Progress.task`, and by `task` of another one.

    Attributes:
        description: What is being done.
        completed: How much is done so far.
        total: How much there is to do, or None if nobody knows; may be set when it becomes known.
        unit: What is counted.
        parent: The task that it is part of, or None.
    """

    def __init__(
        self,
        views: tuple[View, ...],
        description: str,
        total: int | None,
        unit: Unit,
        *,
        clock: Callable[[], float],
        parent: ProgressTask | None = None,
        adds: bool = False,
    ) -> None:
        from hfl_core._redact import redact

        self.description = redact(description)
        self.completed = 0
        self.total = total
        self.unit: Unit = unit
        self.parent = parent
        self._receiver = parent if adds else None
        self._clock = clock
        self._started = clock() if views else 0.0
        self._lock = threading.Lock()
        self._showing = threading.Lock()
        self._views = views
        self._is_done = False
        self._shown_at = self._started
        self._samples: Deque[tuple[float, int]] = deque([(self._started, 0)])
        for view in views:
            view.begin(self)

    def task(
        self,
        description: str,
        total: int | None = None,
        unit: Unit | None = None,
        *,
        adds: bool = True,
    ) -> ProgressTask:
        """Start to show a part of this task.

        Args:
            description: What is being done, in a few words.
            total: How much there is to do, or None if nobody knows.
            unit: What is counted; as here if None.
            adds: Whether what is done there counts here, too.

        Returns:
            The part. On a terminal its bar goes when it ends.

        Example:
            >>> with Progress() as progress, progress.task("Sending", total=5) as whole:
            ...     with whole.task("model.safetensors", total=5) as part:
            ...         part.advance(5)
            >>> whole.completed
            5
        """
        return ProgressTask(
            self._views,
            description,
            total,
            unit or self.unit,
            clock=self._clock,
            parent=self,
            adds=adds,
        )

    @property
    def depth(self) -> int:
        """How many tasks it is part of."""
        return 0 if self.parent is None else self.parent.depth + 1

    def advance(self, n: int = 1) -> None:
        """Note that more is done.

        Args:
            n: How much more, in the task's unit; negative for what has to be done again.
        """
        with self._lock:
            self.completed += n
        if self._receiver is not None:
            self._receiver.advance(n)
        if self._views:
            now = self._clock()
            if now - self._shown_at >= _SECONDS_BETWEEN_UPDATES:
                self._show(now)

    def finish(self) -> None:
        """Show the last count; a task that ends early keeps the bar where it is."""
        if self._views and not self._is_done:
            with self._showing:
                self._is_done = True
                self._tell(self._clock())

    def update(self) -> ProgressUpdate:
        """Return how far it has come."""
        return self._update(self._clock() if self._views else self._started)

    def __enter__(self) -> ProgressTask:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def _show(self, now: float) -> None:
        # A thread that comes while another one is showing has nothing newer to say.
        if self._showing.acquire(blocking=False):
            try:
                if not self._is_done:
                    self._tell(now)
            finally:
                self._showing.release()

    def _tell(self, now: float) -> None:
        self._shown_at = now
        self._samples.append((now, self.completed))
        while len(self._samples) > 2 and now - self._samples[0][0] > _SPEED_WINDOW:
            self._samples.popleft()
        update = self._update(now)
        for view in self._views:
            view.show(self, update)

    def _update(self, now: float) -> ProgressUpdate:
        began, before = self._samples[0]
        done, speed = self.completed, None
        if now > began and done > before:
            speed = (done - before) / (now - began)
        left = None if self.total is None else max(self.total - done, 0)
        return ProgressUpdate(
            path=self._path(),
            completed=done,
            total=self.total,
            unit=self.unit,
            seconds=now - self._started,
            speed=speed,
            eta=left / speed if left is not None and speed is not None else None,
            is_done=self._is_done,
        )

    def _path(self) -> tuple[str, ...]:
        outer = () if self.parent is None else self.parent._path()
        return (*outer, self.description)


def _is_continuous_integration() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}
