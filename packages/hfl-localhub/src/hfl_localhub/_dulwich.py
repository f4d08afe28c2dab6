"""The only module that imports dulwich at its top: loaded when the first repository is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.refs import DiskRefsContainer, check_ref_format

__all__ = ["blob", "commit", "is_valid_ref", "object_store", "references", "tag", "tree"]


def object_store(path: Path) -> Any:
    """Open an object store, for reading."""
    return DiskObjectStore(str(path))


def references(path: Path) -> Any:
    """Open the references of a bare repository."""
    return DiskRefsContainer(str(path))


def is_valid_ref(name: str) -> bool:
    """Whether git takes this as a reference's full name."""
    try:
        return bool(check_ref_format(name.encode()))  # type: ignore[arg-type]  # a NewType of bytes
    except UnicodeEncodeError:
        return False


def blob(data: bytes) -> Any:
    """Return a blob object."""
    return Blob.from_string(data)


def tree(entries: Iterable[Any]) -> Any:
    """Return a tree object."""
    made: Any = Tree()
    for entry in entries:
        made.add(entry.name.encode("utf-8", "surrogateescape"), entry.mode, entry.sha.encode())
    return made


def commit(tree: str, parents: list[str], author: str, message: str, when: int) -> Any:
    """Return a commit object."""
    made: Any = Commit()
    made.tree = tree.encode()
    made.parents = [parent.encode() for parent in parents]
    made.author = made.committer = _signature(author)
    made.author_time = made.commit_time = when
    made.author_timezone = made.commit_timezone = 0
    made.encoding = b"UTF-8"
    made.message = message.encode("utf-8", "replace")
    return made


def tag(name: str, commit: str, author: str, message: str, when: int) -> Any:
    """Return an annotated tag's object."""
    made: Any = Tag()
    made.name = name.encode()
    made.object = (Commit, commit.encode())
    made.tagger = _signature(author)
    made.tag_time = when
    made.tag_timezone = 0
    made.message = message.encode("utf-8", "replace")
    return made


def _signature(author: str) -> bytes:
    return f"{author} <{author}@users.noreply.local>".encode()
