"""The parts of one Hub, put together: what a route's function can reach."""

from __future__ import annotations

import dataclasses
import functools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Collection, Iterable, Optional

from hfl_core.errors import ConfigError
from hfl_localhub._access import (
    Access,
    authenticate,
    can_read_content,
    check_content,
    check_repo,
)
from hfl_localhub._accounts import Accounts
from hfl_localhub._buckets import BucketRegister, BucketRoutes
from hfl_localhub._context import HubContext
from hfl_localhub._durable import read_json, write_json
from hfl_localhub._errors import bad_request
from hfl_localhub._faults import Faults
from hfl_localhub._lfs_index import LfsRecord
from hfl_localhub._repos import Repositories
from hfl_localhub._requests import RequestLog
from hfl_localhub._signing import Signer
from hfl_localhub._store import BlobStore
from hfl_localhub._xet import GRACE, GarbageReport, XetService

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._identity import Identity

__all__ = ["Options", "Services", "open_services"]

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be chosen when a Hub starts.

    Attributes:
        url_lifetime: Seconds that a signed URL works.
        multipart_threshold: Files from this size on are uploaded in parts.
        part_size: The size of such a part.
        regular_limit: Files from this size on are stored as large files whatever they are called.
    """

    url_lifetime: float = 3600.0
    multipart_threshold: int = 5 * 1024**3
    part_size: int = 64 * 1024**2
    regular_limit: int = 5 * 1024**2


@dataclasses.dataclass
class Services:
    """One Hub's parts."""

    root: Path
    context: HubContext
    accounts: Accounts
    repos: Repositories
    options: Options
    xet: XetService
    buckets: BucketRoutes

    @property
    def blobs(self) -> BlobStore:
        """The large files."""
        return self.context.blobs

    def release(self, digests: Iterable[str]) -> None:
        """Delete those blobs that no repository holds any more, and the chunks that only they had."""
        came_as_chunks = []
        for sha256 in digests:
            with self.blobs.lock:
                if self.repos.holders(sha256):
                    continue
                if self.xet.xet_hash(sha256) is not None:
                    came_as_chunks.append(sha256)
                self.blobs.delete(sha256)
        if came_as_chunks:
            self.collect_garbage(deleted=came_as_chunks)

    def collect_garbage(
        self, *, deleted: Collection[str] = (), grace: float = GRACE
    ) -> GarbageReport:
        """Remove from the content store what no repository and no bucket holds.

        Args:
            deleted: The sha256 of files that go whatever their age.
            grace: What else was uploaded in the last so many seconds stays.
        """
        self.buckets.register.forget_uploads(self.context.signer.clock() - grace)
        return self.xet.collect_garbage(
            live_xet_hashes=self.buckets.register.live_xet_hashes(),
            live_sha256s={sha256 for repo in self.repos for sha256 in repo.lfs.digests()},
            deleted_sha256s=deleted,
            grace=grace,
        )

    @property
    def endpoint(self) -> str:
        """The Hub's own URL, without a trailing slash."""
        return self.context.endpoint()


def open_services(  # the parts that outlive a restart come from outside
    root: Path,
    *,
    endpoint: Callable[[], str],
    options: Options,
    clock: Callable[[], float],
    faults: Faults,
    requests: RequestLog,
) -> Services:
    """Open a Hub's folder and throw away what a kill left half-done."""
    key = _key(root)
    accounts = Accounts(root / "accounts.json", clock)
    repos = Repositories(root)
    blobs = BlobStore(root)
    blobs.discard_leftovers()

    def authenticate_request(request: Request) -> Optional[Identity]:
        return authenticate(accounts, request)

    def authorize(
        request: Request, repo_type: str, repo_id: str, access: str
    ) -> Optional[Identity]:
        if access not in ("read", "content", "contribute", "write", "admin"):
            raise bad_request(f"There is no access called {access!r}.")
        identity = authenticate_request(request)
        namespace, _, name = repo_id.partition("/")
        key = (repo_type, namespace, name)
        wanted: Access = "read" if access == "content" else access  # type: ignore[assignment]  # checked above
        repo = check_repo(repos.get(repos.redirect(key) or key), identity, wanted)
        if access == "content":
            check_content(repo, identity)
        return identity

    def can_read_blob(request: Request, sha256: str) -> bool:
        identity = authenticate_request(request)
        return any(can_read_content(repo, identity) for repo in repos.holders(sha256))

    def record_upload(repo_type: str, repo_id: str, sha256: str) -> None:
        namespace, _, name = repo_id.partition("/")
        key = (repo_type, namespace, name)
        repo = repos.get(repos.redirect(key) or key)
        if repo is not None and not repo.lfs.holds(sha256):
            repo.lfs.put(LfsRecord(sha256, blobs.size(sha256), "", "", clock()))

    context = HubContext(
        root=root,
        blobs=blobs,
        endpoint=endpoint,
        authenticate=authenticate_request,
        authorize=authorize,
        signer=Signer(key, clock),
        faults=faults,
        requests=requests,
        record_upload=record_upload,
        can_read_blob=can_read_blob,
    )
    xet = XetService(context)
    context.xet_hash = xet.xet_hash
    buckets = BucketRoutes(context, xet, BucketRegister(root / "buckets" / "register.sqlite"))
    context.holds = functools.partial(_holds, repos, buckets)
    context.record_bucket_upload = buckets.record_upload
    services = Services(root, context, accounts, repos, options, xet, buckets)
    services.collect_garbage()
    return services


def _key(root: Path) -> bytes:
    """Return the key that signs URLs, which a new Hub makes. The folder is a Hub's from then on."""
    path = root / "hub.json"
    try:
        state = read_json(path)
        if state is None:
            state = {"format": _FORMAT, "key": secrets.token_hex(32)}
            write_json(path, state, mode=0o600)
        found, key = state["format"], bytes.fromhex(state["key"])
    except (ValueError, TypeError, LookupError) as error:
        raise ConfigError(
            f"{path} was not written by a local Hub.", hint="Use another folder."
        ) from error
    if found != _FORMAT:
        raise ConfigError(
            f"{root} was written in format {found}, this version reads {_FORMAT}.",
            hint="Use the newer version of hfl-localhub, or another folder.",
        )
    return key


def _holds(
    repos: Repositories,
    buckets: BucketRoutes,
    repo_type: str,
    repo_id: str,
    xet_hash: str,
    sha256: str | None,
) -> bool:
    namespace, _, name = repo_id.partition("/")
    if repo_type == "bucket":
        return buckets.holds(namespace, name, xet_hash)
    key = (repo_type, namespace, name)
    repo = repos.get(repos.redirect(key) or key)
    return repo is not None and sha256 is not None and repo.lfs.holds(sha256)
