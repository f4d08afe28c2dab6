"""What happens when a shard arrives: everything it claims is checked, then it is kept."""

from __future__ import annotations

from typing import BinaryIO, Callable, Iterator, List

from hfl_localhub._store import BlobStore, DigestMismatchError
from hfl_localhub._xet import _hashing, _shard, _xorb
from hfl_localhub._xet._errors import XetFormatError, XetMismatchError, XetNotFoundError
from hfl_localhub._xet._files import FileIndex
from hfl_localhub._xet._shard import FileEntry, Segment
from hfl_localhub._xet._xorbs import XorbStorage


class ShardIntake:
    """Accepts shards.

    Args:
        xorbs: The xorbs that shards refer to.
        files: Where accepted files go.
        blobs: Where the plain bytes go of files whose sha256 the uploader gave.
    """

    def __init__(self, xorbs: XorbStorage, files: FileIndex, blobs: BlobStore) -> None:
        self._xorbs = xorbs
        self._files = files
        self._blobs = blobs

    def accept(self, upload: BinaryIO, on_blob: Callable[[str], None] | None) -> List[bytes]:
        """Check an uploaded shard and keep it.

        The plain bytes of a file are unpacked chunk by chunk, so memory does not grow with it.

        Args:
            upload: The shard, seekable.
            on_blob: Called for each file with a sha256, when its plain bytes are there and
                before anybody may remove them as unused. None where sha256s mean nothing, as
                in buckets: then nothing is unpacked, and they are forgotten unchecked.

        Returns:
            The Xet hashes of the files that it describes.

        Raises:
            XetFormatError: If it is malformed or points nowhere.
            XetMismatchError: If what it says is not true. No file of it is kept.
        """
        upload.seek(0)
        wanted = {segment.xorb for _, e in _shard.read_files(upload) for segment in e.segments()}
        with self._xorbs.pinned(wanted):
            digests = []
            for entry in _entries(upload):
                self._check(entry)
                digests.append(entry.digest)
            # Only now, when nothing cheap to find is wrong, is anything unpacked.
            for entry in _entries(upload):
                if entry.sha256 is not None and on_blob is not None:
                    self._unpack(entry, entry.sha256.hex(), on_blob)
            entries = _entries(upload)
            if on_blob is None:
                entries = (entry._replace(sha256=None) for entry in entries)
            self._files.add(entries)
        return digests

    def _check(self, entry: FileEntry) -> None:
        name = _hashing.to_text(entry.digest)
        if len(entry.proof_rows) != len(entry.rows):
            raise XetFormatError(f"The file {name} comes without proofs for its segments.")
        tree = _hashing.MerkleTree()
        for segment, proof in zip(entry.segments(), entry.proofs()):
            table = self._table(segment)
            hashes: List[bytes] = []
            for digest, size in table.leaves(segment.start, segment.end):
                hashes.append(digest)
                tree.add(digest, size)
            if _hashing.run_hash(hashes) != proof:
                raise XetMismatchError(f"A segment of the file {name} has a wrong proof.")
        actual = _hashing.file_hash(tree.root())
        if actual != entry.digest:
            raise XetMismatchError(
                f"The file was announced as {name} but its segments make up"
                f" {_hashing.to_text(actual)}."
            )

    def _table(self, segment: Segment) -> _xorb.ChunkTable:
        name = _hashing.to_text(segment.xorb)
        try:
            table = self._xorbs.table(segment.xorb)
        except XetNotFoundError as error:
            raise XetFormatError(
                f"A segment refers to the xorb {name}, which is not here."
            ) from error
        if not segment.start < segment.end <= len(table):
            raise XetFormatError(
                f"A segment refers to the chunks {segment.start} to {segment.end}"
                f" of the xorb {name}, which has {len(table)}."
            )
        if segment.size != table.plain_size(segment.start, segment.end):
            raise XetMismatchError(f"A segment of the xorb {name} has a wrong size.")
        return table

    def _unpack(self, entry: FileEntry, sha256: str, on_blob: Callable[[str], None]) -> None:
        if self._files.xet_hash(bytes.fromhex(sha256)) == entry.digest:
            with self._blobs.lock:
                if self._blobs.has(sha256):  # uploaded before, and checked then
                    on_blob(sha256)
                    return
        with self._blobs.writer() as writer:
            for piece in self.plain(entry):
                writer.write(piece)
            writer.flush()
            try:
                with self._blobs.lock:
                    writer.commit(sha256)
                    on_blob(sha256)
            except DigestMismatchError as error:
                raise XetMismatchError(
                    f"The file was announced with sha256 {sha256} but has {error.actual}."
                ) from error

    def plain(self, entry: FileEntry) -> Iterator[bytes]:
        """Iterate over the plain bytes of a file, chunk by chunk."""
        for segment in entry.segments():
            table = self._xorbs.table(segment.xorb)
            yield from _xorb.iter_plain(
                self._xorbs.path(segment.xorb), table, segment.start, segment.end
            )


def _entries(upload: BinaryIO) -> Iterator[FileEntry]:
    upload.seek(0)
    for _, entry in _shard.read_files(upload):
        yield entry
