"""The content store as the rest of the Hub sees it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Callable, Collection, Dict, Iterable, Iterator

from hfl_localhub._xet import _garbage, _hashing, _plan
from hfl_localhub._xet._dedup import ChunkIndex
from hfl_localhub._xet._errors import XetFormatError, XetNotFoundError
from hfl_localhub._xet._files import FileIndex
from hfl_localhub._xet._generation import Generation
from hfl_localhub._xet._ingest import ShardIntake
from hfl_localhub._xet._shard import FileEntry
from hfl_localhub._xet._tokens import LIFETIME, Scope, XetTokens
from hfl_localhub._xet._xorbs import XorbStorage

if TYPE_CHECKING:
    from hfl_localhub._context import HubContext

#: What was uploaded this long ago may be garbage: a client refers to it within its token's life.
GRACE = 2 * LIFETIME


class XetService:
    """Stores files as runs of chunks, and puts them together again.

    Args:
        context: What the Hub's parts share. ``record_upload`` hears of each uploaded file.

    Attributes:
        tokens: Issues and checks the clients' tokens.
        blobs: Where the plain bytes go of files whose sha256 is known.
    """

    def __init__(self, context: HubContext) -> None:
        folder = Path(context.root) / "xet"
        folder.mkdir(parents=True, exist_ok=True)
        self._context = context
        self.blobs = context.blobs
        self.tokens = XetTokens(context.signer)
        self._clock: Callable[[], float] = context.signer.clock
        self._xorbs = XorbStorage(folder / "xorbs")
        self._files = FileIndex(folder / "shards", context.blobs.new_temporary_path)
        self._intake = ShardIntake(self._xorbs, self._files, context.blobs)
        self._chunks = ChunkIndex(self._xorbs, self._files)
        self._collecting = threading.Lock()
        self._generation = Generation(folder / "generation")

    @property
    def cas_url(self) -> str:
        """The URL that clients are told for the content store.

        Clients remember for weeks, per URL, which chunks a store has, and never send those
        again. So the URL changes when chunks were removed.
        """
        return f"{self._context.endpoint()}/xet/{self._generation.current}"

    def xet_hash(self, sha256: str) -> str | None:
        """Return the Xet hash of a file by its sha256.

        None if it did not come this way, or was deleted for good since.

        Args:
            sha256: The digest of the plain bytes, in hexadecimal.
        """
        try:
            digest = self._files.xet_hash(bytes.fromhex(sha256))
        except ValueError:
            return None
        if digest is None or not self.blobs.has(sha256):
            return None
        return _hashing.to_text(digest)

    def sha256(self, xet_hash: str) -> str | None:
        """Return the sha256 of a file by its Xet hash, or None if no uploader gave one."""
        found = self._files.sha256(_digest(xet_hash))
        return found.hex() if found is not None else None

    def is_empty(self, xet_hash: str) -> bool:
        """Whether this is the file without bytes."""
        return _digest(xet_hash) == _hashing.EMPTY_HASH

    def is_in(self, repo_type: str, repo_id: str, xet_hash: str) -> bool:
        """Whether a repository (in any revision) or a bucket has a file."""
        if self.is_empty(xet_hash):
            return True  # there is nothing to hide in it, and it is never uploaded
        return self._context.holds(repo_type, repo_id, xet_hash, self.sha256(xet_hash))

    def size(self, xet_hash: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""
        entry = self._find(xet_hash)
        return None if entry is None else entry.size

    def stream(self, xet_hash: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Iterate over the plain bytes of a file, from start to before end.

        Raises:
            XetNotFoundError: If there is no such file.
            XetRangeError: If it starts at or behind the file's end.
        """
        entry = self._known(xet_hash)
        span = _plan.clamp(entry.size, start, end)
        needed = {segment.xorb for segment in entry.segments()}
        with self._xorbs.pinned(needed):
            yield from _plan.plain(entry, span, self._xorbs)

    def check_held(self, scope: Scope, xet_hash: str) -> None:
        """Refuse a file that is not in the repository or bucket which a token is about.

        Raises:
            XetNotFoundError: As if it was nowhere: that others have it is not to be told.
        """
        if scope.access == "contribute" or not self.is_in(scope.repo_type, scope.repo_id, xet_hash):
            raise _absent(xet_hash)

    def reconstruction(self, xet_hash: str, start: int, end: int | None) -> Dict[str, object]:
        """Return what a client needs to put a file together; see :func:`_plan.reconstruction`."""
        entry = self._known(xet_hash)
        span = _plan.clamp(entry.size, start, end)
        return _plan.reconstruction(entry, span, self._xorbs, self._url_of)

    def chunk_listing(self, chunk: str) -> bytes | None:
        """Return a shard that says which xorb holds a chunk, or None."""
        digest = _digest(chunk)
        return self._chunks.answer(digest, now=self._clock(), lifetime=LIFETIME)

    def add_xorb(self, xet_hash: str, upload: BinaryIO, temporary: Path) -> bool:
        """Keep an uploaded xorb; return whether it is new. See :meth:`XorbStorage.adopt`."""
        digest = _digest(xet_hash)
        table = self._xorbs.adopt(upload, temporary, digest)
        if table is not None:
            self._chunks.add_xorb(digest, table)
        return table is not None

    def add_shard(self, upload: BinaryIO, scope: Scope) -> int:
        """Keep the files of an uploaded shard; return how many. See :meth:`ShardIntake.accept`."""

        def note(sha256: str) -> None:
            self._context.record_upload(scope.repo_type, scope.repo_id, sha256)

        is_for_bucket = scope.repo_type == "bucket"
        digests = self._intake.accept(upload, None if is_for_bucket else note)
        if is_for_bucket:
            self._context.record_bucket_upload(scope.repo_id, set(map(_hashing.to_text, digests)))
        self._chunks.add_files(upload)
        return len(digests)

    def xorb_run(self, xet_hash: str) -> tuple[Path, int]:
        """Return where a xorb's packed chunks are and how many bytes they take.

        Raises:
            XetNotFoundError: If it is not here.
        """
        digest = _digest(xet_hash)
        return self._xorbs.path(digest), self._xorbs.table(digest).run_length

    def distinct_size(self, xet_hashes: Iterable[str]) -> int:
        """Return how many plain bytes some files have; chunks that they share count once."""
        entries = (entry for entry in map(self._find, xet_hashes) if entry is not None)
        return _plan.distinct_size(entries, self._xorbs)

    def collect_garbage(
        self,
        *,
        live_xet_hashes: Collection[str],
        live_sha256s: Collection[str],
        deleted_sha256s: Collection[str] = (),
        grace: float = GRACE,
    ) -> _garbage.GarbageReport:
        """Remove what no live file needs.

        Args:
            live_xet_hashes: Files that buckets hold.
            live_sha256s: Files that repositories hold, in any revision.
            deleted_sha256s: Files that were deleted on purpose: they go whatever their age.
            grace: What was uploaded in the last so many seconds stays, because the commit that
                names it may be on its way.
        """
        with self._collecting:
            return _garbage.collect(
                self._xorbs,
                self._files,
                self._chunks,
                live_hashes={_digest(text) for text in live_xet_hashes},
                live_sha256s={bytes.fromhex(text) for text in live_sha256s},
                deleted_sha256s={bytes.fromhex(text) for text in deleted_sha256s},
                unless_newer_than=self._clock() - grace,
                # Before anything goes: a client that asks from then on starts from nothing.
                before_removal=self._generation.advance,
            )

    def _url_of(self, xorb: bytes, first: int, last: int) -> str:
        signature = self.tokens.sign_bytes(xorb, first, last)
        return f"{self.cas_url}/v1/bytes/{_hashing.to_text(xorb)}?signature={signature}"

    def _find(self, xet_hash: str) -> FileEntry | None:
        digest = _digest(xet_hash)
        if digest == _hashing.EMPTY_HASH:
            return FileEntry(digest, b"")  # clients never upload the empty file
        return self._files.get(digest)

    def _known(self, xet_hash: str) -> FileEntry:
        entry = self._find(xet_hash)
        if entry is None:
            raise _absent(xet_hash)
        return entry


def _absent(xet_hash: str) -> XetNotFoundError:
    return XetNotFoundError(f"There is no file {xet_hash}.")


def _digest(text: str) -> bytes:
    try:
        return _hashing.from_text(text)
    except ValueError as error:
        raise XetFormatError(str(error)) from error
