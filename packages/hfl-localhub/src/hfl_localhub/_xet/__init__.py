"""The content store that Xet clients upload to and download from.

Files are cut into chunks by the client, chunks travel packed in xorbs, and shards say of which
chunks a file consists. Protocol: huggingface.co/docs/xet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from hfl_localhub._xet._errors import XetFormatError, XetNotFoundError, XetRangeError
from hfl_localhub._xet._garbage import GarbageReport
from hfl_localhub._xet._ranges import parse as parse_range
from hfl_localhub._xet._routes import store_routes
from hfl_localhub._xet._service import GRACE, XetService
from hfl_localhub._xet._token_routes import token_response, token_routes
from hfl_localhub._xet._tokens import Scope

if TYPE_CHECKING:
    from starlette.routing import Route

    from hfl_localhub._context import HubContext

__all__ = [
    "GRACE",
    "GarbageReport",
    "Scope",
    "XetFormatError",
    "XetNotFoundError",
    "XetRangeError",
    "XetService",
    "parse_range",
    "routes",
    "token_response",
]


def routes(context: HubContext, service: XetService | None = None) -> List[Route]:
    """Return the routes of the content store and of its tokens for repositories.

    Args:
        context: What the Hub's parts share; ``context.xet_hash`` is set to the store's.
        service: The store, if the caller has made one already.
    """
    if service is None:
        service = XetService(context)
    context.xet_hash = service.xet_hash
    return [*token_routes(context, service), *store_routes(service)]
