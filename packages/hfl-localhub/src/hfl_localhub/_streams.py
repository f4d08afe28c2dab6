"""Bodies that are too large for memory, in both directions.

Chunks move between the network and a thread that reads or writes the disk; while one is on the
disk the next is on the wire.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, BinaryIO, Callable, Mapping, Optional

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["CHUNK", "FileSlice", "Intake", "receive_into"]

CHUNK = 1024 * 1024
# On the way out three pieces per client are in memory: one each with the disk, with the next step,
# and with the socket. A client that does not read keeps them there; larger ones are no faster.
_PIECE = 256 * 1024


class Intake:
    """The way in for a request's body, which remembers whether all of it came.

    Args:
        receive: ASGI's way in.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_complete = False

    async def __call__(self) -> Message:
        """Return the next part."""
        try:
            message = await self._receive()
        except BaseException:
            self._is_complete = True  # nothing more will come this way
            raise
        self._is_complete = not message.get("more_body", False)
        return message

    async def drain(self, most: int) -> None:
        """Throw away what is still to come, up to a limit.

        A client that is still sending when the connection ends never gets to read why.
        """
        while not self._is_complete and most > 0:
            most -= len((await self()).get("body", b""))


async def receive_into(
    request: Request, write: Callable[[bytes], None], *, check: Callable[[int], None]
) -> int:
    """Pass a request's body to a function, from a thread, about 1 MiB at a time.

    Args:
        request: The request.
        write: Takes the bytes.
        check: Is told the size so far, and raises when it is too much.

    Returns:
        The size of the body.

    Raises:
        ClientDisconnect: The client went away before the end.
    """
    total = 0
    waiting: list[bytes] = []
    waiting_size = 0
    writing: Optional[asyncio.Future[None]] = None
    try:
        async for chunk in request.stream():
            total += len(chunk)
            check(total)
            waiting.append(chunk)
            waiting_size += len(chunk)
            if waiting_size >= CHUNK:
                if writing is not None:
                    await writing
                data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
                writing = asyncio.ensure_future(_in_thread(write, data))
                waiting, waiting_size = [], 0
        if writing is not None:
            await writing
            writing = None
        if waiting:
            await _in_thread(write, b"".join(waiting))
    finally:
        if writing is not None:  # an error: the file is closed only when nobody writes to it
            await asyncio.wait([writing])
            if not writing.cancelled():
                writing.exception()
    return total


async def _in_thread(function: Callable[[bytes], None], data: bytes) -> None:
    await to_thread.run_sync(function, data)


class FileSlice(Response):
    """A part of an open file, streamed.

    Args:
        file: The file; closed when the response has been sent.
        start: The first byte.
        length: How many bytes.
        status_code: The status.
        headers: The headers; ``Content-Length`` is added.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        length: int,
        *,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, status_code, dict(headers), media_type=None)
        self.headers["content-length"] = str(length)
        self._file = file
        self._start = start
        self._length = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del receive  # the request has been read
        with self._file as file:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if scope["method"] == "HEAD" or self._length == 0:
                await send({"type": "http.response.body", "body": b""})
                return
            file.seek(self._start)
            left = self._length
            reading = asyncio.ensure_future(to_thread.run_sync(file.read, min(_PIECE, left)))
            try:
                while left:
                    data = await reading
                    if not data:
                        raise ClientDisconnect  # the file shrank: cut the connection short
                    left -= len(data)
                    reading = asyncio.ensure_future(
                        to_thread.run_sync(file.read, min(_PIECE, left))
                    )
                    await send({"type": "http.response.body", "body": data, "more_body": left > 0})
            finally:
                await asyncio.wait([reading])
