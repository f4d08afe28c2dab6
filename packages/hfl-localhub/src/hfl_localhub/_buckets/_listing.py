"""A bucket's tree: what starts with a prefix, all of it or one level of it, page by page.

Paths are plain keys and a prefix is plain text, as on the Hub: listing ``logs`` also shows
``logs.json``.
"""

from __future__ import annotations

from typing import List, NamedTuple, Union

from hfl_localhub._buckets._register import Bucket, BucketFile, BucketRegister

#: How many entries a page has.
PAGE = 1000


class BucketFolder(NamedTuple):
    """A folder, which is nothing but what its files' paths have in common."""

    path: str
    uploaded_at: float


Entry = Union[BucketFile, BucketFolder]


class Page(NamedTuple):
    """Some entries, and where the next page starts if there is one."""

    entries: List[Entry]
    next_start: str | None


def tree_page(
    register: BucketRegister, bucket: Bucket, prefix: str, *, recursive: bool, start: str | None
) -> Page:
    """Return a page of a bucket's tree.

    Args:
        register: Where the buckets are.
        bucket: The bucket.
        prefix: How the paths start.
        recursive: All files; otherwise one level, of files and folders.
        start: The ``next_start`` of the page before.
    """
    start = prefix if start is None else max(start, prefix)
    end = _after(prefix)
    if recursive:
        found = register.files_between(bucket, start, end, PAGE + 1)
        entries: List[Entry] = list(found[:PAGE])
        return Page(entries, found[PAGE].path if len(found) > PAGE else None)
    return _one_level(register, bucket, prefix, start, end)


def _one_level(
    register: BucketRegister, bucket: Bucket, prefix: str, start: str, end: str | None
) -> Page:
    entries: List[Entry] = []
    while True:
        found = register.files_between(bucket, start, end, PAGE)
        for file in found:
            if file.path < start:
                continue  # below a folder that is listed already
            if len(entries) == PAGE:
                return Page(entries, file.path)
            folder = _folder(file.path, prefix)
            if folder is None:
                entries.append(file)
                start = file.path + "\x00"
            else:
                below, start = f"{folder}/", f"{folder}0"  # 0 is the character behind the slash
                entries.append(BucketFolder(folder, register.newest_upload(bucket, below, start)))
        if len(found) < PAGE:
            return Page(entries, None)


def _folder(path: str, prefix: str) -> str | None:
    """Return the folder that stands for a path one level below a prefix, or None for a file."""
    level = len(prefix) + 1 if path.startswith(f"{prefix}/") and prefix else len(prefix)
    slash = path.find("/", level)
    return None if slash < 0 else path[:slash]


def _after(prefix: str) -> str | None:
    """Return the first text behind all that start with a prefix, or None."""
    # The last code point that has a successor is counted up; SQLite orders by code point.
    for index in range(len(prefix) - 1, -1, -1):
        successor = ord(prefix[index]) + 1
        if 0xD800 <= successor <= 0xDFFF:
            successor = 0xE000  # no text contains a surrogate
        if successor <= 0x10FFFF:
            return prefix[:index] + chr(successor)
    return None
