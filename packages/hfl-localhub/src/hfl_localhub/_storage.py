"""How much is stored, as people count it: what is the same counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfl_localhub._repos import Repo
    from hfl_localhub._services import Services
    from hfl_localhub._store import BlobStore

__all__ = ["storage_of_hub", "storage_of_repo"]


def storage_of_repo(repo: Repo, blobs: BlobStore) -> int:
    """Return the bytes of a repository's large files, each counted once, whatever refers to it."""
    return sum(record.size for record in repo.lfs.committed() if blobs.has(record.sha256))


def storage_of_hub(hub: Services) -> int:
    """Return the bytes of the large files of all repositories and buckets.

    What came through Xet is counted by distinct chunks, as the content store keeps it; that
    such files lie on this disk as blobs, too, is this Hub's own affair. Other files count once each.
    """
    held = {sha256 for repo in hub.repos for sha256 in repo.lfs.digests() if hub.blobs.has(sha256)}
    as_chunks = {sha256: hub.xet.xet_hash(sha256) for sha256 in held}
    whole = sum(hub.blobs.size(sha256) for sha256, found in as_chunks.items() if found is None)
    in_buckets = hub.buckets.register.file_hashes()
    return whole + hub.xet.distinct_size(in_buckets.union(filter(None, as_chunks.values())))
