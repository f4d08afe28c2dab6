"""One commit of several processes: all hand over their part, rank 0 writes, and all hear what came of it.

every rank   captures; whether that worked is agreed on before anything begins (`Team.agree`)
every rank   hands its part to rank 0, or what went wrong with it
rank 0       writes everything, and says now and then that it is at work
every rank   answers, right before the manifest is written: who has died by then stops the commit
rank 0       commits, and tells all
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Callable, List, Tuple

from hfl_checkpoint._ranks import portable
from hfl_checkpoint.errors import RankLostError
from hfl_core import HflError, get_logger

if TYPE_CHECKING:
    from hfl_checkpoint._channel import Channel
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._parts_of_ranks import Part

_WORKING, _READY, _DONE, _FAILED = "working", "ready", "done", "failed"

# Rank 0 may write for longer than the others would wait for it.
_LONGEST_SILENCE = 60.0

_Report = Tuple[Any, "HflError | None"]

_log = get_logger(__name__)


def contribute(channel: Channel, rank: int, make: Callable[[], Part]) -> Checkpoint:
    """Take part in a save as another rank than 0.

    Args:
        channel: To the others.
        rank: This process.
        make: Makes the part of this process.

    Returns:
        What rank 0 has committed.

    Raises:
        HflError: What went wrong, on whichever process.
        RankLostError: Rank 0 is gone.
    """
    part, failure = None, None
    try:
        part = make()
    except Exception as error:  # noqa: BLE001  # all are told
        failure = error
    channel.to_first((part, portable(failure, rank)))
    while True:
        message, value = channel.from_first(None)
        if message == _READY:
            channel.to_first(True)
        elif message == _DONE:
            return value  # type: ignore[no-any-return]  # a checkpoint goes with this message
        elif message == _FAILED:
            raise value from failure


def conduct(
    channel: Channel,
    prepare: Callable[[], Any],
    write: Callable[[Any, List[Part], Callable[[], None]], Checkpoint],
) -> Checkpoint:
    """Save as rank 0.

    Args:
        channel: To the others.
        prepare: Makes what this process itself saves.
        write: Writes and commits that and the parts of the others; it calls its last argument right before
            the commit.

    Returns:
        The checkpoint.

    Raises:
        HflError: What went wrong, on whichever process. Nothing was committed.
        RankLostError: Another process is gone. Nothing was committed.
    """
    own, failure = None, None
    try:
        own = prepare()
    except Exception as error:  # noqa: BLE001  # all are told
        failure = error
    reports: List[_Report] = channel.to_first((None, portable(failure, 0)))
    failed = next((error for _, error in reports if error is not None), None)
    if failed is not None:
        channel.from_first((_FAILED, failed))
        raise failed from failure
    try:
        with _Signs(channel) as signs:
            checkpoint = write(own, [part for part, _ in reports[1:]], signs.require_all)
    except BaseException as error:
        told = portable(error, None) if isinstance(error, Exception) else HflError(repr(error))
        with contextlib.suppress(RankLostError):  # then they know without being told
            channel.from_first((_FAILED, told))
        raise
    try:
        channel.from_first((_DONE, checkpoint))
    except RankLostError as error:
        _log.warning(
            "%s is committed, and not every process heard of it: %s", checkpoint.name, error
        )
    return checkpoint


class _Signs:
    """Tells the others now and then that rank 0 is at work, and asks once whether they still live."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._turn = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._give, name="hfl-signs", daemon=True)

    def __enter__(self) -> _Signs:
        with contextlib.suppress(RuntimeError):  # the interpreter is ending, and starts no threads
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def require_all(self) -> None:
        """Hear from every process.

        Raises:
            RankLostError: One is gone.
        """
        with self._turn:
            self._channel.from_first((_READY, None))
            self._channel.to_first(True)

    def _give(self) -> None:
        pause = min(_LONGEST_SILENCE, self._channel.timeout.total_seconds() / 4)
        while not self._is_over.wait(pause):
            with self._turn, contextlib.suppress(RankLostError):  # `require_all` finds out
                self._channel.from_first((_WORKING, None))
