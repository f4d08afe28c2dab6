"""Buckets and their entries as JSON, the way clients read them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Dict

from hfl_localhub._buckets._listing import BucketFolder, Entry
from hfl_localhub._buckets._register import Bucket


def bucket_json(bucket: Bucket) -> Dict[str, Any]:
    """Return what clients learn of a bucket."""
    return {
        "id": bucket.id,
        "author": bucket.namespace,
        "private": bucket.private,
        "visibility": "private" if bucket.private else "public",
        "createdAt": timestamp(bucket.created_at),
        "size": bucket.size,
        "totalFiles": bucket.total_files,
    }


def storage_json(bucket: Bucket, storage: int, updated_at: float) -> Dict[str, Any]:
    """Return a bucket as lists of what takes storage show it."""
    return {
        "id": bucket.id,
        "type": "bucket",
        "updatedAt": timestamp(updated_at),
        "visibility": "private" if bucket.private else "public",
        "storage": storage,
    }


def entry_json(entry: Entry) -> Dict[str, Any]:
    """Return what clients learn of a file or a folder."""
    if isinstance(entry, BucketFolder):
        return {
            "type": "directory",
            "path": entry.path,
            "uploadedAt": timestamp(entry.uploaded_at),
        }
    answer = {
        "type": "file",
        "path": entry.path,
        "size": entry.size,
        "xetHash": entry.xet_hash,
        "uploadedAt": timestamp(entry.uploaded_at),
    }
    if entry.mtime is not None:
        answer["mtime"] = timestamp(entry.mtime)
    if entry.content_type is not None:
        answer["contentType"] = entry.content_type
    return answer


def timestamp(seconds: float) -> str:
    """Write a time as ``2026-02-06T17:37:57.000Z``, to the millisecond."""
    # Rounded as a whole number of milliseconds: clients compare it with a file's own time.
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    moment = dt.datetime.fromtimestamp(whole, dt.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
