"""The HTTP server: uvicorn, with a way to reach a request's connection."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

import uvicorn

from hfl_localhub._large_bodies import LargeBodyProtocol

if TYPE_CHECKING:
    import socket

__all__ = ["Connections", "Server", "make_server"]

_LONGEST_HEADERS = 64 * 1024


class Connections:
    """The open connections, by the client's address."""

    def __init__(self) -> None:
        self._transports: Dict[Tuple[str, int], asyncio.Transport] = {}

    def add(self, client: Optional[Tuple[str, int]], transport: asyncio.Transport) -> None:
        """Note a connection."""
        if client is not None:
            self._transports[client] = transport

    def remove(self, client: Optional[Tuple[str, int]]) -> None:
        """Forget a connection."""
        if client is not None:
            self._transports.pop(client, None)

    def of(self, scope: Any) -> asyncio.Transport | None:
        """Return the connection that a request came on."""
        client = scope.get("client")
        return self._transports.get(tuple(client)) if client is not None else None

    def abort_all(self) -> None:
        """Cut all connections."""
        for transport in list(self._transports.values()):
            transport.abort()


class Server(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self.has_started.set()


def make_server(app: Any, connections: Connections) -> Server:
    """Return a server for an ASGI application."""

    class Protocol(LargeBodyProtocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            connections.add(self.client, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.remove(self.client)
            super().connection_lost(exc)

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=_LONGEST_HEADERS,
    )
    return Server(config)
