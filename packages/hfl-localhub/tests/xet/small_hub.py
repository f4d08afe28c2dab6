"""A small Hub with nothing but the content store and buckets, in a process of its own.

Run as ``python xet_server.py ROOT``; it prints its endpoint, then writes a line of JSON to
``ROOT/requests.jsonl`` for every request it answers.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from hfl_localhub import _xet
from hfl_localhub._app import refusal
from hfl_localhub._buckets import BucketRegister, BucketRoutes
from hfl_localhub._context import HubContext
from hfl_localhub._errors import HubError, forbidden, invalid_token, repo_not_found, unauthorized
from hfl_localhub._identity import Identity
from hfl_localhub._signing import Signer
from hfl_localhub._store import BlobStore

USERS = {
    "hf_ann": Identity("ann", orgs=(("lab", "write"),)),
    "hf_bob": Identity("bob"),
    "hf_annread": Identity("ann", role="read"),
}


def authenticate(request):
    header = request.headers.get("authorization", "")
    if not header:
        return None
    token = header.split(" ", 1)[-1]
    if token not in USERS:
        raise invalid_token()
    return USERS[token]


def authorize(request, repo_type, repo_id, access):
    identity = authenticate(request)
    namespace, name = repo_id.split("/")
    if name == "private" and (identity is None or not identity.can_read(namespace)):
        raise repo_not_found(is_anonymous=identity is None)
    if access == "contribute" and identity is None:
        raise unauthorized()
    if access not in ("read", "content", "contribute") and (
        identity is None or not identity.can_write(namespace)
    ):
        raise forbidden("You have no right to write here.")
    return identity


async def refuse(request, error):
    return refusal(error)


class RequestLog:
    def __init__(self, app, path):
        self.app = app
        self.path = path

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        line = {"method": scope["method"], "path": scope["path"], "received": 0, "sent": 0}

        async def counting_receive():
            message = await receive()
            line["received"] += len(message.get("body", b""))
            return message

        async def counting_send(message):
            line["sent"] += len(message.get("body", b""))
            if message["type"] == "http.response.start":
                line["status"] = message["status"]
            await send(message)

        await self.app(scope, counting_receive, counting_send)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def create_app(root, endpoint, clock=None):
    options = {} if clock is None else {"clock": clock}
    context = HubContext(
        root=root,
        blobs=BlobStore(root),
        endpoint=lambda: endpoint,
        authenticate=authenticate,
        authorize=authorize,
        signer=Signer(b"the key of this test's Hub", **options),
        faults=None,
        requests=None,
    )
    service = _xet.XetService(context)
    routes = _xet.routes(context, service)
    register = BucketRegister(root / "buckets.sqlite")
    buckets = BucketRoutes(context, service, register)

    async def move(request):
        payload = await request.json()
        buckets.move(request, payload["fromRepo"], payload["toRepo"])
        return JSONResponse({})

    def holds(repo_type, repo_id, xet_hash, sha256):
        # It has no repositories, so those hold whatever they are asked for.
        return repo_type != "bucket" or buckets.holds(*repo_id.split("/"), xet_hash)

    context.holds = holds
    context.record_bucket_upload = buckets.record_upload
    routes += [*buckets.routes(), Route("/api/repos/move", move, methods=["POST"])]
    app = Starlette(routes=routes, exception_handlers={HubError: refuse})
    app.state.service = service
    app.state.register = register
    app.state.context = context
    return app


def make_server(root):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = RequestLog(create_app(root, endpoint), root / "requests.jsonl")
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=5)
    listener.listen()
    return uvicorn.Server(config), listener, endpoint


def main():
    server, listener, endpoint = make_server(Path(sys.argv[1]))
    print(endpoint, flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
