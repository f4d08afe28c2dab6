"""The ways in which progress is shown: rich's bars, tqdm's in a notebook, lines, a callback."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Protocol, TextIO
from weakref import WeakKeyDictionary

from hfl_core._extras import import_extra
from hfl_core._log import get_logger

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from hfl_core._progress import Mode, ProgressTask, ProgressUpdate

_LOG = get_logger(__name__)


class View(Protocol):
    """Somebody who is told about tasks. `show` is called by one thread at a time for each task."""

    def begin(self, task: ProgressTask) -> None:
        """A task begins."""

    def show(self, task: ProgressTask, update: ProgressUpdate) -> None:
        """It has come further, or is done."""

    def stop(self) -> None:
        """No task is shown any more."""


def view_for(mode: Mode, stream: TextIO, every: float, clock: Callable[[], float]) -> View | None:
    """Make what shows progress in a way, or None for no way."""
    if mode == "notebook":
        tqdm = _tqdm()
        return LineView(stream, every, clock) if tqdm is None else NotebookView(tqdm)
    if mode == "bars":
        return BarView(stream)
    return LineView(stream, every, clock) if mode == "lines" else None


def is_notebook() -> bool:
    """Say whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return shell is not None and (
        type(shell).__name__ == "ZMQInteractiveShell" or "google.colab" in type(shell).__module__
    )


class BarView:
    """Bars on a terminal, drawn by rich."""

    def __init__(self, stream: TextIO) -> None:
        self._bars = _bars(stream)
        self._ids: WeakKeyDictionary[ProgressTask, TaskID] = WeakKeyDictionary()
        self._bars.start()

    def begin(self, task: ProgressTask) -> None:
        """Add a bar, below and within that of the task that it is part of."""
        from rich.markup import escape

        text = "  " * task.depth + escape(task.description)
        self._ids[task] = self._bars.add_task(text, total=task.total, unit=task.unit)

    def show(self, task: ProgressTask, update: ProgressUpdate) -> None:
        """Move it; that of a part goes when the part is done, or many would fill the screen."""
        number = self._ids[task]
        self._bars.update(number, completed=update.completed, total=update.total)
        if update.is_done and task.parent is not None:
            self._bars.update(number, visible=False)

    def stop(self) -> None:
        """Leave the bars as they are and give the cursor back."""
        self._bars.stop()


class NotebookView:
    """Bars in a notebook, drawn by tqdm."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bars: WeakKeyDictionary[ProgressTask, Any] = WeakKeyDictionary()

    def begin(self, task: ProgressTask) -> None:
        """Add a bar."""
        is_bytes = task.unit == "bytes"
        self._bars[task] = self._tqdm(
            total=task.total,
            desc="  " * task.depth + task.description,
            unit="B" if is_bytes else "it",
            unit_scale=is_bytes,
            unit_divisor=1024,
            leave=task.parent is None,
        )

    def show(self, task: ProgressTask, update: ProgressUpdate) -> None:
        """Move it."""
        bar = self._bars[task]
        bar.total = update.total
        bar.update(update.completed - bar.n)
        if update.is_done:
            bar.close()

    def stop(self) -> None:
        """Close what is still open."""
        for bar in list(self._bars.values()):
            bar.close()


class LineView:
    """A line every few seconds, for logs that are read later."""

    def __init__(self, stream: TextIO, every: float, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()
        self._written: WeakKeyDictionary[ProgressTask, float] = WeakKeyDictionary()

    def begin(self, task: ProgressTask) -> None:
        """Say nothing: most tasks are done before their first line is due."""

    def show(self, task: ProgressTask, update: ProgressUpdate) -> None:
        """Write a line if one is due, and a last one for a task that had one."""
        last = self._written.get(task)
        if update.is_done:
            is_due = last is not None
        else:
            is_due = update.seconds - (last or 0.0) >= self._every
        if is_due:
            self._written[task] = update.seconds
            with self._lock, contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                self._stream.write(f"{line_of(update)}\n")
                self._stream.flush()

    def stop(self) -> None:
        """Write nothing more."""


class CallbackView:
    """A program's own function."""

    def __init__(self, callback: Callable[[ProgressUpdate], object]) -> None:
        self._callback = callback
        self._is_broken = False

    def begin(self, task: ProgressTask) -> None:
        """Tell nothing: there is no progress yet."""

    def show(
        self, task: ProgressTask, update: ProgressUpdate  # noqa: ARG002  # other views need it
    ) -> None:
        """Call it; what it raises is logged once and does not reach the work."""
        if self._is_broken:
            return
        try:
            self._callback(update)
        except Exception:  # noqa: BLE001  # a save is not to fail with whoever watches it
            self._is_broken = True
            _LOG.exception("the progress callback failed and is not called again")

    def stop(self) -> None:
        """Tell nothing more."""


def line_of(update: ProgressUpdate) -> str:
    """Write an update as a line: what, how much of how much, how fast, how long yet."""
    from hfl_core._output import human_bytes

    write: Callable[[float], str] = human_bytes if update.unit == "bytes" else "{:,.0f}".format
    text = f"{' > '.join(update.path)}: {write(update.completed)}"
    if update.total is not None:
        text += f" / {write(update.total)}"
        if update.total:
            text += f" ({update.completed / update.total:.0%})"
    if update.is_done:
        return f"{text} in {_duration(update.seconds)}"
    if update.speed is not None:
        text += f", {write(update.speed)}/s"
    if update.eta is not None:
        text += f", {_duration(update.eta)} left"
    return text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _tqdm() -> Any:
    """Return tqdm's bar: the widget where widgets are, else its text."""
    feature, extra = "progress in notebooks", "hfl-core[notebook]"
    module = import_extra("tqdm.std", feature=feature, extra=extra, required=False)
    if module is None:
        return None
    if importlib.util.find_spec("ipywidgets") is None:  # which its widget needs
        return module.tqdm
    return importlib.import_module("tqdm.notebook").tqdm


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
    from hfl_core._terminal import console

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
