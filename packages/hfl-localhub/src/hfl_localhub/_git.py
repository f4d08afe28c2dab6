"""Bare git repositories, through dulwich: objects, references and history.

Nothing above this module knows dulwich. A session (``GitRepo.open``) belongs to one thread, because
dulwich's pack files share one file position; what is read is cached for all sessions by its
digest, which can't go stale.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import re
import stat
import threading
import time
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Tuple

from hfl_localhub._durable import write_bytes
from hfl_localhub._errors import conflict
from hfl_localhub._shared_lock import SharedLock
from hfl_localhub._weighted_cache import WeightedCache

__all__ = ["Commit", "Entry", "GitRepo", "GitSession"]

_COMMITS: WeightedCache[Commit] = WeightedCache(capacity=20_000)
_TREES: WeightedCache[Tuple[Entry, ...]] = WeightedCache(capacity=100_000)
_COMMIT_ID = re.compile("[0-9a-f]{40}")
_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit.

    Attributes:
        id: Its sha1 in hex.
        tree: The sha1 of its root folder.
        parents: The sha1s of the commits before it.
        author: The name of who made it.
        time: When, in seconds since the epoch.
        message: The whole message.
    """

    id: str
    tree: str
    parents: Tuple[str, ...]
    author: str
    time: int
    message: str

    @property
    def title(self) -> str:
        """The message's first line."""
        return self.message.split("\n", 1)[0]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file or a folder in a tree.

    Attributes:
        name: Its name (in a listing: its path).
        mode: Git's mode bits.
        sha: The sha1 of the blob or tree.
    """

    name: str
    mode: int
    sha: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


class GitRepo:
    """A bare repository on disk.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = SharedLock()
        self._moving = threading.Lock()
        self._is_retired = False

    @classmethod
    def create(cls, path: Path) -> GitRepo:
        """Make an empty repository whose default branch is ``main``."""
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
            (path / folder).mkdir(parents=True)
        write_bytes(path / "config", _CONFIG)
        write_bytes(path / "HEAD", b"ref: refs/heads/main\n")
        return cls(path)

    @contextlib.contextmanager
    def open(self) -> Iterator[GitSession]:
        """Open it for one thread, which must not have it open already.

        What is read or added in a session stays until it ends.

        Raises:
            HubError: 409, the repository was moved or deleted while the caller waited.
        """
        with self._lock.shared(), self._session() as session:
            yield session

    @contextlib.contextmanager
    def alone(self) -> Iterator[GitSession]:
        """Open it when nobody else has, to remove something. Taken before the repository's lock."""
        with self._lock.alone(), self._session() as session:
            yield session

    def discard_leftovers(self) -> None:
        """Remove the references that a killed process left half-written or locked.

        Half-written objects do no harm; the garbage collector finds them.
        """
        for pattern in ("*.lock", "refs/**/*.lock", "refs/**/.*"):
            for path in self.path.glob(pattern):
                path.unlink()

    def retire(self) -> None:
        """Refuse further sessions: the folder is about to move. The caller has it alone."""
        self._is_retired = True

    @contextlib.contextmanager
    def _session(self) -> Iterator[GitSession]:
        from hfl_localhub import _dulwich

        if self._is_retired:
            raise conflict("The repository was moved or deleted meanwhile.")

        store = _dulwich.object_store(self.path / "objects")
        try:
            yield GitSession(self.path, self._moving, store, _dulwich.references(self.path))
        finally:
            store.close()


class GitSession:
    """One thread's view of a repository. Made by ``GitRepo.open``."""

    def __init__(self, folder: Path, moving: threading.Lock, store: Any, references: Any) -> None:
        self._folder = folder
        self._moving = moving
        self.store = store
        self._references = references

    # -- references ---------------------------------------------------------------------------

    def refs(self) -> dict[str, str]:
        """Return all references but HEAD, by full name, with what they point to."""
        return {
            name.decode(): sha.decode()
            for name, sha in self._references.as_dict().items()
            if name != b"HEAD"
        }

    def ref(self, name: str) -> str | None:
        """Return what a reference points to."""
        sha: Optional[bytes] = self._references.read_ref(name.encode())
        return sha.decode() if sha is not None else None

    def move_ref(self, name: str, old: str | None, new: str) -> bool:
        """Point a reference elsewhere if it still points to ``old`` (None: if it isn't there)."""
        with self._moving:
            if self.ref(name) != old:
                return False
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, f"{new}\n".encode())
            return True

    def remove_ref(self, name: str) -> None:
        """Remove a reference."""
        self._references.remove_if_equals(name.encode(), None)

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch, tag, full reference or commit id names."""
        for prefix in ("", "refs/heads/", "refs/tags/"):
            name = prefix + revision
            if not name.startswith("refs/") or not is_valid_ref(name):
                continue
            sha = self.ref(name)
            if sha is not None:
                return self.peel(sha)
        if _COMMIT_ID.fullmatch(revision) and self._is_commit(revision):
            return revision
        return None

    def peel(self, sha: str) -> str | None:
        """Follow annotated tags to the commit."""
        while True:
            value = self.store[sha.encode()]
            if value.type_name == b"commit":
                return sha
            if value.type_name != b"tag":
                return None
            sha = value.object[1].decode()

    def _is_commit(self, sha: str) -> bool:
        return sha.encode() in self.store and self.store[sha.encode()].type_name == b"commit"

    # -- reading ------------------------------------------------------------------------------

    def commit(self, sha: str) -> Commit:
        """Read a commit."""
        known = _COMMITS.get(sha)
        if known is not None:
            return known
        raw = self.store[sha.encode()]
        author = raw.author.decode("utf-8", "replace").split(" <", 1)[0]
        message = raw.message.decode("utf-8", "replace")
        parents = tuple(parent.decode() for parent in raw.parents)
        commit = Commit(sha, raw.tree.decode(), parents, author, int(raw.commit_time), message)
        _COMMITS.put(sha, commit, 1 + len(message) // 500)
        return commit

    def history(self, sha: str) -> Iterator[Commit]:
        """Yield the commits that led to this one, newest first, this one included."""
        seen = {sha}
        waiting = [(-self.commit(sha).time, 0, sha)]
        while waiting:
            commit = self.commit(heapq.heappop(waiting)[2])
            yield commit
            for parent in commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(waiting, (-self.commit(parent).time, len(seen), parent))

    def line(self, sha: str) -> Iterator[Commit]:
        """Yield this commit and those before it along first parents: the states of a branch."""
        next_sha: Optional[str] = sha
        while next_sha is not None:
            commit = self.commit(next_sha)
            yield commit
            next_sha = commit.parents[0] if commit.parents else None

    def tree(self, sha: str) -> Tuple[Entry, ...]:
        """Read a folder's entries, in git's order."""
        known = _TREES.get(sha)
        if known is not None:
            return known
        entries = tuple(
            Entry(name.decode("utf-8", "surrogateescape"), mode, child.decode())
            for name, mode, child in self.store[sha.encode()].iteritems()
        )
        _TREES.put(sha, entries, len(entries) + 1)
        return entries

    def find(self, tree: str, path: str) -> Entry | None:
        """Return what is at a path, or None. The empty path is the root folder."""
        found = Entry("", stat.S_IFDIR, tree)
        for name in path.split("/") if path else ():
            if not found.is_folder:
                return None
            child = next((entry for entry in self.tree(found.sha) if entry.name == name), None)
            if child is None:
                return None
            found = child
        return dataclasses.replace(found, name=path)

    def walk(self, tree: str, prefix: str = "", *, recursive: bool = True) -> Iterator[Entry]:
        """Yield what is in a folder, depth first, with paths for names."""
        for entry in self.tree(tree):
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            yield dataclasses.replace(entry, name=path)
            if recursive and entry.is_folder:
                yield from self.walk(entry.sha, path)

    def files(self, tree: str) -> Iterator[Entry]:
        """Yield all files under a folder, with paths for names."""
        return (entry for entry in self.walk(tree) if not entry.is_folder)

    def blob(self, sha: str) -> bytes:
        """Read a file's bytes."""
        _, data = self.store.get_raw(sha.encode())
        return bytes(data)

    # -- writing ------------------------------------------------------------------------------

    def add_blob(self, data: bytes) -> str:
        """Write a file's bytes and return their sha1."""
        from hfl_localhub import _dulwich

        return self._add(_dulwich.blob(data))

    def add_tree(self, entries: Iterable[Entry]) -> str:
        """Write a folder and return its sha1."""
        from hfl_localhub import _dulwich

        return self._add(_dulwich.tree(entries))

    def add_commit(
        self, tree: str, parents: Iterable[str], author: str, message: str, when: int | None = None
    ) -> str:
        """Write a commit and return its sha1. No reference moves."""
        from hfl_localhub import _dulwich

        moment = int(time.time()) if when is None else when
        return self._add(_dulwich.commit(tree, list(parents), author, message, moment))

    def add_tag(self, name: str, commit: str, author: str, message: str) -> str:
        """Write an annotated tag's object and return its sha1."""
        from hfl_localhub import _dulwich

        return self._add(_dulwich.tag(name, commit, author, message, int(time.time())))

    def retag(self, sha: str, commit: str) -> str:
        """Write a copy of an annotated tag's object that points to another commit."""
        value = self.store[sha.encode()].copy()
        value.object = (value.object[0], commit.encode())
        return self._add(value)

    def _add(self, value: Any) -> str:
        sha = str(value.id.decode())
        if value.id not in self.store:
            # Not by dulwich: two writers of the same object would meet at its lock file, and a
            # killed one would leave it there.
            path = self._folder / "objects" / sha[:2] / sha[2:]
            path.parent.mkdir(exist_ok=True)
            write_bytes(path, value.as_legacy_object(compression_level=1), mode=0o444)
        return sha


def is_valid_ref(name: str) -> bool:
    """Whether git takes this as a reference's full name."""
    from hfl_localhub import _dulwich

    return _dulwich.is_valid_ref(name)
