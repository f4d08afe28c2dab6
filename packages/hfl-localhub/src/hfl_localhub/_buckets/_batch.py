"""A batch: up to a thousand writes, copies and deletions, one JSON object per line."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Set

from hfl_localhub import _paths
from hfl_localhub._buckets._register import BucketFile
from hfl_localhub._errors import HubError, bad_request

#: How many operations a batch may have.
MOST_OPERATIONS = 1000
#: The Hub's own words, the same for bytes that nobody has and for those of others.
NOT_IN_STORAGE = "File not found in Xet storage"
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(;[ -~]*)?\Z")


class Failure(NamedTuple):
    """An operation that was refused."""

    path: str
    error: str


class Changes(NamedTuple):
    """What a batch asks for, as far as it is possible.

    Attributes:
        writes: The files to write.
        deletes: The paths to delete.
        failures: What was refused.
    """

    writes: List[BucketFile]
    deletes: List[str]
    failures: List[Failure]


class RefusedError(Exception):
    """An operation cannot be done; the text says why."""


class BatchPlanner:
    """Works out what a batch changes.

    Args:
        size_of: Returns the size of stored bytes by their Xet hash, or None.
        check_known: Raises :class:`RefusedError` if a new file may not have these bytes.
        check_source: ``check_source(repo_type, repo_id, xet_hash)`` raises
            :class:`RefusedError` if a copy from there is not allowed.
        now: The time of the batch, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        size_of: Callable[[str], int | None],
        check_known: Callable[[str], None],
        check_source: Callable[[str, str, str], None],
        now: float,
    ) -> None:
        self._size_of = size_of
        self._check_known = check_known
        self._check_source = check_source
        self._now = now
        self._writes: Dict[str, BucketFile] = {}
        self._deletes: Set[str] = set()

    def plan(self, operations: List[Dict[str, Any]]) -> Changes:
        """Return what operations change, in their order: the last one on a path wins."""
        failures = []
        for operation in operations:
            path = operation["path"]
            try:
                check_path(path)
                self._take(path, operation)
            except RefusedError as error:
                failures.append(Failure(path, str(error)))
        return Changes(list(self._writes.values()), sorted(self._deletes), failures)

    def _take(self, path: str, operation: Dict[str, Any]) -> None:
        kind = operation["type"]
        if kind == "deleteFile":
            # No error when it is not there: a client repeats a batch whose answer got lost.
            self._writes.pop(path, None)
            self._deletes.add(path)
            return
        xet_hash = _text(operation, "xetHash")
        if kind == "copyFile":
            source = _text(operation, "sourceRepoType"), _text(operation, "sourceRepoId")
            self._check_source(*source, xet_hash)
        else:
            self._check_known(xet_hash)
        size = self._size_of(xet_hash)
        if size is None:
            raise RefusedError(NOT_IN_STORAGE)
        self._writes[path] = BucketFile(
            path, xet_hash, size, _mtime(operation), self._now, _content_type(operation)
        )


def parse(body: bytes) -> List[Dict[str, Any]]:
    """Read a batch.

    Raises:
        HubError: If it is not one JSON object per line, each with a type and a path.
    """
    operations = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            operations.append(_operation(line, number))
    if len(operations) > MOST_OPERATIONS:
        raise bad_request(
            f"A batch has at most {MOST_OPERATIONS} operations, not {len(operations)}."
        )
    return operations


def check_path(path: str) -> None:
    """Refuse a path that a repository would not take, either.

    Raises:
        RefusedError: Says why.
    """
    try:
        _paths.check_path(path)
    except HubError as error:
        raise RefusedError(error.message) from error


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON may hold halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _operation(line: bytes, number: int) -> Dict[str, Any]:
    try:
        operation = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Line {number} of the batch is not JSON.") from error
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise bad_request(f"Line {number} of the batch is not an operation with a path.")
    if operation.get("type") not in ("addFile", "copyFile", "deleteFile"):
        raise bad_request(
            f"Line {number} of the batch has the unknown type {operation.get('type')!r}."
        )
    return operation


def _text(operation: Dict[str, Any], key: str) -> str:
    value = operation.get(key)
    if not isinstance(value, str):
        raise RefusedError(f"The field {key} is missing.")
    return value


def _content_type(operation: Dict[str, Any]) -> str | None:
    value = operation.get("contentType")
    if value is not None and not (isinstance(value, str) and _CONTENT_TYPE.match(value)):
        raise RefusedError("The field contentType is not a media type.")
    return value


def _mtime(operation: Dict[str, Any]) -> float | None:
    value = operation.get("mtime")
    if value is None:
        return None
    # From 1970 to the year 9999, in milliseconds: what the answer's date format can say.
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value < 253402300800000
    ):
        raise RefusedError("The field mtime is not a time in milliseconds since 1970.")
    return value / 1000
