"""A log file that several processes may share: whole lines, rotated by size and age."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

from hfl_core.errors import ConfigError


def _locks() -> Any:
    try:
        import fcntl
    except ImportError:  # pragma: no cover  # Windows
        return None
    return fcntl


_FCNTL = _locks()
# A process that is stopped while it holds the lock must not stop the others' training with it.
_LONGEST_WAIT = 1.0
_PAUSE = 0.0005
_FIRST_TIME = re.compile(rb'\{"time": "([0-9T:.-]{19,26})Z"')


class RotatingFile(logging.Handler):
    """Appends lines to a file and rotates it: ``x.log``, then ``x.log.1``, ``x.log.2`` and so on.

    Every line is appended in one piece under a lock on the file, and the file is renamed under the
    same lock, so that processes that share it lose no line and tear none. Where the file system has
    no locks, lines are still appended whole; give each process a file of its own there.

    Args:
        path: The file; its folder exists.
        max_bytes: The size that it does not exceed, unless a single line does.
        backups: How many rotated files are kept.
        max_age: Seconds after its first line after which it is rotated; None for never.
        keep_for: Seconds after their last line after which rotated files are deleted; None for never.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        backups: int,
        max_age: float | None = None,
        keep_for: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
        self._max_bytes = max_bytes
        self._backups = backups
        self._max_age = max_age
        self._keep_for = keep_for
        self._clock = clock
        self._descriptor: int | None = None
        self._pid = os.getpid()
        self._began: float | None = None
        self._has_complained = False
        self._open()
        self._delete_old_backups()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record; a disk that takes it no more is reported once and stops nothing."""
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            self._append(line)
        except Exception as error:  # noqa: BLE001  # training goes on without its log
            self._complain(error)

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            self._close_descriptor()
        finally:
            self.release()
        super().close()

    def _append(self, line: bytes) -> None:
        with self._locked() as is_locked:
            if not (is_locked and self._is_due(len(line))):
                self._write(line)
                return
            self._rotate()
        with self._locked():  # the file is a new one, perhaps begun by another process
            self._write(line)

    def _write(self, line: bytes) -> None:
        descriptor = self._open()
        if self._began is None:
            self._began = self._clock()
        left = memoryview(line)
        while left:
            left = left[os.write(descriptor, left) :]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Lock the file that the path names now; yields False where there is no lock to be had."""
        end = time.monotonic() + _LONGEST_WAIT
        while True:
            descriptor = self._open()
            is_locked = self._lock(descriptor, end)
            if self._is_current(descriptor):
                break
            self._close_descriptor()  # another process rotated it meanwhile; this drops the lock
        try:
            yield is_locked
        finally:
            if is_locked and self._descriptor == descriptor:
                _FCNTL.flock(descriptor, _FCNTL.LOCK_UN)

    def _lock(self, descriptor: int, end: float) -> bool:
        if _FCNTL is None:  # pragma: no cover  # Windows
            return True
        while True:
            try:
                _FCNTL.flock(descriptor, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(_PAUSE)
            except OSError:  # a network file system without locks
                return False
            else:
                return True

    def _open(self) -> int:
        if self._descriptor is not None and self._pid != os.getpid():
            # A forked child shares its parent's locks with the descriptor, so it takes one of its own.
            self._close_descriptor()
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            # Others may read it if the umask lets them, as with every log file.
            self._descriptor = os.open(self.path, flags, 0o666)
            self._pid = os.getpid()
            self._began = None if self._max_age is None else _first_time(self.path)
        return self._descriptor

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        try:
            named, own = self.path.stat(), os.fstat(descriptor)
        except FileNotFoundError:  # moved or removed by somebody, such as logrotate
            return False
        return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)

    def _is_due(self, more: int) -> bool:
        size = os.fstat(self._open()).st_size
        if size == 0:
            return False
        if size + more > self._max_bytes:
            return True
        if self._max_age is None:
            return False
        if self._began is None:  # it was empty when it was opened, and another process began it
            self._began = _first_time(self.path)
        return self._began is not None and self._clock() - self._began >= self._max_age

    def _rotate(self) -> None:
        """Shift the backups, then the file: until its name is free, nobody else rotates."""
        if _FCNTL is None:  # pragma: no cover  # Windows does not rename an open file
            self._close_descriptor()
        if self._backups == 0:
            self.path.unlink()
        else:
            for number in range(self._backups - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._backup(number).replace(self._backup(number + 1))
            self.path.replace(self._backup(1))
        self._close_descriptor()
        self._delete_old_backups()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _delete_old_backups(self) -> None:
        """Delete what is past its time, and what an earlier call with more backups left."""
        prefix = f"{self.path.name}."
        for file in self.path.parent.iterdir():
            suffix = file.name[len(prefix) :] if file.name.startswith(prefix) else ""
            if not (suffix.isascii() and suffix.isdigit()):
                continue
            with contextlib.suppress(OSError):  # another process deletes it, too
                age = self._clock() - file.stat().st_mtime
                is_old = self._keep_for is not None and age > self._keep_for
                if is_old or int(suffix) > self._backups:
                    file.unlink()

    def _complain(self, error: Exception) -> None:
        if self._has_complained or sys.stderr is None:
            return
        self._has_complained = True
        from hfl_core._redact import redact

        with contextlib.suppress(Exception):
            sys.stderr.write(
                redact(f"The log file '{self.path}' cannot be written any more: {error}\n")
            )


def _first_time(path: Path) -> float | None:
    """Read when a file of JSON lines was begun; for other files, when it was last written."""
    with path.open("rb") as file:
        head = file.read(64)
        if not head:
            return None
        match = _FIRST_TIME.match(head)
        if match is None:
            return os.fstat(file.fileno()).st_mtime
    text = match.group(1).decode("ascii")
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone.utc).timestamp()
    except ValueError:
        return None


def open_log_file(
    path: Path, *, max_bytes: int, backups: int, max_age: float | None, keep_for: float | None
) -> RotatingFile:
    """Open a log file, with its folder.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFile(
            path, max_bytes=max_bytes, backups=backups, max_age=max_age, keep_for=keep_for
        )
    except OSError as error:
        raise ConfigError(
            f"The log file '{path}' cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that you may write to.",
        ) from error
