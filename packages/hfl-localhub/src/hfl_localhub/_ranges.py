"""Ranges and conditions: what part of a file a request gets."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Mapping, Union

from starlette.responses import Response

from hfl_localhub._errors import HubError
from hfl_localhub._streams import FileSlice

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["file_response"]

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)


def file_response(
    request: Request,
    content: Union[Path, bytes],
    *,
    etag: str,
    size: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a file, a part of it, or 304.

    Args:
        request: The request, with its ``Range``, ``If-Range`` and ``If-None-Match``.
        content: The file, or its bytes.
        etag: The file's digest, which makes a strong ETag.
        size: The file's size.
        headers: More headers.

    Raises:
        HubError: 416, the range starts after the end.
        FileNotFoundError: The file is not there.
    """
    all_headers = {
        **(headers or {}),
        "ETag": f'"{etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if _names(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=all_headers)
    first, last = 0, size - 1
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    found = None
    if wanted is not None and (condition is None or _names(condition, etag)):
        found = _slice(wanted, size)
    status = 200
    if found is not None:
        first, last = found
        status = 206
        all_headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    file: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", 0)
    return FileSlice(file, first, last - first + 1, status_code=status, headers=all_headers)


def _names(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    listed = [item.strip() for item in header.split(",")]
    return "*" in listed or any(_plain(item) == etag for item in listed)


def _plain(item: str) -> str:
    return (item[2:] if item.startswith("W/") else item).strip('"')


def _slice(header: str, size: int) -> tuple[int, int] | None:
    """Return the first and the last byte, or None where the whole file is the answer."""
    found = _RANGE.fullmatch(header)
    if found is None or found.groups() == ("", ""):
        return None  # several ranges, another unit, nonsense: the standard says to ignore it
    start, end = found.groups()
    if not start:
        count = min(int(end), size)
        first, last = size - count, size - 1
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        if end and int(end) < int(start):
            return None
    if first > last:
        raise HubError(
            416,
            f"The file has {size} bytes.",
            code="InvalidRange",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return first, last
