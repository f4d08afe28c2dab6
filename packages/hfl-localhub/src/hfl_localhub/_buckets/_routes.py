"""Buckets over HTTP, as huggingface_hub 2 speaks it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Collection, Dict, List
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hfl_localhub._buckets import _batch
from hfl_localhub._buckets._access import BucketAccess, MovedError, can_read
from hfl_localhub._buckets._content import content_response
from hfl_localhub._buckets._executor import BatchExecutor
from hfl_localhub._buckets._listing import PAGE, tree_page
from hfl_localhub._buckets._payload import (
    check_name,
    private_of,
    read_body,
    read_json,
    split_id,
)
from hfl_localhub._buckets._register import BucketRegister, NameTakenError
from hfl_localhub._buckets._views import bucket_json, entry_json, storage_json
from hfl_localhub._call import answer
from hfl_localhub._errors import (
    bad_request,
    conflict,
    entry_not_found,
    forbidden,
    repo_not_found,
)
from hfl_localhub._xet import Scope, XetService, token_response

if TYPE_CHECKING:
    from hfl_localhub._context import HubContext
    from hfl_localhub._identity import Identity

Endpoint = Callable[["BucketRoutes", Request], Awaitable[Response]]


def _following(endpoint: Endpoint) -> Endpoint:
    """Send clients that know a bucket's former name on to its present one."""

    @functools.wraps(endpoint)
    async def wrapped(self: BucketRoutes, request: Request) -> Response:
        try:
            return await endpoint(self, request)
        except MovedError as moved:
            former = f"/{request.path_params['namespace']}/{request.path_params['name']}"
            url = str(request.url).replace(former, f"/{moved.bucket.id}", 1)
            return RedirectResponse(url, status_code=307)

    return wrapped


class BucketRoutes:
    """Answers requests about buckets.

    Args:
        context: What the Hub's parts share.
        service: Has the files' bytes.
        register: Has the buckets.

    Attributes:
        register: The buckets.
    """

    def __init__(self, context: HubContext, service: XetService, register: BucketRegister) -> None:
        self._context = context
        self._service = service
        self.register = register
        self._access = BucketAccess(context, register)

    def routes(self) -> List[Route]:
        """Return the routes, without ``POST /api/repos/move``, which repositories share."""
        api = "/api/buckets/{namespace}/{name}"
        return [
            Route("/api/buckets/{namespace}", self.listing, methods=["GET"]),
            Route("/api/buckets/{name}", self.without_namespace, methods=["DELETE"]),
            Route(api, self.create, methods=["POST"]),
            Route(api, self.info, methods=["GET"]),
            Route(api, self.delete, methods=["DELETE"]),
            Route(f"{api}/settings", self.settings, methods=["PUT"]),
            Route(f"{api}/tree", self.tree, methods=["GET"]),
            Route(f"{api}/tree/{{prefix:path}}", self.tree, methods=["GET"]),
            Route(f"{api}/paths-info", self.paths_info, methods=["POST"]),
            Route(f"{api}/batch", self.batch, methods=["POST"]),
            Route(f"{api}/xet-read-token", self.read_token, methods=["GET"]),
            Route(f"{api}/xet-write-token", self.write_token, methods=["GET"]),
            Route("/buckets/{namespace}/{name}/resolve/{path:path}", self.resolve, methods=["GET"]),
        ]

    async def listing(self, request: Request) -> Response:
        namespace = self._access.namespace(request)
        identity = self._context.authenticate(request)
        search = request.query_params.get("search", "").lower()
        start = request.query_params.get("cursor", "")
        found = [
            bucket
            for bucket in await run_in_threadpool(self.register.in_namespace, namespace)
            if can_read(identity, bucket) and search in bucket.name.lower() and bucket.name >= start
        ]
        shown = [bucket_json(bucket) for bucket in found[:PAGE]]
        return self._page(request, shown, found[PAGE].name if len(found) > PAGE else None)

    async def without_namespace(self, request: Request) -> Response:
        raise repo_not_found(is_anonymous=self._context.authenticate(request) is None)

    async def create(self, request: Request) -> Response:
        identity = self._access.identity(request)
        payload = await read_json(request)
        namespace, name = self._access.namespace(request), request.path_params["name"]
        check_name(name)
        if not identity.can_write(namespace, name):
            raise forbidden(f"You have no right to create buckets in {namespace}.")
        private = private_of(payload) or False
        url = f"{self._context.endpoint()}/buckets/{namespace}/{name}"
        try:
            self.register.create(namespace, name, private=private, now=self._context.signer.clock())
        except NameTakenError:
            raise conflict("You already created this bucket.", url=url) from None
        return answer({"url": url, "name": f"{namespace}/{name}"})

    @_following
    async def info(self, request: Request) -> Response:
        return answer(bucket_json(self._access.bucket(request, "read")))

    @_following
    async def delete(self, request: Request) -> Response:
        self.register.delete(self._access.bucket(request, "admin"))
        return answer({})

    @_following
    async def settings(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "admin")
        private = private_of(await read_json(request))
        if private is None:
            raise bad_request("A bucket's settings are 'private' or 'visibility'.")
        self.register.set_private(bucket, private=private)
        return answer({"private": private})

    def holds(self, namespace: str, name: str, xet_hash: str) -> bool:
        """Whether a bucket, by its present or a former name, has a file with these bytes."""
        register = self.register
        bucket = register.get(namespace, name) or register.renamed(namespace, name)
        return bucket is not None and register.has_hash(bucket, xet_hash)

    def storage(self, identity: Identity | None, namespace: str) -> List[Dict[str, Any]]:
        """Return what the buckets of a namespace that somebody may see take, as lists show it."""
        return [
            storage_json(bucket, *self.register.storage(bucket))
            for bucket in self.register.in_namespace(namespace)
            if can_read(identity, bucket)
        ]

    def record_upload(self, bucket_id: str, xet_hashes: Collection[str]) -> None:
        """Note what was uploaded for a bucket, by its present or a former name."""
        namespace, _, name = bucket_id.partition("/")
        bucket = self.register.get(namespace, name) or self.register.renamed(namespace, name)
        if bucket is not None:
            self.register.record_uploads(bucket, xet_hashes, self._context.signer.clock())

    def move(self, request: Request, from_id: str, to_id: str) -> None:
        """Rename a bucket: the part of ``POST /api/repos/move`` that is about buckets.

        Raises:
            HubError: If it is not there, may not be moved, or the name is taken.
        """
        former_namespace, former_name = split_id(from_id)
        namespace, name = split_id(to_id)
        try:
            bucket = self._access.named(request, former_namespace, former_name, "admin")
        except MovedError as moved:
            raise conflict(f"The bucket is called {moved.bucket.id} now.") from None
        if not self._access.identity(request).can_write(namespace, name):
            raise forbidden(f"You have no right to create buckets in {namespace}.")
        try:
            self.register.move(bucket, namespace, name)
        except NameTakenError:
            raise conflict(f"There is a bucket {to_id} already.") from None

    @_following
    async def tree(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "read")
        page = await run_in_threadpool(
            tree_page,
            self.register,
            bucket,
            request.path_params.get("prefix", ""),
            recursive=request.query_params.get("recursive", "").lower() in ("true", "1"),
            start=request.query_params.get("cursor"),
        )
        return self._page(request, [entry_json(entry) for entry in page.entries], page.next_start)

    @_following
    async def paths_info(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "read")
        paths = (await read_json(request)).get("paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise bad_request("The body is not {'paths': [...]}.")
        if len(paths) > PAGE:
            raise bad_request(f"At most {PAGE} paths may be asked for at once.")
        paths = [path for path in paths if _batch.is_unicode(path)]
        files = await run_in_threadpool(self.register.files_at, bucket, paths)
        return answer([entry_json(file) for file in files])

    @_following
    async def batch(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "write")
        operations = _batch.parse(await read_body(request))
        executor = BatchExecutor(self._context, self._service, self.register)
        changes = await run_in_threadpool(executor.apply, request, bucket, operations)
        failed = [{"path": path, "error": error} for path, error in changes.failures]
        all_failed = bool(failed) and len(failed) == len(operations)
        return answer(
            {
                "success": not failed,
                "processed": len(operations),
                "succeeded": len(operations) - len(failed),
                "failed": failed,
            },
            status=422 if all_failed else 200,
        )

    @_following
    async def resolve(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "read")
        path = request.path_params["path"]
        file = self.register.file(bucket, path)
        if file is None:
            raise entry_not_found(path)
        refresh = f"{self._context.endpoint()}/api/buckets/{bucket.id}/xet-read-token"
        return content_response(request, self._service, file, refresh_route=refresh)

    @_following
    async def read_token(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "read")
        return token_response(self._service, Scope("bucket", bucket.id, "read"))

    @_following
    async def write_token(self, request: Request) -> Response:
        bucket = self._access.bucket(request, "write")
        return token_response(self._service, Scope("bucket", bucket.id, "write"))

    def _page(self, request: Request, items: List[Any], next_start: str | None) -> Response:
        headers = {}
        if next_start is not None:
            query = {**request.query_params, "cursor": next_start}
            path = request.scope.get("raw_path", request.url.path.encode()).decode("ascii")
            url = f"{self._context.endpoint()}{path}?{urlencode(query)}"
            headers["Link"] = f'<{url}>; rel="next"'
        return answer(items, headers=headers)
