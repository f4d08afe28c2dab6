"""Progress bars on a terminal, silence elsewhere, and the same few calls for both."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from hfl_core._terminal import console, is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from hfl_core._settings import Settings

Unit = Literal["bytes", "items"]

# A bar is redrawn ten times a second; telling it more often costs time and shows nothing.
_SECONDS_BETWEEN_UPDATES = 0.1


class Progress:
    """Shows how far one or more tasks have come, on stderr, if a person is looking.

    On anything that is not a terminal, and when the setting `progress` is false, it only counts.
    Tasks may be advanced from any thread.

    Args:
        settings: Whose `progress` decides; the ones of the working directory if None.
        stream: Where bars are drawn; stderr if None.

    Example:
        >>> with Progress() as progress, progress.task("Copying", total=10) as task:
        ...     task.advance(10)
        >>> task.completed
        10
    """

    def __init__(self, settings: Settings | None = None, *, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._settings = settings
        self._bars: RichProgress | None = None

    def __enter__(self) -> Progress:
        if is_terminal(self._stream) and os.environ.get("TERM") != "dumb" and self._is_wanted():
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

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
        return ProgressTask(self._bars, description, total, unit)

    def _is_wanted(self) -> bool:
        from hfl_core._settings_files import load_settings

        settings = load_settings() if self._settings is None else self._settings
        return settings.progress


class ProgressTask:
    """One thing that is being done; made by `Progress.task`.

    Attributes:
        completed: How much is done so far.
    """

    def __init__(
        self, bars: RichProgress | None, description: str, total: int | None, unit: Unit
    ) -> None:
        self.completed = 0
        self._lock = threading.Lock()
        self._bars = bars
        self._shown_at = 0.0
        self._id: TaskID | None = None
        if bars is not None:
            from rich.markup import escape

            self._id = bars.add_task(escape(description), total=total, unit=unit)

    def advance(self, n: int = 1) -> None:
        """Note that more is done.

        Args:
            n: How much more, in the task's unit.
        """
        with self._lock:
            self.completed += n
            if self._bars is None:
                return
            now = time.monotonic()
            if now - self._shown_at < _SECONDS_BETWEEN_UPDATES:
                return
            self._shown_at = now
        self._show()

    def finish(self) -> None:
        """Show the last count; a task that ends early keeps the bar where it is."""
        self._show()

    def __enter__(self) -> ProgressTask:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def _show(self) -> None:
        if self._bars is not None and self._id is not None:
            self._bars.update(self._id, completed=self.completed)


def _bars(stream: TextIO) -> RichProgress:
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    from hfl_core._output import human_bytes

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_amount(task, human_bytes))

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console(stream),
    )


def _amount(task: Any, human_bytes: Any) -> str:
    is_bytes = task.fields["unit"] == "bytes"
    write = human_bytes if is_bytes else "{:.0f}".format
    text = write(task.completed)
    if task.total is not None:
        text += f" / {write(task.total)}"
    if is_bytes and task.speed:
        text += f"  {write(task.speed)}/s"
    return str(text)
