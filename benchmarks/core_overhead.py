"""What logging, progress and timing cost where nothing is shown, beside the standard library and tqdm.

    python benchmarks/core_overhead.py

Each line is the best of several rounds; a loop that does nothing is taken off. The ratio is what counts: it is of
two measurements of the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import tempfile
import time
from typing import Callable, Iterator

from hfl_core import Progress, Timer, configure_logging, get_logger, log_context, set_log_context


class Meter:
    """Measures calls and prints them, beside what they are compared with."""

    def __init__(self, calls: int, rounds: int) -> None:
        self.calls = calls
        self.rounds = rounds

    def per_call(self, function: Callable[[], object]) -> float:
        """Return the seconds of one call, without those of the loop around it."""
        best = min(self._loop(function) for _ in range(self.rounds))
        return max(best - min(self._loop(_nothing) for _ in range(self.rounds)), 0.0) / self.calls

    def show(self, name: str, function: Callable[[], object], beside: float | None = None) -> float:
        """Measure, print, and return the seconds of one call."""
        seconds = self.per_call(function)
        ratio = f"  {seconds / beside:6.2f} x" if beside else ""
        print(f"  {name:<52} {seconds * 1e6:8.3f} µs{ratio}")
        return seconds

    def _loop(self, what: Callable[[], object]) -> float:
        began = time.perf_counter()
        for _ in range(self.calls):
            what()
        return time.perf_counter() - began


def _nothing(*_: object) -> None:
    pass


def logs(meter: Meter) -> None:
    """Compare log calls with the standard library's."""
    configure_logging(0)
    ours, theirs = get_logger("benchmark"), logging.getLogger("somebody.else")
    print("a log call that is filtered out")
    plain = meter.show("logging", lambda: theirs.debug("step %d", 5))
    meter.show("hfl_core.get_logger", lambda: ours.debug("step %d", 5), plain)
    with log_context(run="digits"):
        meter.show("  with a context", lambda: ours.debug("step %d", 5), plain)
    meter.show("set_log_context(step=…)", lambda: set_log_context(step=5), plain)

    print("a log call that is written, to a buffer")
    theirs.addHandler(logging.StreamHandler(io.StringIO()))
    theirs.propagate = False
    plain = meter.show("logging", lambda: theirs.warning("saved step %d of %s", 5, "digits"))
    with tempfile.TemporaryDirectory() as folder:
        configure_logging(-2, file=f"{folder}/x.log", file_verbosity=0, max_bytes=10**9)
        meter.show(
            "hfl_core, redacted, into a shared file",
            lambda: ours.warning("saved step %d of %s", 5, "digits"),
            plain,
        )
        configure_logging(0)


def progress(meter: Meter) -> None:
    """Compare progress updates with tqdm's."""
    print("a progress update")
    beside = None
    with contextlib.suppress(ImportError):
        from tqdm import tqdm

        with tqdm(total=None, file=io.StringIO()) as bar:
            beside = meter.show("tqdm, drawn into a buffer", bar.update)
        with tqdm(total=None, disable=True) as bar:
            meter.show("tqdm, switched off", bar.update, beside)
    silent = Progress(mode="off")
    with silent, silent.task("x") as task:
        meter.show("hfl_core.Progress, where nothing is shown", task.advance, beside)
    called = Progress(mode="off", callback=_nothing)
    with called, called.task("x") as task:
        meter.show("hfl_core.Progress, with a callback", task.advance, beside)
        with task.task("y") as part:
            meter.show("  a part that counts for the whole", part.advance, beside)
    lines = Progress(mode="lines", stream=io.StringIO())
    with lines, lines.task("x") as task:
        meter.show("hfl_core.Progress, lines", task.advance, beside)


def spans(meter: Meter) -> None:
    """Compare timed spans with a bare clock."""
    print("a timed span")
    timer = Timer()

    @contextlib.contextmanager
    def bare() -> Iterator[None]:
        began = time.perf_counter()
        yield
        _ = time.perf_counter() - began

    def in_bare() -> None:
        with bare():
            pass

    def in_span() -> None:
        with timer.span("step"):
            pass

    plain = meter.show("contextlib and perf_counter, nothing kept", in_bare)
    meter.show("hfl_core.Timer.span", in_span, plain)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    meter = Meter(arguments.calls, arguments.rounds)
    logs(meter)
    progress(meter)
    spans(meter)


if __name__ == "__main__":
    main()
