"""Writes that survive a kill and a power cut: temporary file, flush, rename, flush the folder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

__all__ = ["fsync_directory", "fsync_file", "read_json", "write_bytes", "write_json"]


def fsync_file(descriptor: int) -> None:
    """Flush an open file's data to the disk."""
    os.fsync(descriptor)


def fsync_directory(path: Path) -> None:
    """Flush a folder's entries to the disk, where the system knows how to."""
    if os.name == "nt":  # Windows can't open a folder to flush it
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file as one step: a reader sees the old content or the new one, never a part.

    Args:
        path: The file; its folder exists.
        data: The new content.
        mode: The new file's permissions, from its first byte on.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            fsync_file(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    fsync_directory(path.parent)


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Replace a JSON file as one step."""
    write_bytes(path, json.dumps(value, indent=1, sort_keys=True).encode(), mode=mode)


def read_json(path: Path, default: Any = None) -> Any:
    """Read a JSON file, or return the default when it does not exist."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default
