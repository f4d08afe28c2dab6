"""The ASGI application: routes, and how an answer or a refusal goes out."""

from __future__ import annotations

import contextlib
import errno
import secrets
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hfl_core import get_logger
from hfl_localhub import _route_table, _xet
from hfl_localhub._call import Call, answer
from hfl_localhub._errors import HubError, payload_too_large, repo_not_found
from hfl_localhub._mounts import Mounts
from hfl_localhub._routing import Match, Router
from hfl_localhub._streams import Intake, receive_into

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from hfl_localhub._mounts import Mount
    from hfl_localhub._services import Services

__all__ = ["HubApp"]

_log = get_logger(__name__)
_LIMITS = {"none": 64 * 1024, "small": 1024**2, "large": 16 * 1024**2}
REPO_PATHS = ("models", "datasets", "spaces", "kernels")
_MOST_IGNORED = 1024**3
_LARGEST_COMMIT = 8 * 1024**3


class HubApp:
    """Answers requests.

    Args:
        hub: The Hub's parts.
    """

    def __init__(self, hub: Services) -> None:
        self._hub = hub
        self._router = Router()
        _route_table.add_all(self._router)
        self._mounts = Mounts([*_xet.routes(hub.context, hub.xet), *hub.buckets.routes()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        scope["hfl.request_id"] = f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)}"
        intake = Intake(receive)
        mounted = self._mounts.find(scope)
        if mounted is not None:
            await self._mounted(mounted, scope, intake, send)
            return
        scope["path"] = scope["raw_path"].decode("ascii", "replace").split("?", 1)[0]
        request = Request(scope, intake)
        try:
            response = await self._respond(request)
        except HubError as error:
            response = refusal(error)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            response = refusal(_unexpected(error, request))
        response.headers.setdefault("X-Request-Id", scope["hfl.request_id"])
        await intake.drain(_MOST_IGNORED)
        await response(scope, intake, send)

    async def _mounted(self, mount: Mount, scope: Scope, receive: Intake, send: Send) -> None:
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            if not started:  # a refusal that the rest of the body is not needed for
                await receive.drain(_MOST_IGNORED)
            started = True
            await send(message)

        try:
            await mount(receive, noting_send)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:  # what was promised can't be kept: the server cuts the connection
                raise
            known = error if isinstance(error, HubError) else _unexpected(error, Request(scope))
            response = refusal(known)
            response.headers.setdefault("X-Request-Id", scope["hfl.request_id"])
            await receive.drain(_MOST_IGNORED)
            await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        found = self._router.match(request.method, request.scope["path"])
        if not isinstance(found, Match):
            if found:
                methods = ", ".join(sorted(found))
                raise HubError(405, f"This path takes {methods}.", headers={"Allow": methods})
            raise self._unknown(request)
        return await self._handle(request, found)

    async def _handle(self, request: Request, match: Match) -> Response:
        route = match.route
        if route.body == "stream":
            streamed: Response = await route.handler(Call(request, self._hub, match.params))
            return streamed
        if route.body == "spool":
            return await self._spooled(request, match)
        body = await _read(request, _LIMITS[route.body])
        return await _in_thread(route.handler, Call(request, self._hub, match.params, body))

    async def _spooled(self, request: Request, match: Match) -> Response:
        """Write a large body to a file first: a body that is cut off leaves nothing behind."""
        path = self._hub.blobs.new_temporary_path()
        try:
            with path.open("wb") as file:
                await receive_into(request, _writes(file), check=_commit_limit)
            call = Call(request, self._hub, match.params)
            call.spooled = path
            return await _in_thread(match.route.handler, call)
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _unknown(self, request: Request) -> HubError:
        parts = request.scope["path"].split("/")
        if len(parts) > 3 and parts[1] == "api" and parts[2] in REPO_PATHS:
            # A name without a namespace (``gpt2``) or of a wrong form: no such repository.
            return repo_not_found(is_anonymous="authorization" not in request.headers)
        return HubError(404, f"Not found: {request.scope['path']}", code="NotFound")


def refusal(error: HubError) -> Response:
    """Turn a refusal into a response."""
    # What may not be in a header goes out as question marks, the body has it right.
    words = " ".join(error.message.split())
    message = "".join(character if " " <= character <= "~" else "?" for character in words)
    headers = {"X-Error-Message": message[:500].rstrip(), **error.headers}
    if error.code is not None:
        headers["X-Error-Code"] = error.code
    return answer({"error": error.message, **error.body}, error.status, headers)


def _unexpected(error: Exception, request: Request) -> HubError:
    """Word what nobody wanted: a full disk, or a defect of this Hub."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(507, "The Hub's disk is full.", code="InsufficientStorage")
    _log.error("%s %s failed.", request.method, request.scope["path"], exc_info=error)
    return HubError(500, "Internal Server Error", code="InternalError")


async def _in_thread(handler: Callable[[Call], Any], call: Call) -> Response:
    def handle() -> Response:
        _ = call.identity  # a token that isn't valid is refused even where none is needed
        response: Response = handler(call)
        return response

    return await to_thread.run_sync(handle)


async def _read(request: Request, limit: int) -> bytes:
    """Read a body into memory, up to a limit."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise payload_too_large(f"The body has more than {limit} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _commit_limit(total: int) -> None:
    if total > _LARGEST_COMMIT:
        raise payload_too_large(f"A commit has at most {_LARGEST_COMMIT} bytes.")


def _writes(file: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        file.write(data)

    return write
