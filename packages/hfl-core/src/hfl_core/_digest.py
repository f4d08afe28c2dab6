"""Streaming digests of files and buffers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Protocol

import xxhash

from hfl_core.errors import ConfigError

if TYPE_CHECKING:
    import os

# Large enough to amortise the call, small enough to stay in the second-level cache while it is hashed.
CHUNK_BYTES = 1 << 20


class Digest(Protocol):
    """What `hashlib` objects and `xxhash` objects have in common."""

    def update(self, data: Any, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """The digest so far, in lower-case hexadecimal."""


_ALGORITHMS: Dict[str, Callable[[], Any]] = {
    "xxh3-128": xxhash.xxh3_128,
    "sha256": hashlib.sha256,
}


def new_digest(algorithm: str = "xxh3-128") -> Digest:
    """Start a streaming digest.

    Args:
        algorithm: ``"xxh3-128"`` (fast; finds damage) or ``"sha256"`` (the Hub's name for content).

    Raises:
        ConfigError: The algorithm is not one of these.

    Example:
        >>> digest = new_digest("sha256")
        >>> digest.update(b"abc")
        >>> digest.hexdigest()[:8]
        'ba7816bf'
    """
    try:
        factory = _ALGORITHMS[algorithm]
    except KeyError:
        raise ConfigError(
            f"There is no digest {algorithm!r}.", hint=f"Use one of: {', '.join(_ALGORITHMS)}."
        ) from None
    digest: Digest = factory()
    return digest


def digest_file(path: str | os.PathLike[str], algorithm: str = "xxh3-128") -> str:
    """Digest a file in one pass, with constant memory.

    Args:
        path: The file.
        algorithm: As in `new_digest`.

    Returns:
        The digest in lower-case hexadecimal.

    Raises:
        OSError: The file cannot be read.
        ConfigError: The algorithm is not known.
    """
    digest = new_digest(algorithm)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with Path(path).open("rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return digest.hexdigest()
            digest.update(buffer[:count])
