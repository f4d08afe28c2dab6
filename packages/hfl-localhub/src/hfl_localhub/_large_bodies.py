"""Request bodies that bypass the HTTP parser.

h11 copies every byte of a body several times. Where the length is known there is nothing to parse
in it, so the bytes of a large body go to the application as the socket gave them. The parser never
learns that the body has ended; that is why the connection is closed after the answer.
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["LargeBodyProtocol"]

_LARGE = 4 * 1024**2
_HIGH_WATER = 1024**2


class LargeBodyProtocol(H11Protocol):
    """uvicorn's protocol, with a shorter way for large bodies."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._left = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._left:
            self._pass_on(data)
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and self.conn.their_state is h11.SEND_BODY:
            self._look_at(self.cycle)

    def _look_at(self, cycle: Any) -> None:
        """Decide on a request that has just begun. The application has not run yet."""
        length = next((value for name, value in self.headers if name == b"content-length"), None)
        if length is None or int(length) < _LARGE:
            return
        self._left = int(length) - len(cycle.body)
        # Read by the outermost layer, which tells the client that this connection ends.
        cycle.scope["hfl.must_close"] = True

    def _pass_on(self, data: bytes) -> None:
        cycle = self.cycle
        if cycle.response_complete:  # refused: the rest is of no interest
            return
        if len(data) > self._left:  # a next request, on a connection that is about to close
            data = data[: self._left]
        self._left -= len(data)
        cycle.body += data
        cycle.more_body = self._left > 0
        if len(cycle.body) > _HIGH_WATER:
            self.flow.pause_reading()
        cycle.message_event.set()
