"""dulwich's upload-pack, for one stateless request. Loaded when git first asks."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import IO, Any

from dulwich.errors import GitProtocolError, HangupException
from dulwich.protocol import ReceivableProtocol
from dulwich.repo import Repo
from dulwich.server import Backend, UploadPackHandler

__all__ = ["serve_upload_pack"]

_IN_MEMORY = 4 * 1024**2


class _Repository(Repo):
    def find_missing_objects(self, *arguments: Any, **options: Any) -> Any:
        # dulwich 0.22 says None where it means none: in the first round of a shallow clone.
        return super().find_missing_objects(*arguments, **options) or ()


class _OneRepository(Backend):
    def __init__(self, repo: Repo) -> None:
        self._repo = repo

    def open_repository(self, path: Any) -> Any:  # noqa: ARG002  # there is one
        return self._repo


def serve_upload_pack(path: Path, body: bytes, *, is_advertisement: bool) -> IO[bytes]:
    """Run one request of git's protocol.

    Args:
        path: The bare repository.
        body: What git sent.
        is_advertisement: Whether git asks for the references.

    Returns:
        The answer, positioned at its end: in memory while it is small.

    Raises:
        ValueError: What git sent makes no sense.
    """
    answer: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # the caller closes it
    with _Repository(str(path)) as repo:
        protocol = ReceivableProtocol(io.BytesIO(body).read, answer.write)
        handler: Any = UploadPackHandler(
            _OneRepository(repo),
            ["/"],
            protocol,
            stateless_rpc=True,
            advertise_refs=is_advertisement,
        )
        if is_advertisement:
            protocol.write_pkt_line(b"# service=git-upload-pack\n")
            protocol.write_pkt_line(None)
        try:
            handler.handle()
        except (GitProtocolError, HangupException, AssertionError, KeyError) as error:
            answer.close()
            raise ValueError(f"Invalid git request: {type(error).__name__}.") from error
    result: IO[bytes] = answer
    return result
