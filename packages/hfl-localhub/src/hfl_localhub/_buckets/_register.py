"""Which buckets there are and what is in them, in one SQLite file.

A bucket has no history: a path names a Xet hash, and the newest write wins. Every change is one
transaction, so a kill leaves the state before it or after it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    private INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (namespace, name)
);
CREATE TABLE IF NOT EXISTS former_names (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    bucket INTEGER NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
    PRIMARY KEY (namespace, name)
);
CREATE TABLE IF NOT EXISTS files (
    bucket INTEGER NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    xet_hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime REAL,
    uploaded_at REAL NOT NULL,
    content_type TEXT,
    PRIMARY KEY (bucket, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_hash ON files (xet_hash, bucket);
CREATE TABLE IF NOT EXISTS uploads (
    bucket INTEGER NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
    xet_hash TEXT NOT NULL,
    uploaded_at REAL NOT NULL,
    PRIMARY KEY (bucket, xet_hash)
) WITHOUT ROWID;
"""


class Bucket(NamedTuple):
    """A bucket.

    Attributes:
        key: What the register calls it; stays when it is renamed.
        namespace: The user or organization.
        name: The name in the namespace.
        private: Whether only its namespace may see it.
        created_at: In seconds since 1970.
        size: The bytes of all its files.
        total_files: How many there are.
    """

    key: int
    namespace: str
    name: str
    private: bool
    created_at: float
    size: int
    total_files: int

    @property
    def id(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


class BucketFile(NamedTuple):
    """A file in a bucket; times are in seconds since 1970."""

    path: str
    xet_hash: str
    size: int
    mtime: float | None
    uploaded_at: float
    content_type: str | None = None


class NameTakenError(Exception):
    """Another bucket has the name."""


_BUCKET = """
SELECT id, namespace, name, private, created_at,
    (SELECT COALESCE(SUM(size), 0) FROM files WHERE bucket = id),
    (SELECT COUNT(*) FROM files WHERE bucket = id)
FROM buckets
"""
_HOLDERS = "SELECT bucket FROM files WHERE xet_hash = ?"
_FILE = "SELECT path, xet_hash, size, mtime, uploaded_at, content_type FROM files"


class BucketRegister:
    """Keeps the buckets.

    Args:
        path: The SQLite file; made if absent, with its folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as db:
            db.executescript(_SCHEMA)

    def create(self, namespace: str, name: str, *, private: bool, now: float) -> Bucket:
        """Add a bucket.

        Raises:
            NameTakenError: If there is one of that name.
        """
        with self._transaction() as db:
            try:
                db.execute(
                    "INSERT INTO buckets (namespace, name, private, created_at) VALUES (?, ?, ?, ?)",
                    (namespace, name, private, now),
                )
            except sqlite3.IntegrityError as error:
                raise NameTakenError from error
            # A new bucket takes the name away from one that had it before.
            db.execute(
                "DELETE FROM former_names WHERE namespace = ? AND name = ?", (namespace, name)
            )
            return _one(db, namespace, name)

    def get(self, namespace: str, name: str) -> Bucket | None:
        """Return a bucket by its name, or None."""
        with self._transaction() as db:
            row = db.execute(f"{_BUCKET} WHERE namespace = ? AND name = ?", (namespace, name))
            return _bucket(row.fetchone())

    def renamed(self, namespace: str, name: str) -> Bucket | None:
        """Return the bucket that had a name before it was moved, or None."""
        with self._transaction() as db:
            former = db.execute(
                "SELECT bucket FROM former_names WHERE namespace = ? AND name = ?",
                (namespace, name),
            ).fetchone()
            return (
                None
                if former is None
                else _bucket(db.execute(f"{_BUCKET} WHERE id = ?", former).fetchone())
            )

    def in_namespace(self, namespace: str) -> List[Bucket]:
        """Return the buckets of a namespace by name."""
        with self._transaction() as db:
            rows = db.execute(f"{_BUCKET} WHERE namespace = ? ORDER BY name", (namespace,))
            return [bucket for bucket in map(_bucket, rows) if bucket is not None]

    def set_private(self, bucket: Bucket, *, private: bool) -> None:
        """Hide a bucket or show it."""
        with self._transaction() as db:
            db.execute("UPDATE buckets SET private = ? WHERE id = ?", (private, bucket.key))

    def move(self, bucket: Bucket, namespace: str, name: str) -> None:
        """Rename a bucket; its former name leads to it until another takes that.

        Raises:
            NameTakenError: If there is one of the new name.
        """
        with self._transaction() as db:
            try:
                db.execute(
                    "UPDATE buckets SET namespace = ?, name = ? WHERE id = ?",
                    (namespace, name, bucket.key),
                )
            except sqlite3.IntegrityError as error:
                raise NameTakenError from error
            db.execute(
                "DELETE FROM former_names WHERE namespace = ? AND name = ?", (namespace, name)
            )
            db.execute(
                "INSERT OR REPLACE INTO former_names VALUES (?, ?, ?)",
                (bucket.namespace, bucket.name, bucket.key),
            )

    def delete(self, bucket: Bucket) -> None:
        """Remove a bucket with all that is in it."""
        with self._transaction() as db:
            db.execute("DELETE FROM buckets WHERE id = ?", (bucket.key,))

    def apply(self, bucket: Bucket, writes: Iterable[BucketFile], deletes: Iterable[str]) -> None:
        """Delete and write files in one step; a path that is in both is written."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM files WHERE bucket = ? AND path = ?",
                [(bucket.key, path) for path in deletes],
            )
            db.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(bucket.key, *file) for file in writes],
            )

    def file(self, bucket: Bucket, path: str) -> BucketFile | None:
        """Return a file, or None."""
        return next(iter(self.files_at(bucket, [path])), None)

    def files_at(self, bucket: Bucket, paths: Sequence[str]) -> List[BucketFile]:
        """Return those of the paths that are files."""
        with self._transaction() as db:
            found = (
                db.execute(f"{_FILE} WHERE bucket = ? AND path = ?", (bucket.key, path)).fetchone()
                for path in paths
            )
            return [BucketFile(*row) for row in found if row is not None]

    def has_hash(self, bucket: Bucket, xet_hash: str) -> bool:
        """Whether a file of the bucket has these bytes."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT 1 FROM files WHERE bucket = ? AND xet_hash = ? LIMIT 1",
                (bucket.key, xet_hash),
            )
            return row.fetchone() is not None

    def record_uploads(self, bucket: Bucket, xet_hashes: Iterable[str], now: float) -> None:
        """Note that bytes were uploaded for a bucket, which has no file with them yet."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?)",
                [(bucket.key, xet_hash, now) for xet_hash in xet_hashes],
            )

    def may_name(self, bucket: Bucket, xet_hash: str) -> bool:
        """Whether a bucket has these bytes, in a file or uploaded for one."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT 1 FROM uploads WHERE bucket = :bucket AND xet_hash = :hash"
                " UNION ALL SELECT 1 FROM files WHERE bucket = :bucket AND xet_hash = :hash LIMIT 1",
                {"bucket": bucket.key, "hash": xet_hash},
            )
            return row.fetchone() is not None

    def forget_uploads(self, before: float) -> None:
        """Forget the uploads before a moment: whatever became of them, no client waits."""
        with self._transaction() as db:
            db.execute("DELETE FROM uploads WHERE uploaded_at < ?", (before,))

    def holders(self, xet_hash: str) -> List[Bucket]:
        """Return the buckets that have a file with these bytes."""
        with self._transaction() as db:
            rows = db.execute(f"{_BUCKET} WHERE id IN ({_HOLDERS})", (xet_hash,))
            return [bucket for bucket in map(_bucket, rows) if bucket is not None]

    def files_between(
        self, bucket: Bucket, start: str, end: str | None, limit: int
    ) -> List[BucketFile]:
        """Return the first files, by path, from a path on to before another one."""
        with self._transaction() as db:
            rows = db.execute(
                f"{_FILE} WHERE bucket = ? AND path >= ? AND (? IS NULL OR path < ?)"
                " ORDER BY path LIMIT ?",
                (bucket.key, start, end, end, limit),
            )
            return [BucketFile(*row) for row in rows]

    def newest_upload(self, bucket: Bucket, start: str, end: str) -> float:
        """Return when the newest of the files in a range of paths was written."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT MAX(uploaded_at) FROM files WHERE bucket = ? AND path >= ? AND path < ?",
                (bucket.key, start, end),
            )
            return float(row.fetchone()[0] or 0.0)

    def storage(self, bucket: Bucket) -> Tuple[int, float]:
        """Return the bytes of a bucket's distinct files, and when it last changed."""
        with self._transaction() as db:
            distinct = db.execute(
                "SELECT SUM(size), MAX(uploaded_at) FROM (SELECT size, MAX(uploaded_at) AS"
                " uploaded_at FROM files WHERE bucket = ? GROUP BY xet_hash)",
                (bucket.key,),
            )
            size, newest = distinct.fetchone()
            return size or 0, newest or bucket.created_at

    def file_hashes(self) -> Set[str]:
        """Return the Xet hashes of all files of all buckets."""
        with self._transaction() as db:
            return {row[0] for row in db.execute("SELECT DISTINCT xet_hash FROM files")}

    def live_xet_hashes(self) -> Set[str]:
        """Return the Xet hashes of all files of all buckets, and of what was uploaded for them."""
        with self._transaction() as db:
            rows = db.execute("SELECT xet_hash FROM files UNION SELECT xet_hash FROM uploads")
            return {row[0] for row in rows}

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # A connection per step: requests run in many threads, and SQLite serialises them.
        with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            with db:
                yield db


def _one(db: sqlite3.Connection, namespace: str, name: str) -> Bucket:
    bucket = _bucket(
        db.execute(f"{_BUCKET} WHERE namespace = ? AND name = ?", (namespace, name)).fetchone()
    )
    if bucket is None:
        raise LookupError(f"{namespace}/{name}")
    return bucket


def _bucket(row: Sequence[object] | None) -> Bucket | None:
    if row is None:
        return None
    key, namespace, name, private, *rest = row
    return Bucket(key, namespace, name, bool(private), *rest)  # type: ignore[arg-type]  # SQLite's
