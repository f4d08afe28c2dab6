"""Reading what requests about buckets carry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List

from hfl_localhub._errors import bad_request, payload_too_large
from hfl_localhub._paths import is_valid_namespace

if TYPE_CHECKING:
    from starlette.requests import Request

#: How many bytes a request may have.
LARGEST_BODY = 16 * 1024 * 1024


async def read_body(request: Request) -> bytes:
    """Return a request's body, which is not larger than a batch may be."""
    body = bytearray()
    async for data in request.stream():
        body += data
        if len(body) > LARGEST_BODY:
            raise payload_too_large(f"A request has at most {LARGEST_BODY} bytes.")
    return bytes(body)


async def read_json(request: Request) -> Dict[str, Any]:
    """Return the JSON object that a request carries; none is an empty one."""
    body = await read_body(request)
    try:
        payload = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is not JSON.") from error
    if not isinstance(payload, dict):
        raise bad_request("The body is not a JSON object.")
    return payload


def private_of(payload: Dict[str, Any]) -> bool | None:
    """Return whether a bucket shall be private, or None if the request does not say."""
    if "visibility" in payload:
        if payload["visibility"] not in ("public", "private"):
            raise bad_request("A bucket's visibility is 'public' or 'private'.")
        return bool(payload["visibility"] == "private")
    private = payload.get("private")
    if not isinstance(private, (bool, type(None))):
        raise bad_request("'private' is true or false.")
    return private


def split_id(bucket_id: str) -> List[str]:
    """Return the namespace and the name in a bucket's full name."""
    parts = bucket_id.split("/")
    if len(parts) != 2 or not all(map(is_valid_namespace, parts)):
        raise bad_request(f"{bucket_id!r} is not namespace/name.")
    return parts


def check_name(name: str) -> None:
    """Refuse what cannot be a bucket's name."""
    if not is_valid_namespace(name):
        raise bad_request(f"{name!r} cannot be a bucket's name.")
