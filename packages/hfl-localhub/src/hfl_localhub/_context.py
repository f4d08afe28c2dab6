"""What the parts of the Hub share: one object, made once per running Hub."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Collection, Optional

from hfl_localhub._store import BlobStore

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._faults import Faults
    from hfl_localhub._identity import Identity
    from hfl_localhub._requests import RequestLog
    from hfl_localhub._signing import Signer

__all__ = ["HubContext"]


def _no_xet_hash(sha256: str) -> str | None:  # noqa: ARG001  # the signature is the seam
    return None


def _nothing_to_record(repo_type: str, repo_id: str, sha256: str) -> None:
    """Stand in until the repositories are there."""


def _holds_nothing(*_: object) -> bool:
    return False


def _no_bucket_to_record(bucket_id: str, xet_hashes: Collection[str]) -> None:
    """Stand in until the buckets are there."""


@dataclasses.dataclass
class HubContext:
    """What every route may use.

    Attributes:
        root: The Hub's folder.
        blobs: The large files, by sha256.
        endpoint: Returns the Hub's own URL, without a trailing slash.
        authenticate: Returns who asks, or None for an anonymous request. Raises the 401 for a
            token that is unknown or expired.
        authorize: ``authorize(request, repo_type, repo_id, access)`` with the type in the
            singular (``"model"``, ``"dataset"``, ``"space"``, ``"bucket"``) and access
            ``"read"``, ``"content"`` (the files, which gating protects), ``"contribute"``
            (propose a change), ``"write"`` or ``"admin"``. Returns who asks; raises the error that the
            client should get (an invisible repository looks absent). For buckets, which have
            their own register, use ``Identity.can_read`` and ``Identity.can_write``.
        signer: Signs and checks the parts of URLs that work without a token until they expire.
        faults: What should go wrong.
        requests: What arrived.
        record_upload: ``record_upload(repo_type, repo_id, sha256)`` notes that a blob was
            uploaded for a repository, which lets a commit there name it.
        xet_hash: The Xet hash of a blob, by its sha256, if it is known.
        holds: ``holds(repo_type, repo_id, xet_hash, sha256)`` says whether a repository (in any
            revision) or a bucket has a file; the sha256 is None where it is not known.
        record_bucket_upload: ``record_bucket_upload(bucket_id, xet_hashes)`` notes that files were
            uploaded for a bucket, which lets a batch there name them.
        can_read_blob: ``can_read_blob(request, sha256)`` says whether who asks may read a blob
            in some repository.
    """

    root: Path
    blobs: BlobStore
    endpoint: Callable[[], str]
    authenticate: Callable[[Request], Optional[Identity]]
    authorize: Callable[[Request, str, str, str], Optional[Identity]]
    signer: Signer
    faults: Faults
    requests: RequestLog
    record_upload: Callable[[str, str, str], None] = _nothing_to_record
    xet_hash: Callable[[str], Optional[str]] = _no_xet_hash
    holds: Callable[[str, str, str, Optional[str]], bool] = _holds_nothing
    record_bucket_upload: Callable[[str, Collection[str]], None] = _no_bucket_to_record
    can_read_blob: Callable[[Request, str], bool] = _holds_nothing
