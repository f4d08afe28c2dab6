"""``git clone`` and ``git fetch`` over HTTP. Pushing is what the commit API is for."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from hfl_localhub._call import Call
from hfl_localhub._errors import HubError, bad_request, forbidden, payload_too_large
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router
from hfl_localhub._streams import FileSlice

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["add_routes"]

_LARGEST_REQUEST = 16 * 1024**2
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    for suffix in (".git", ""):
        repo = "/{prefix}{ns}/{name}" + suffix
        router.add("GET", f"{repo}/info/refs", advertise)
        router.add("POST", f"{repo}/git-upload-pack", upload_pack, "large")
        router.add("POST", f"{repo}/git-receive-pack", receive_pack, "large")


def advertise(call: Call) -> Response:
    """Tell git which references there are."""
    service = call.one("service")
    if service == "git-receive-pack":
        return receive_pack(call)
    if service != "git-upload-pack":
        raise bad_request("Only git's smart protocol is served; please use git 1.6.6 or newer.")
    return _answer(_repo(call), b"", is_advertisement=True)


def upload_pack(call: Call) -> Response:
    """Send git the objects that it lacks."""
    body = call.body
    if call.request.headers.get("content-encoding") == "gzip":
        inflater = zlib.decompressobj(wbits=31)
        try:
            body = inflater.decompress(body, _LARGEST_REQUEST)
        except zlib.error:
            raise bad_request("The body is not valid gzip.") from None
        if inflater.unconsumed_tail:
            raise payload_too_large("The body is too large.")
    return _answer(_repo(call), body, is_advertisement=False)


def receive_pack(call: Call) -> Response:
    """Refuse a push."""
    repo = _repo(call)
    raise forbidden(
        f"This Hub does not take `git push`. Upload to {repo.id} with huggingface_hub"
        " (`hf upload`), which makes the same commits."
    )


def _repo(call: Call) -> Repo:
    try:
        return call.repo("read", content=True)
    except HubError as error:
        if error.status == 401:  # makes git ask its credential helper
            error.headers["WWW-Authenticate"] = 'Basic realm="Hugging Face"'
        raise


def _answer(repo: Repo, body: bytes, *, is_advertisement: bool) -> Response:
    from hfl_localhub._git_server import serve_upload_pack

    kind = "advertisement" if is_advertisement else "result"
    headers = {**_NO_CACHE, "Content-Type": f"application/x-git-upload-pack-{kind}"}
    with repo.git.open():  # nothing is removed meanwhile
        try:
            file = serve_upload_pack(repo.git.path, body, is_advertisement=is_advertisement)
        except ValueError as error:
            raise bad_request(str(error)) from error
    length = file.tell()
    return FileSlice(cast("BinaryIO", file), 0, length, status_code=200, headers=headers)
