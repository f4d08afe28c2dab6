"""The outermost layer: notes what arrives, and lets go wrong what should."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from typing import TYPE_CHECKING, Any, Iterable

from hfl_localhub._requests import RequestRecord

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hfl_localhub._fault_rules import Fault
    from hfl_localhub._faults import Faults
    from hfl_localhub._requests import RequestLog
    from hfl_localhub._wire import Connections

__all__ = ["Edge"]

_POLL = 0.02


class _CutError(Exception):
    """The connection was cut on purpose."""


class Edge:
    """Wraps an application.

    Args:
        app: The application.
        log: Where requests are noted.
        faults: What should go wrong.
        connections: The open connections.
    """

    def __init__(
        self, app: ASGIApp, log: RequestLog, faults: Faults, connections: Connections
    ) -> None:
        self._app = app
        self._log = log
        self._faults = faults
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, receive, send, self._connections)
        self._log.add(exchange.record)
        try:
            await self._answer(scope, exchange)
        except _CutError:
            return
        finally:
            self._log.finish(exchange.record)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        path = exchange.record.path
        faults = self._faults.take(scope["method"], path)
        exchange.faults = [fault for fault in faults if fault.kind in _STREAM_FAULTS]
        for fault in faults:
            if fault.kind == "token":
                scope["hfl.token_fault"] = fault.token
            if fault.kind == "drop" and fault.direction == "download" and fault.at == 0:
                exchange.cut()
        refusal = _first_refusal(faults, path)
        if refusal is not None:
            await exchange.drain()
            await exchange.refuse(*refusal)
            return
        after = next((fault for fault in faults if fault.kind == "answer"), None)
        if after is not None:
            await self._app(scope, exchange.receive, _swallow)
            await exchange.refuse(after.status, after.error, after.code, after.headers)
            return
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.record.status == 200:
            for fault in faults:
                if fault.quota is not None:
                    fault.quota.count(path)


_STREAM_FAULTS = ("drop", "slow", "stall", "corrupt", "disk")


async def _swallow(message: Message) -> None:
    """Take a response that the client won't get."""


def _first_refusal(faults: Iterable[Fault], path: str) -> tuple[int, str, str | None, Any] | None:
    for fault in faults:
        if fault.kind == "answer" and not fault.is_after:
            return fault.status, fault.error, fault.code, fault.headers
        wait = fault.quota.wait(path) if fault.quota is not None else None
        if fault.quota is not None and wait is not None:
            error = (
                f"You have exceeded the rate limit of {fault.quota.limit} commits per hour for"
                f" this repository. You can retry this action in {max(1, round(wait / 60))} minutes."
            )
            headers = (("Retry-After", str(int(fault.quota.retry_after))),)
            return 429, error, "TooManyRequests", headers
    return None


class _Exchange:
    """One request and its response, counted and tampered with."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, connections: Connections
    ) -> None:
        headers = dict(scope["headers"])
        self.record = RequestRecord(
            scope["method"],
            scope["raw_path"].decode("ascii", "replace").split("?", 1)[0],
            scope["query_string"].decode("ascii", "replace"),
            headers.get(b"user-agent", b"").decode("ascii", "replace"),
        )
        self.faults: list[Fault] = []
        self._transport = connections.of(scope)
        self._must_close = scope.get("hfl.must_close", False)
        self._receive = receive
        self._send = send

    def cut(self, *, abruptly: bool = False) -> None:
        """End the connection, after what was sent or at once."""
        if self._transport is not None:
            if abruptly:
                self._transport.abort()
            else:
                self._transport.close()
        raise _CutError

    async def receive(self) -> Message:
        """Pass on a part of the request's body."""
        message = await self._receive()
        body = message.get("body", b"")
        start = self.record.bytes_in
        self.record.bytes_in += len(body)
        for fault in self.faults:
            if fault.direction != "upload":
                continue
            if fault.kind == "drop" and start + len(body) >= fault.at:
                self.cut(abruptly=True)
            if fault.kind == "disk" and start + len(body) >= fault.at:
                if message.get("more_body"):
                    await self.drain()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            body = await self._tamper(fault, start, body)
        if message["type"] == "http.request":
            message = {**message, "body": body}
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the response."""
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
            if self._must_close:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await self._send(message)
            return
        body = message.get("body", b"")
        start = self.record.bytes_out
        for fault in self.faults:
            if fault.direction != "download":
                continue
            if fault.kind == "drop" and start + len(body) > fault.at:
                self.record.bytes_out = fault.at
                rest = body[: fault.at - start]
                await self._send({**message, "body": rest, "more_body": True})
                self.cut()
            if fault.kind == "stall" and start < fault.at < start + len(body):
                # what comes before the point still passes
                await self._send({**message, "body": body[: fault.at - start], "more_body": True})
                self.record.bytes_out += fault.at - start
                body, start = body[fault.at - start :], fault.at
            body = await self._tamper(fault, start, body)
        self.record.bytes_out = start + len(body)
        await self._send({**message, "body": body})

    async def _tamper(self, fault: Fault, start: int, body: bytes) -> bytes:
        if fault.kind == "slow":
            await asyncio.sleep(len(body) / fault.rate)
        if fault.kind == "stall" and start + len(body) >= fault.at:
            fault.reach()
            while not fault.is_released and not self._is_gone():
                await asyncio.sleep(_POLL)
        if fault.kind == "corrupt" and start <= fault.at < start + len(body):
            changed = bytearray(body)
            changed[fault.at - start] ^= 0xFF
            return bytes(changed)
        return body

    def _is_gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def drain(self) -> None:
        """Read what is left of the request, so that the client gets to read the answer."""
        while True:
            message = await self._receive()
            self.record.bytes_in += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return

    async def refuse(self, status: int, error: str, code: str | None, headers: Any) -> None:
        """Answer with a fault."""
        content = json.dumps({"error": error}).encode()
        listed = [
            *headers,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("X-Error-Message", error),
            ("X-Request-Id", "Root=1-fault"),
        ]
        if code is not None:
            listed.append(("X-Error-Code", code))
        raw = [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in listed
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": content})
