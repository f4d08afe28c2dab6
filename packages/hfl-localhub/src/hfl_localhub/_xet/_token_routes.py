"""Where clients get their Xet tokens: ``/api/models/me/digits/xet-write-token/main`` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfl_localhub._xet._service import XetService
from hfl_localhub._xet._tokens import Scope

if TYPE_CHECKING:
    from hfl_localhub._context import HubContext

_TYPES = ("model", "dataset", "space")


def token_routes(context: HubContext, service: XetService) -> List[Route]:
    """Return the routes that give out tokens for repositories."""

    async def token(request: Request, repo_type: str, access: str) -> Response:
        repo_id = f"{request.path_params['namespace']}/{request.path_params['name']}"
        needed = "content" if access == "read" else access
        if access == "write" and _is_for_pull_request(request):
            needed = "contribute"
        context.authorize(request, repo_type, repo_id, needed)
        scope = Scope(repo_type, repo_id, "contribute" if needed == "contribute" else access)
        return token_response(service, scope)

    # A route of the router's own syntax cannot restrict the values, so there are six of them.
    def route(repo_type: str, access: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await token(request, repo_type, access)

        path = f"/api/{repo_type}s/{{namespace}}/{{name}}/xet-{access}-token/{{revision:path}}"
        return Route(path, endpoint, methods=["GET"])

    return [route(repo_type, access) for repo_type in _TYPES for access in ("read", "write")]


def token_response(service: XetService, scope: Scope) -> Response:
    """Return a token the two ways that clients look for it: as JSON and as headers."""
    grant = service.tokens.issue(scope)
    return JSONResponse(
        {"casUrl": service.cas_url, "accessToken": grant.token, "exp": grant.expires},
        headers={
            "X-Xet-Cas-Url": service.cas_url,
            "X-Xet-Access-Token": grant.token,
            "X-Xet-Token-Expiration": str(grant.expires),
        },
    )


def _is_for_pull_request(request: Request) -> bool:
    revision = request.path_params["revision"]
    return (
        request.query_params.get("create_pr") == "1"
        or revision == "None"
        or revision.startswith("refs/pr/")
    )
