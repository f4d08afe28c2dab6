"""One place that messages go to: a service of apprise, and the thread that talks to it."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from typing import Any, Callable

from hfl_core._extras import import_extra
from hfl_core._log import get_logger
from hfl_core._notify_outbox import Message, Outbox
from hfl_core._redact import MASK, redact
from hfl_core.errors import ConfigError

_LOG = get_logger(__name__)

# Seconds before the second and the third attempt; then the message is given up.
_PAUSES = (1.0, 5.0)

# apprise and urllib3 log addresses that are secrets as a whole. What they say on our threads is kept
# from every handler, and the last warning is told by us; on other threads they log as they did.
_TAPPED = ("apprise", "urllib3.connectionpool", "urllib3.poolmanager")


class _Tap(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[int, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        thread = threading.get_ident()
        if thread not in self.heard:
            return True
        if record.levelno >= logging.WARNING:
            self.heard[thread] = record.getMessage()
        return False


_TAP = _Tap()


class Channel:
    """Sends messages to one address, on a thread of its own.

    The thread is a daemon, and apprise's own pool of threads is not used: Python waits for that one at
    the end, however long a server takes.

    Args:
        url: An address in apprise's form; it is a secret.
        interval: Seconds between two messages of a kind.
        clock: Returns the time in seconds; only differences count.

    Raises:
        ConfigError: apprise does not understand the address.
        MissingExtraError: apprise is not installed.
    """

    def __init__(
        self, url: str, *, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = _service(url)
        self.name = url.partition("://")[0].lower()
        self._secrets = _secret_parts(url)
        self._interval = interval
        self._clock = clock
        self.delivered = 0
        self.failed = 0
        self._is_failing = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._outbox = Outbox(self._interval)
        self._under_way = 0
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def put(self, message: Message) -> None:
        """Leave a message to the thread; never waits for the network."""
        if self._pid != os.getpid():  # a forked child has neither the thread nor what it holds
            self._reset()
        with self._changed:
            if self._is_closed:
                return
            self._outbox.put(message)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name=f"hfl-notify-{self.name}", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    @property
    def pending(self) -> int:
        """How many messages are not sent yet."""
        if self._pid != os.getpid():
            return 0
        with self._changed:
            return len(self._outbox) + self._under_way

    def flush(self, end: float) -> bool:
        """Send what waits, also what is held back, until a point in time.

        Args:
            end: When to stop waiting, by the clock.

        Returns:
            Whether nothing waits any more.
        """
        if self._pid != os.getpid() or self._thread is None:
            return True
        with self._changed:
            self._hurry.set()
            self._changed.notify_all()
            while self._under_way or len(self._outbox):
                left = end - self._clock()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
            self._hurry.clear()
            return True

    def close(self) -> None:
        """Take no more messages, and give up those that wait; the thread ends when it can."""
        if self._pid == os.getpid():
            with self._changed:
                self._is_closed = True
                self.failed += len(self._outbox)
                self._outbox = Outbox(self._interval)
                self._hurry.set()
                self._changed.notify_all()

    def _work(self) -> None:
        while True:
            taken = self._next()
            if taken is None:
                return
            message, count = taken
            reason = self._send(message)
            self._note(reason, count)
            with self._changed:
                self._under_way = 0
                self._changed.notify_all()

    def _next(self) -> tuple[Message, int] | None:
        with self._changed:
            while True:
                now = self._clock()
                taken = self._outbox.take(now, is_in_a_hurry=self._hurry.is_set())
                if taken is not None:
                    self._under_way = taken[1]
                    return taken
                if self._is_closed:
                    return None
                self._changed.wait(self._outbox.seconds_until_due(now))

    def _send(self, message: Message) -> str | None:
        """Try a few times; return why it did not work, or None."""
        reason = self._attempt(message)
        for pause in _PAUSES:
            if reason is None or self._is_closed:
                break
            self._hurry.wait(pause)
            reason = self._attempt(message)
        return reason

    def _attempt(self, message: Message) -> str | None:
        thread = threading.get_ident()
        _TAP.heard[thread] = ""
        try:
            is_sent = self._service.notify(
                title=message.title if message.body else "",
                body=message.body or message.title,  # apprise sends no message without a body
                notify_type=message.severity,
                body_format="text",
            )
        except Exception as error:  # noqa: BLE001  # no service may end the thread
            return f"{type(error).__name__}: {error}"
        finally:
            heard = _TAP.heard.pop(thread, "")
        return None if is_sent else heard or "it was not accepted"

    def _note(self, reason: str | None, count: int) -> None:
        if reason is None:
            self.delivered += count
            if self._is_failing:
                _LOG.info("notifications through %s are delivered again", self.name)
            self._is_failing = False
            return
        self.failed += count
        # Said once, not with every message of a long night.
        level = logging.DEBUG if self._is_failing else logging.WARNING
        self._is_failing = True
        _LOG.log(
            level,
            "a notification through %s was not delivered (%s); the work goes on",
            self.name,
            self._masked(reason),
        )

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact(text)


def _service(url: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that its hundred services import
        apprise = import_extra("apprise", feature="notifications", extra="hfl-core[notify]")
        asset = apprise.AppriseAsset(
            app_id="huggingface-lifecycle",
            app_desc="huggingface-lifecycle",
            # Not its logos: they would be fetched from elsewhere by whoever reads the message.
            image_url_mask="",
            image_url_logo="",
        )
        for name in _TAPPED:
            logging.getLogger(name).addFilter(_TAP)
        thread = threading.get_ident()
        _TAP.heard[thread] = ""  # what it says about a wrong address holds the address
        try:
            service = apprise.Apprise.instantiate(url, asset=asset)
        except Exception:  # noqa: BLE001  # its text holds the address
            service = None
        finally:
            _TAP.heard.pop(thread, None)
    if service is None:
        scheme, separator, _ = url.partition("://")
        shown = f"{scheme}://{MASK}" if separator else MASK
        raise ConfigError(
            f"'{redact(shown)}' is no address that notifications can be sent to.",
            hint="Copy the webhook's address, or use apprise's form, such as slack://A/B/C, "
            "discord://ID/TOKEN or json://host/path.",
        )
    return service


def _secret_parts(url: str) -> list[str]:
    """Return the parts of an address that must not be shown: everything long but the host's name."""
    rest = url.partition("://")[2]
    parts = {part for part in re.split(r"[/:@?&=,]+", rest) if len(part) >= 8}
    return sorted((part for part in parts if not _is_host(part)), key=len, reverse=True)


def _is_host(text: str) -> bool:
    return text == "localhost" or "." in text
