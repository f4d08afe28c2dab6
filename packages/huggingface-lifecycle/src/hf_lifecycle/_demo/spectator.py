"""Who watches the demo: a person at a terminal, told on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from hfl_core import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from hfl_core.cli import Output


class Spectator:
    """Shows sentences and one progress bar per training; a context manager.

    Args:
        output: The command's output; its notes go to stderr.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._progress = Progress()
        # A bar is drawn a few times a second. A training that ran beside another one has its steps read
        # all at once, and only this shows the last of them.
        self._finish: Callable[[], None] = _nothing

    def __enter__(self) -> Spectator:
        self._progress.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        self._progress.__exit__(kind, error, trace)

    def begin(self, description: str, steps: int) -> None:
        """Start a bar.

        Args:
            description: What is being done.
            steps: How many steps it takes.
        """
        self._finish()
        self._task = self._progress.task(description, total=steps)
        self._finish = self._task.finish

    def tell(self, text: str) -> None:
        """Say one sentence."""
        self._output.note(text)

    def advance(self, step: int) -> None:
        """Move the bar; steps that are done again after a kill leave it where it was."""
        if step > self._task.completed:
            self._task.advance(step - self._task.completed)


def _nothing() -> None:
    """Finish no bar: none has begun."""
