"""Telling people what became of a run: started, finished, failed, a new best, no room left."""

from __future__ import annotations

import atexit
import re
import time
import weakref
from types import TracebackType
from typing import Any, Callable, Literal, Mapping, Protocol, Sequence, Union

from hfl_core._log import get_logger
from hfl_core._log_context import log_fields
from hfl_core._notify_channel import Channel
from hfl_core._notify_outbox import Message, Severity
from hfl_core._rank import rank_and_world
from hfl_core._redact import redact
from hfl_core._redact_value import redact_value
from hfl_core.errors import ConfigError

_LOG = get_logger(__name__)

Event = Literal[
    "started",
    "resumed",
    "finished",
    "failed",
    "preempted",
    "new_best",
    "disk_low",
    "upload_stuck",
    "attention",
]

_EVENTS: Mapping[str, tuple[str, Severity]] = {
    "started": ("started", "info"),
    "resumed": ("resumed", "info"),
    "finished": ("finished", "success"),
    "failed": ("failed", "failure"),
    "preempted": ("preempted", "warning"),
    "new_best": ("new best", "success"),
    "disk_low": ("disk space is low", "warning"),
    "upload_stuck": ("an upload is stuck", "warning"),
    "attention": ("needs attention", "warning"),
}
# All events of a program's own are limited together, or one named after each step would be no limit.
_CUSTOM = "custom"

# What calls people or a whole channel in Slack and Discord; an error's text must not. Older versions of
# apprise make `<!channel>` of a bare `!channel`.
_MENTION = re.compile(r"(?<![\w*])@(?=\w)|!(?=everyone|here|channel|subteam)|<(?=[!@#])")
_SEPARATOR = re.compile(r"\s+|,(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_EXIT_BY_SIGNAL = 128


class Guard(Protocol):
    """What `Notifier.watch` asks whether a run was preempted, such as a PreemptionGuard."""

    @property
    def is_stopping(self) -> bool:
        """Whether the run ends early because it was told to."""

    @property
    def reason(self) -> Union[str, None]:
        """Why."""


class Notifier:
    """Sends messages about a run to Slack, Discord, mail or whatever apprise knows.

    Nothing that it does stops or delays the work: messages wait for a thread of each address, a
    server that fails or never answers is logged once, and the end of the process waits for the
    messages under way for `drain` seconds and no longer. Secrets and home folders are masked. It needs
    the extra `notify`.

    It can be called with a sentence, which is what `CheckpointManager(notify=…)` does.

    Args:
        urls: Addresses in apprise's form or webhook addresses as Slack and Discord show them; one
            text may hold several, with spaces between. An empty one sends nothing, so that
            ``Notifier(os.environ.get("NOTIFY_URLS", ""))`` is silent until somebody sets it.
        run: The name of the run; what `set_log_context` says if None.
        events: The events that are sent; all if None.
        interval: Seconds between two messages of the same event. What comes in between is merged
            into the next one.
        drain: Seconds that `close` and the end of the process wait for messages under way.
        every_rank: Whether all processes of a distributed run send, and not only the first.
        clock: Returns the time in seconds; only differences count.

    Raises:
        ConfigError: An address is not understood, or a number makes no sense.
        MissingExtraError: There are addresses, and the extra `notify` is not installed.

    Example:
        >>> with Notifier("", run="digits") as notifier:
        ...     notifier.notify("new_best", loss=0.25)  # there is nobody to tell
        False
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        run: str | None = None,
        events: Sequence[Event] | None = None,
        interval: float = 60.0,
        drain: float = 5.0,
        every_rank: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("interval", interval), ("drain", drain)):
            if not 0 <= value < float("inf"):
                raise ConfigError(
                    f"A notifier with {name}={value!r} makes no sense.",
                    hint="Pass a number of seconds of 0 or more.",
                )
        unknown = sorted(set(events or ()) - set(_EVENTS))
        if unknown:
            raise ConfigError(
                f"There is no event '{unknown[0]}'.", hint=f"Events: {', '.join(_EVENTS)}."
            )
        self._run = run
        self._events = None if events is None else frozenset(events)
        self._drain = drain
        self._clock = clock
        is_silent = not every_rank and rank_and_world()[0] != 0
        # Made on all ranks, so that a wrong address fails on all of them.
        channels = [Channel(url, interval=interval, clock=clock) for url in _split(urls)]
        self._channels = () if is_silent else tuple(channels)
        if self._channels:
            _open.add(self)

    def notify(self, event: str, text: str = "", /, **facts: Any) -> bool:
        """Tell people about an event. Never raises, and never waits for the network.

        Args:
            event: One of the known events, or a word of your own.
            text: A sentence.
            **facts: What there is to know, such as ``step=500`` and ``loss=0.25``.

        Returns:
            Whether it is going to be sent; False if it is not wanted or there is nobody to tell.
        """
        if not self._channels or (self._events is not None and event not in self._events):
            return False
        try:
            message = self._message(event, text, facts)
            for channel in self._channels:
                channel.put(message)
        except Exception:  # noqa: BLE001  # training must not fail with the message about it
            _LOG.exception("the notification '%s' could not be made", event)
            return False
        return True

    def __call__(self, text: str) -> bool:
        """Tell people a sentence, as the event ``"attention"``.

        Args:
            text: What they should know.

        Returns:
            As `notify`.
        """
        return self.notify("attention", text)

    def sender(self, event: Event) -> Callable[[str], bool]:
        """Return a function that sends its argument as an event.

        Args:
            event: Such as ``"disk_low"``.

        Returns:
            A function of one text, for whatever takes one.

        Example:
            >>> tell = Notifier("").sender("disk_low")
            >>> tell("2 GiB are left.")
            False
        """
        return lambda text: self.notify(event, text)

    def watch(
        self, run: str | None = None, *, resumed_at: int | None = None, guard: Guard | None = None
    ) -> Watch:
        """Tell people when a run starts, and how it ends.

        Args:
            run: Its name, if the notifier was not given one.
            resumed_at: The step that it goes on from; None for a run that starts.
            guard: Says whether a run that ends was told to, such as a PreemptionGuard.

        Returns:
            A context manager around the training. It lets every exception through.

        Example:
            >>> with Notifier("").watch("digits"):
            ...     pass
        """
        if run is not None:
            self._run = run
        return Watch(self, resumed_at, guard)

    @property
    def delivered(self) -> int:
        """How many messages were taken by the services, over all addresses."""
        return sum(channel.delivered for channel in self._channels)

    @property
    def failed(self) -> int:
        """How many messages were given up."""
        return sum(channel.failed for channel in self._channels)

    @property
    def pending(self) -> int:
        """How many messages wait or are under way."""
        return sum(channel.pending for channel in self._channels)

    def flush(self, timeout: float | None = None) -> bool:
        """Send what waits now, also what is held back.

        Args:
            timeout: The seconds to wait for it; `drain` if None.

        Returns:
            Whether everything went out or was given up.
        """
        end = self._clock() + (self._drain if timeout is None else timeout)
        return all([channel.flush(end) for channel in self._channels])  # noqa: C419  # each of them

    def close(self, timeout: float | None = None) -> bool:
        """Send what waits, and take nothing more. Doing it twice is safe.

        Args:
            timeout: As for `flush`.

        Returns:
            As `flush`.
        """
        _open.discard(self)
        is_done = self.flush(timeout)
        if not is_done:
            _LOG.warning("%d notifications were not delivered in time", self.pending)
        for channel in self._channels:
            channel.close()
        return is_done

    def __enter__(self) -> Notifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _message(self, event: str, text: str, facts: Mapping[str, Any]) -> Message:
        words, severity = _EVENTS.get(event, (event.replace("_", " "), "info"))
        context = log_fields()
        run = self._run or context.get("run")
        known = {"step": context["step"]} if "step" in context else {}
        lines = [f"{name}: {_text(name, value)}" for name, value in {**known, **facts}.items()]
        body = "\n".join([*([text] if text else []), *lines])
        title = f"{run}: {words}" if run else words[:1].upper() + words[1:]
        kind = event if event in _EVENTS else _CUSTOM
        return Message(kind, _safe(title), _safe(body), severity)


class Watch:
    """What `Notifier.watch` returns."""

    def __init__(self, notifier: Notifier, resumed_at: int | None, guard: Guard | None) -> None:
        self._notifier = notifier
        self._resumed_at = resumed_at
        self._guard = guard
        self._began = 0.0

    def __enter__(self) -> Watch:
        self._began = self._notifier._clock()
        if self._resumed_at is None:
            self._notifier.notify("started")
        else:
            self._notifier.notify("resumed", step=self._resumed_at)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        event, text = self._outcome(error)
        self._notifier.notify(event, text, after=self._duration())

    def _outcome(self, error: BaseException | None) -> tuple[Event, str]:
        guard = self._guard
        if isinstance(error, Exception):
            return "failed", f"{type(error).__name__}: {error}"
        if guard is not None and guard.is_stopping:
            return "preempted", guard.reason or ""
        if isinstance(error, SystemExit) and error.code not in (None, 0):
            by_signal = isinstance(error.code, int) and error.code > _EXIT_BY_SIGNAL
            return "preempted" if by_signal else "failed", f"It ended with {error.code!r}."
        if isinstance(error, KeyboardInterrupt):
            return "preempted", "It was interrupted."
        return "finished", ""

    def _duration(self) -> str:
        from hfl_core._time_summary import duration

        return duration(self._notifier._clock() - self._began)


# The notifiers that the end of the process has to wait for a little.
_open: weakref.WeakSet[Notifier] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for notifier in list(_open):
        notifier.close()


def _split(urls: str | Sequence[str]) -> list[str]:
    if isinstance(urls, str):
        return [url for url in _SEPARATOR.split(urls) if url]
    return [url.strip() for url in urls if url.strip()]


def _text(name: str, value: Any) -> str:
    safe = redact_value(value, name=name)
    return f"{safe:.6g}" if isinstance(safe, float) else str(safe)


def _safe(text: str) -> str:
    return _MENTION.sub("\\g<0>\u200b", redact(text))
