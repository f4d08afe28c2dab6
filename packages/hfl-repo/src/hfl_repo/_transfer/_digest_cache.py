"""Digests of files that did not change since, kept between processes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Callable, Optional, Tuple

from hfl_core import get_logger
from hfl_repo._transfer._scan import FileKey

__all__ = ["DigestCache"]

_LOG = get_logger(__name__)
_FORMAT = 1
_MOST = 200_000  # all are held in memory: some 60 MB
_PATIENCE = 10.0  # seconds to wait for another process that writes
_PENDING = 500
_TABLE = (
    "CREATE TABLE IF NOT EXISTS digests (place TEXT PRIMARY KEY, stamp TEXT NOT NULL,"
    " sha256 TEXT NOT NULL, blob TEXT, clean INTEGER NOT NULL)"
)

Known = Tuple[str, Optional[str]]


class DigestCache:
    """A small database of digests by (device, inode, size, mtime, ctime).

    It only ever saves time: when it cannot be read or written, files are hashed again. Several
    processes may use it at once.

    Args:
        folder: Where it is kept; None for a cache of this object only.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / f"digests-{_FORMAT}.sqlite"
        self._lock = threading.Lock()
        self._pending: dict[str, tuple[str, Known]] = {}
        self._clean: dict[str, tuple[str, int]] = {}
        self._known: dict[str, tuple[str, Known | None, int]] | None = None

    def get(self, key: FileKey) -> Known | None:
        """Return the digests of a file that is as it was; None if they are not known."""
        place, stamp = _split(key)
        with self._lock:
            if place in self._pending and self._pending[place][0] == stamp:
                return self._pending[place][1]
            found = self._all().get(place)
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, key: FileKey, digests: Known) -> None:
        """Note the digests of a file."""
        place, stamp = _split(key)
        with self._lock:
            self._pending[place] = (stamp, digests)
            is_much = len(self._pending) >= _PENDING
        if is_much:
            self.flush()

    def is_clean(self, key: FileKey, rules: int) -> bool:
        """Say whether the gate has looked at the file as it is, by these rules, and found nothing."""
        place, stamp = _split(key)
        with self._lock:
            if self._clean.get(place) == (stamp, rules):
                return True
            found = self._all().get(place)
        return found is not None and found[0] == stamp and found[2] == rules

    def note_clean(self, key: FileKey, rules: int) -> None:
        """Note that the gate found nothing in a file whose digests were noted."""
        place, stamp = _split(key)
        with self._lock:
            self._clean[place] = (stamp, rules)

    def flush(self) -> None:
        """Write what is new."""
        with self._lock:
            digests, self._pending = self._pending, {}
            clean, self._clean = self._clean, {}
            known = self._all()
            for place, (stamp, value) in digests.items():
                known[place] = (stamp, value, 0)
            for place, (stamp, rules) in clean.items():
                if place in known and known[place][0] == stamp:
                    known[place] = (stamp, known[place][1], rules)
        if not digests and not clean:
            return

        def write(database: sqlite3.Connection) -> None:
            database.executemany(
                "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, 0)",
                [(place, stamp, *value) for place, (stamp, value) in digests.items()],
            )
            database.executemany(
                "UPDATE digests SET clean = ? WHERE place = ? AND stamp = ?",
                [(rules, place, stamp) for place, (stamp, rules) in clean.items()],
            )
            database.execute(
                "DELETE FROM digests WHERE rowid <= (SELECT max(rowid) FROM digests) - ?", (_MOST,)
            )

        self._in_database(write)

    def _all(self) -> dict[str, tuple[str, Known | None, int]]:
        # Read at once: one query for a hundred thousand rows is faster than a query for each file.
        if self._known is None:
            known: dict[str, tuple[str, Known | None, int]] = {}

            def read(database: sqlite3.Connection) -> None:
                rows = database.execute("SELECT place, stamp, sha256, blob, clean FROM digests")
                for place, stamp, sha256, blob, clean in rows:
                    known[place] = (stamp, (sha256, blob), clean)

            self._in_database(read)
            self._known = known
        return self._known

    def _in_database(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something in one transaction; a broken database is given up, never an error."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(str(self._path), timeout=_PATIENCE)
            with contextlib.closing(connection), connection:
                connection.execute(_TABLE)
                work(connection)
        except (sqlite3.Error, OSError) as error:
            _LOG.debug("The cache of digests cannot be used: %s", error)
            if "not a database" in str(error) or "malformed" in str(error):
                with contextlib.suppress(OSError):
                    self._path.unlink()


def _split(key: FileKey) -> tuple[str, str]:
    # Texts: an inode may be larger than the database's integers.
    return f"{key.device}:{key.inode}", f"{key.size}:{key.mtime_ns}:{key.ctime_ns}"
