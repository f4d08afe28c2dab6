"""Everything that has to be on the Hub before the commit: large files, several at a time."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Dict, Iterator, Sequence

from hfl_core import Progress, get_logger, in_parallel
from hfl_core.errors import NetworkError
from hfl_repo._transfer._objects import LargeFile, Missing, ask_missing, send_object
from hfl_repo._transfer._patience import Patience
from hfl_repo._transfer._xet import is_xet_available, send_by_xet

if TYPE_CHECKING:
    from hfl_core import ProgressTask
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["Sender"]

_LOG = get_logger(__name__)
_AT_ONCE = 5
_OWN_BAR = 8 << 20  # smaller files are gone before a bar is seen


class Sender:
    """Sends large files, and remembers which have arrived.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        patience: How often something is tried.
        progress: Where it is shown.
        create_pr: Whether the files go into a pull request.

    Attributes:
        bytes_sent: Content that went out, what had to be sent twice included.
        bytes_found: Content that the Hub had already.
    """

    def __init__(
        self,
        hub: Hub,
        target: Target,
        patience: Patience,
        progress: Progress,
        *,
        create_pr: bool,
    ) -> None:
        self._hub = hub
        self._target = target
        self._patience = patience
        self._progress = progress
        self._create_pr = create_pr
        self._lock = threading.Lock()
        self._arrived: set[str] = set()
        self.bytes_sent = 0
        self.bytes_found = 0

    def count(self, size: int) -> None:
        """Note that content went out."""
        with self._lock:
            self.bytes_sent += size

    def forget(self) -> None:
        """Ask the Hub anew what it has: it said that something is missing after all."""
        self._arrived.clear()

    def send(self, files: Sequence[LargeFile]) -> None:
        """See to it that the Hub has all of these contents.

        A file that cannot be sent does not stop the others: they need not be sent again.

        Args:
            files: The contents; the same one may be there more than once.

        Raises:
            HflError: What went wrong with the first that could not be sent.
        """
        wanted: Dict[str, LargeFile] = {
            file.sha256: file for file in files if file.sha256 not in self._arrived
        }
        if not wanted:
            return
        offer = is_xet_available(self._hub)
        asked = ask_missing(self._hub, self._target, list(wanted.values()), offer_xet=offer)
        found = [file for file in wanted.values() if file.sha256 not in asked.actions]
        self._arrived.update(file.sha256 for file in found)
        self.bytes_found += sum(file.size for file in found)
        missing = [file for file in wanted.values() if file.sha256 in asked.actions]
        if not missing:
            return
        total = sum(file.size for file in missing)
        _LOG.info("Sending %d large files, %d bytes, by %s.", len(missing), total, asked.way)
        with self._progress.task("Sending", total=total, unit="bytes") as overall:
            if asked.way == "xet":
                self._by_xet(missing, overall)
            else:
                self._by_lfs(missing, asked, overall)

    def _by_xet(self, files: Sequence[LargeFile], overall: ProgressTask) -> None:
        def send() -> None:
            left = [file for file in files if file.sha256 not in self._arrived]
            send_by_xet(self._hub, self._target, left, create_pr=self._create_pr)

        def once() -> None:
            seconds = self._patience.left
            if seconds is None:
                send()
                return
            # hf_xet knows no deadline, and asks a Hub that fails for minutes.
            try:
                errors = in_parallel([send], 1, "hfl-xet", seconds=seconds)
            except TimeoutError as error:
                raise self._patience.overdue() from error
            if errors:
                raise errors[0]

        with self._hub.quietly():
            self._patience.call(once)
        for file in files:
            self._arrived.add(file.sha256)
            self.count(file.size)
            overall.advance(file.size)

    def _by_lfs(self, files: Sequence[LargeFile], asked: Missing, overall: ProgressTask) -> None:
        def one(file: LargeFile) -> None:
            with self._shown(file, overall) as task:

                def sent(size: int) -> None:
                    self.count(size)
                    task.advance(size)

                action = asked.actions[file.sha256]
                send_object(self._hub, self._target, file, action, self._patience, sent)
            with self._lock:
                self._arrived.add(file.sha256)

        try:
            work = [functools.partial(one, file) for file in files]
            errors = in_parallel(work, _AT_ONCE, "hfl-upload")
        except BaseException:  # Ctrl-C
            self._patience.give_up()
            raise
        if errors:
            for other in errors[1:]:
                _LOG.warning("Another file could not be sent: %s", other)
            raise _first(errors)

    @contextlib.contextmanager
    def _shown(self, file: LargeFile, overall: ProgressTask) -> Iterator[ProgressTask]:
        """Show a large file as a part of the whole; a small one only as what it adds."""
        if file.size < _OWN_BAR:
            yield overall
            return
        with overall.task(file.path, total=file.size) as own:
            yield own


def _first(errors: Sequence[Exception]) -> Exception:
    """Return the error that tells most: one that will not pass by itself before a timeout."""
    lasting = [error for error in errors if not isinstance(error, NetworkError)]
    return (lasting or list(errors))[0]
