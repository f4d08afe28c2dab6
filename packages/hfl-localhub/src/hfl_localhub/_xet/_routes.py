"""The content store over HTTP, as Xet clients speak it.

Source: "CAS API" in the Xet protocol specification (huggingface.co/docs/xet). What is not here
answers 404, which clients take as "not offered": ``/v2/…``, xorb grants, telemetry.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import AsyncIterator, Awaitable, BinaryIO, Callable, List

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfl_localhub._streams import FileSlice, receive_into
from hfl_localhub._xet import _ranges
from hfl_localhub._xet._errors import (
    XetFormatError,
    XetMismatchError,
    XetNotFoundError,
    XetRangeError,
    XetScopeError,
    XetTokenError,
    XetTooLargeError,
)
from hfl_localhub._xet._service import XetService
from hfl_localhub._xet._shard import LARGEST_SHARD
from hfl_localhub._xet._tokens import Scope
from hfl_localhub._xet._xorb import LARGEST_XORB

_STATUS = {
    XetFormatError: 400,
    XetMismatchError: 400,
    XetTokenError: 401,
    XetScopeError: 403,
    XetNotFoundError: 404,
    XetTooLargeError: 413,
    XetRangeError: 416,
}

_ERRORS = (
    XetFormatError,
    XetMismatchError,
    XetTokenError,
    XetScopeError,
    XetNotFoundError,
    XetTooLargeError,
    XetRangeError,
)


def store_routes(service: XetService) -> List[Route]:
    """Return the routes of the content store."""
    handlers = _Handlers(service)
    base = "/xet/{generation}"
    return [
        Route(f"{base}/v1/reconstructions/{{hash}}", handlers.reconstruction, methods=["GET"]),
        Route(f"{base}/v1/chunks/{{prefix}}/{{hash}}", handlers.chunk, methods=["GET"]),
        Route(f"{base}/v1/xorbs/{{prefix}}/{{hash}}", handlers.upload_xorb, methods=["POST"]),
        Route(f"{base}/v1/shards", handlers.upload_shard, methods=["POST"]),
        Route(f"{base}/v1/bytes/{{hash}}", handlers.xorb_bytes, methods=["GET"]),
        Route("/xet/{rest:path}", handlers.unknown, methods=["GET", "HEAD", "POST", "PUT"]),
    ]


def _answering(
    handler: Callable[[_Handlers, Request], Awaitable[Response]],
) -> Callable[[_Handlers, Request], Awaitable[Response]]:
    """Turn the store's errors into answers."""

    @functools.wraps(handler)
    async def wrapped(self: _Handlers, request: Request) -> Response:
        try:
            return await handler(self, request)
        except _ERRORS as error:
            headers = {}
            if isinstance(error, XetRangeError):
                headers["Content-Range"] = f"bytes */{error.size}"
            body = {"error": str(error)}
            return JSONResponse(body, status_code=_STATUS[type(error)], headers=headers)

    return wrapped


class _Handlers:
    def __init__(self, service: XetService) -> None:
        self._service = service

    @_answering
    async def reconstruction(self, request: Request) -> Response:
        scope = self._scope(request, "read")
        span = _ranges.parse(request.headers.get("range"))
        name = request.path_params["hash"]
        await run_in_threadpool(self._service.check_held, scope, name)
        if span is not None and span.start is None:
            size = await run_in_threadpool(self._service.size, name)
            span = span.of_size(size or 0)
        start, end = (0, None) if span is None else (span.start or 0, span.end)
        plan = await run_in_threadpool(self._service.reconstruction, name, start, end)
        return JSONResponse(plan)

    @_answering
    async def chunk(self, request: Request) -> Response:
        self._scope(request, "read")
        name = request.path_params["hash"]
        listing = await run_in_threadpool(self._service.chunk_listing, name)
        if listing is None:
            raise XetNotFoundError(f"No xorb is known to hold the chunk {name}.")
        return Response(listing, media_type="application/octet-stream")

    @_answering
    async def upload_xorb(self, request: Request) -> Response:
        self._scope(request, "write")
        name = request.path_params["hash"]
        async with _upload(request, self._service, LARGEST_XORB + _FOOTER_ROOM) as (stream, path):
            is_new = await run_in_threadpool(self._service.add_xorb, name, stream, path)
        return JSONResponse({"was_inserted": is_new})

    @_answering
    async def upload_shard(self, request: Request) -> Response:
        scope = self._scope(request, "write")
        async with _upload(request, self._service, LARGEST_SHARD) as (stream, _):
            await run_in_threadpool(self._service.add_shard, stream, scope)
        return JSONResponse({"result": 1})

    @_answering
    async def xorb_bytes(self, request: Request) -> Response:
        name = request.path_params["hash"]
        signature = request.query_params.get("signature", "")
        first, last = self._service.tokens.check_bytes(signature, name)
        path, size = await run_in_threadpool(self._service.xorb_run, name)
        span = _ranges.parse(request.headers.get("range"))
        start, end = (first, last + 1) if span is None else span.of_size(size).bounds(size)
        if start < first or end > last + 1:
            raise XetScopeError(f"The URL is for the bytes {first} to {last} only.")
        return FileSlice(
            path.open("rb", 0),
            start,
            end - start,
            status_code=206,
            headers={
                "Accept-Ranges": "bytes",
                "Content-Range": f"bytes {start}-{end - 1}/{size}",
                "Content-Type": "application/octet-stream",
            },
        )

    async def unknown(self, request: Request) -> Response:
        return JSONResponse({"error": f"{request.url.path} is not offered."}, status_code=404)

    def _scope(self, request: Request, access: str) -> Scope:
        return self._service.tokens.check(request.headers.get("authorization", ""), access)


# Clients may send their own footer behind the 64 MiB of chunks; it is dropped.
_FOOTER_ROOM = 4 * 1024 * 1024


@contextlib.asynccontextmanager
async def _upload(
    request: Request, service: XetService, limit: int
) -> AsyncIterator[tuple[BinaryIO, Path]]:
    """Write a request's body to a temporary file, so that it never is in memory as a whole."""

    def check(size: int) -> None:
        if size > limit:
            raise XetTooLargeError(f"At most {limit} bytes may be uploaded at once, not {size}.")

    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit():
        check(int(announced))
    path = service.blobs.new_temporary_path()
    try:
        with path.open("w+b") as stream:
            await receive_into(request, _writes(stream), check=check)
            yield stream, path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _writes(stream: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        stream.write(data)

    return write
