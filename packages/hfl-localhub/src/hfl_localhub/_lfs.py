"""The git-lfs protocol: which large files are wanted, and where to put them."""

from __future__ import annotations

import math
import secrets
from typing import Any

from starlette.responses import Response

from hfl_localhub._call import Call, answer
from hfl_localhub._errors import HubError, bad_request
from hfl_localhub._multipart import MultipartUploads
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router
from hfl_localhub._store import BlobWriter, DigestMismatchError, is_sha256
from hfl_localhub._streams import receive_into

__all__ = ["add_routes"]

_MOST_OBJECTS = 1000
_LARGEST = 500 * 1024**3
_JSON = "application/vnd.git-lfs+json"


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    batch_path = "/{prefix}{ns}/{name}.git/info/lfs/objects/batch"
    router.add("POST", batch_path, batch, "large")
    router.add("POST", "/{prefix}{ns}/{name}.git/info/lfs/objects/verify", verify, "small")
    router.add("PUT", "/_lfs/{oid}", put, "stream")
    router.add("GET", "/_lfs/{oid}", get)
    router.add("PUT", "/_lfs/{oid}/parts/{upload}/{number}", put_part, "stream")
    router.add("POST", "/_lfs/{oid}/complete/{upload}", complete, "large")


def batch(call: Call) -> Response:
    """Say for each object where to upload it to, or download it from."""
    operation = call.json.get("operation")
    if operation not in ("upload", "download"):
        raise bad_request("operation has to be 'upload' or 'download'.")
    is_upload = operation == "upload"
    repo = call.repo("contribute" if is_upload else "read", content=not is_upload)
    objects = call.json.get("objects")
    if not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
        raise bad_request(f"objects has to be a list of at most {_MOST_OBJECTS} objects.")
    offered = call.json.get("transfers") or ["basic"]
    if not isinstance(offered, list):
        raise bad_request("transfers has to be a list.")
    use_parts = is_upload and "multipart" in offered
    described = [_object(call, repo, operation, item, use_parts=use_parts) for item in objects]
    if is_upload and "xet" in offered:
        transfer = "xet"  # before huggingface_hub 1.0 the client uses Xet when told so here
    elif any("chunk_size" in _upload_header(item) for item in described):
        transfer = "multipart"
    else:
        transfer = "basic"
    response = answer({"transfer": transfer, "objects": described, "hash_algo": "sha256"})
    response.headers["content-type"] = _JSON
    return response


def _upload_header(item: dict[str, Any]) -> dict[str, str]:
    header: dict[str, str] = item.get("actions", {}).get("upload", {}).get("header", {})
    return header


def _object(
    call: Call, repo: Repo, operation: str, item: object, *, use_parts: bool
) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise bad_request("Each object has to have an oid and a size.")
    oid, size = item.get("oid"), item.get("size")
    shown: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
    if not isinstance(oid, str) or not is_sha256(oid):
        return {**shown, "error": {"code": 422, "message": "The oid is not a sha256."}}
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
        return {**shown, "error": {"code": 422, "message": "The size makes no sense."}}
    is_here = repo.lfs.holds(oid) and call.hub.blobs.has(oid)
    if operation == "download":
        if not is_here:
            return {**shown, "error": {"code": 404, "message": "Object does not exist."}}
        return {
            **shown,
            "actions": {"download": {"href": _signed(call, repo, "get", oid, size, "")}},
        }
    if is_here:
        return shown
    threshold = call.hub.options.multipart_threshold
    upload = (
        _parts(call, repo, oid, size)
        if use_parts and size >= threshold
        else {"href": _signed(call, repo, "put", oid, size, "")}
    )
    verify_url = call.url(f"/{repo.web_path}.git/info/lfs/objects/verify")
    return {**shown, "actions": {"upload": upload, "verify": {"href": verify_url}}}


def _parts(call: Call, repo: Repo, oid: str, size: int) -> dict[str, Any]:
    part_size = call.hub.options.part_size
    upload = secrets.token_hex(16)
    header = {"chunk_size": str(part_size)}
    for number in range(1, math.ceil(size / part_size) + 1):
        suffix = f"/parts/{upload}/{number}"
        header[str(number)] = _signed(call, repo, "part", oid, size, suffix)
    href = _signed(call, repo, "complete", oid, size, f"/complete/{upload}")
    return {"href": href, "header": header}


def _signed(
    call: Call, repo: Repo, action: str, oid: str, size: int, suffix: str
) -> str:  # what the signature covers
    claims = {
        "do": action,
        "repo": "/".join(repo.key),
        "size": size,
        "path": f"/_lfs/{oid}{suffix}",
    }
    lifetime = call.hub.options.url_lifetime
    signature = call.hub.context.signer.sign(claims, lifetime=lifetime)
    return call.url(f"/_lfs/{oid}{suffix}?sig={signature}")


def _claims(call: Call, action: str) -> dict[str, Any]:
    """Return what the URL's signature says.

    Raises:
        HubError: 403: it is missing, forged, expired or for something else.
    """
    claims = call.hub.context.signer.verify(call.one("sig") or "")
    if (
        claims is None
        or claims.get("do") != action
        or claims.get("path") != call.request.scope["path"]
    ):
        raise HubError(403, "The URL's signature is invalid or has expired.", code="AccessDenied")
    return claims


async def put(call: Call) -> Response:
    """Take a whole file."""
    claims = _claims(call, "put")
    oid, size = call.params["oid"], int(claims["size"])
    with call.hub.blobs.writer() as writer:
        received = await receive_into(call.request, writer.write, check=_at_most(size))
        _check_size(received, size)
        await call.in_thread(_keep, call, writer, claims, oid)
    return Response(status_code=200, headers={"ETag": f'"{oid}"'})


def _keep(call: Call, writer: BlobWriter, claims: dict[str, Any], oid: str) -> None:
    writer.flush()
    try:
        with call.hub.blobs.lock:
            writer.commit(oid)
            _record(call, claims, oid)
    except DigestMismatchError as error:
        raise bad_request(str(error), code="BadDigest") from error


def _record(call: Call, claims: dict[str, Any], oid: str) -> None:
    repo_type, repo_id = claims["repo"].split("/", 1)
    call.hub.context.record_upload(repo_type, repo_id, oid)


def get(call: Call) -> Response:
    """Give a whole file or a range, to git-lfs."""
    from hfl_localhub._ranges import file_response

    claims = _claims(call, "get")
    oid = call.params["oid"]
    return file_response(call.request, call.hub.blobs.path(oid), etag=oid, size=claims["size"])


async def put_part(call: Call) -> Response:
    """Take one part of a file."""
    claims = _claims(call, "part")
    uploads, size = MultipartUploads(call.hub.blobs, call.hub.root), int(claims["size"])
    number, part_size = int(call.params["number"]), call.hub.options.part_size
    start = (number - 1) * part_size
    expected = min(part_size, size - start)
    with uploads.part(call.params["upload"], number, start) as part:
        received = await receive_into(call.request, part.write, check=_at_most(expected))
        _check_size(received, expected)
        etag = await call.in_thread(part.finish)
    return Response(status_code=200, headers={"ETag": f'"{etag}"'})


def complete(call: Call) -> Response:
    """Put the parts together."""
    claims = _claims(call, "complete")
    oid, size, upload = call.params["oid"], int(claims["size"]), call.params["upload"]
    parts = call.json.get("parts")
    if not isinstance(parts, list):
        raise bad_request("parts has to be a list.")
    named: dict[int, str] = {}
    for part in parts:
        number, etag = (
            (part.get("partNumber"), part.get("etag")) if isinstance(part, dict) else (0, 0)
        )
        if not isinstance(number, int) or not isinstance(etag, str):
            raise bad_request("Each part needs a partNumber and an etag.")
        named[number] = etag.strip('"')
    count = math.ceil(size / call.hub.options.part_size)
    uploads = MultipartUploads(call.hub.blobs, call.hub.root)
    with call.hub.blobs.lock:
        uploads.complete(upload, oid, size, count=count, etags=named)
        _record(call, claims, oid)
    return answer({"success": True})


def verify(call: Call) -> Response:
    """Say whether an upload arrived."""
    repo = call.repo("contribute")
    oid, size = call.text("oid"), call.json.get("size")
    blobs = call.hub.blobs
    if not is_sha256(oid) or not repo.lfs.holds(oid) or not blobs.has(oid):
        raise HubError(404, f"The object {oid} was not uploaded.", code="LfsObjectNotFound")
    if blobs.size(oid) != size:
        raise bad_request(f"The object has {blobs.size(oid)} bytes, not {size}.")
    return answer({})


def _at_most(size: int) -> Any:
    def check(total: int) -> None:
        if total > size:
            raise bad_request(
                f"More than the announced {size} bytes arrived.", code="EntityTooLarge"
            )

    return check


def _check_size(received: int, size: int) -> None:
    if received != size:
        raise bad_request(
            f"{received} bytes arrived, {size} were announced.", code="IncompleteBody"
        )
