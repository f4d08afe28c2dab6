"""The thread that publishes while the training goes on. Nothing that happens to it reaches the training."""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Callable

from hfl_checkpoint import _endings
from hfl_checkpoint.errors import AlreadyPublishingError
from hfl_core import (
    HflError,
    NetworkError,
    NotFoundError,
    RateLimitError,
    SteadyEvent,
    get_logger,
    load_settings,
)

if TYPE_CHECKING:
    from hfl_checkpoint._news import News
    from hfl_checkpoint._remote._publish import Publisher
    from hfl_checkpoint._remote._report import PublishReport

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0
# While somebody waits for the end, an unreachable Hub is tried more often.
_DRAINING_PAUSE = 2.0
_BUSY_PAUSE = 5.0
# So many failures in a row, which take half a minute, are no passing fault: people are told.
_STUCK_AFTER = 6
# After it was told to stop, the thread ends at the next piece that it sends.
_LAST_SECONDS = 2.0

_log = get_logger(__name__)


class Worker:
    """Publishes a run's queue on a thread of its own.

    Args:
        make: Makes the publisher, given the event that ends its work.
        wait: Seconds for which the end of the program waits for what is not published yet.
        left: Says what is left to a person, when the waiting is over.
        news: Tells people when nothing is published for longer than a passing fault.
    """

    def __init__(
        self,
        make: Callable[[threading.Event], Publisher],
        *,
        wait: float,
        left: Callable[[], None],
        news: News,
    ) -> None:
        self._stop = threading.Event()
        self.publisher = make(self._stop)
        self._wait = wait
        self._left = left
        self._news = news
        self._wake = SteadyEvent()
        self._is_draining = False
        self._is_idle = SteadyEvent()
        self._asked = 0
        self._said: set[str] = set()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def notify(self) -> None:
        """Say that there is something to publish; this costs next to nothing."""
        with self._lock:
            self._asked += 1
            self._is_idle.clear()
        self._wake.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._start()

    def close(self) -> None:
        """Wait for what is not published yet, no longer than was said, and end the thread.

        What is left then is in the queue.
        """
        if self._thread is None or self._process != os.getpid() or self._stop.is_set():
            return
        self._is_draining = True
        self._wake.set()
        try:
            self._is_idle.wait(self._wait)
        finally:
            self._stop.set()
            self._wake.set()
            self._thread.join(_LAST_SECONDS)
            self._left()

    def _start(self) -> None:
        # Not one that the interpreter joins: what waits for a dead network would keep the program
        # from ending. The handler waits instead, as long as it is to.
        self._thread = threading.Thread(target=self._run, name="hfl-publish", daemon=True)
        self._thread.start()
        _endings.do_afterwards(functools.partial(_close, weakref.ref(self)))

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._wake.clear()
            asked = self._asked
            try:
                report = self.publisher.publish()
            except Exception as error:  # noqa: BLE001  # the training must not notice
                failures += 1
                pause = self._pause_after(error, failures)
                self._tell_if_stuck(error, pause, failures)
            else:
                failures = 0
                self._news.uploads_go_on()
                pause = self._pause_when_done(report)
            with self._lock:
                if pause is None and asked == self._asked:  # else there is more to do already
                    self._is_idle.set()
            self._sleep(pause)

    def _sleep(self, pause: float | None) -> None:
        """Wait until it is time to try again; None waits for something new."""
        until = None if pause is None else time.monotonic() + pause
        while not self._stop.is_set():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            was_draining = self._is_draining
            if self._wake.wait(left):
                # A new checkpoint does not make a limit pass or a network come back; the end of the
                # program is worth one more attempt.
                if until is None or self._is_draining != was_draining:
                    return
                self._wake.clear()

    def _pause_when_done(self, report: PublishReport) -> float | None:
        if not report.waiting:
            return None
        return 0.0 if report.published or report.found else _FIRST_PAUSE

    def _pause_after(self, error: Exception, failures: int) -> float | None:
        """How long to wait after an error; None until something changes."""
        pause: float | None = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
        if self._stop.is_set():
            return None
        if isinstance(error, RateLimitError):
            pause = max(error.retry_after or 0.0, _FIRST_PAUSE)
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + pause))
            _log.warning(
                "%s Checkpoints wait until %s, and go together then.", error.message, until
            )
            return pause
        if isinstance(error, AlreadyPublishingError):  # it is in good hands
            return _DRAINING_PAUSE if self._is_draining else _BUSY_PAUSE
        if not isinstance(error, NetworkError) or load_settings().offline:
            # Nothing that passes by itself: a missing right, a public repository, a bug, being offline on purpose.
            if isinstance(error, NotFoundError):
                self.publisher.start_over()
            pause = None
        self._say(error)
        return min(pause, _DRAINING_PAUSE) if pause is not None and self._is_draining else pause

    def _tell_if_stuck(self, error: Exception, pause: float | None, failures: int) -> None:
        if isinstance(error, (AlreadyPublishingError, RateLimitError)) or self._stop.is_set():
            return  # it is in good hands, or passes by itself
        if pause is None or failures >= _STUCK_AFTER:
            self._news.upload_stuck(f"Checkpoints wait to be published: {_text(error)}")

    def _say(self, error: Exception) -> None:
        text = _text(error)
        if text in self._said:
            return
        self._said.add(text)
        hint = getattr(error, "hint", None)
        _log.warning(
            "Checkpoints wait to be published: %s%s", text, f" {hint}" if hint else "",
            exc_info=None if isinstance(error, HflError) else error,
        )  # fmt: skip


def _text(error: Exception) -> str:
    return error.message if isinstance(error, HflError) else repr(error)


def _close(reference: weakref.ref[Worker]) -> None:
    worker = reference()
    if worker is not None:
        worker.close()
