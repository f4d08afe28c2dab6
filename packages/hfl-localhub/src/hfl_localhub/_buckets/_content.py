"""A bucket's file over plain HTTP: its headers tell Xet clients where else to get it."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from hfl_localhub._errors import entry_not_found
from hfl_localhub._xet import XetRangeError, XetService, parse_range

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._buckets._register import BucketFile


def content_response(
    request: Request, service: XetService, file: BucketFile, *, refresh_route: str
) -> Response:
    """Return a file, or the part that the request asks for.

    Args:
        request: GET or HEAD.
        service: Has the bytes.
        file: What to send.
        refresh_route: Where Xet clients get a token for it.
    """
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.xet_hash}"',
        "Last-Modified": formatdate(file.uploaded_at, usegmt=True),
        "Link": f'<{refresh_route}>; rel="xet-auth"',
        "X-Content-Type-Options": "nosniff",
        "X-Linked-Size": str(file.size),
        "X-Xet-Hash": file.xet_hash,
        "X-Xet-Refresh-Route": refresh_route,
    }
    if service.size(file.xet_hash) is None:
        raise entry_not_found(file.path)
    start, end, status = 0, file.size, 200
    span = parse_range(request.headers.get("range"))
    if span is not None and request.method == "GET":
        try:
            start, end = span.bounds(file.size)
        except XetRangeError:
            headers["Content-Range"] = f"bytes */{file.size}"
            return Response(status_code=416, headers=headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        status = 206
    headers["Content-Length"] = str(end - start)
    kind = file.content_type or "application/octet-stream"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    body = service.stream(file.xet_hash, start, end)
    return StreamingResponse(body, status_code=status, headers=headers, media_type=kind)
