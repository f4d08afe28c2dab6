"""Xet's hashes: of a chunk, of a xorb, of a file and of a run of chunks.

All are BLAKE3 in keyed mode; xorbs and files are the root of a Merkle tree whose shape depends on
the hashes themselves. Source: "Hashing" in the Xet protocol specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

import re
import struct
from typing import Iterable, List, Sequence, Tuple

from blake3 import blake3

HASH_SIZE = 32
#: The hash of nothing: what a file without bytes is called.
EMPTY_HASH = bytes(HASH_SIZE)

_CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_RUN_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_FILE_KEY = bytes(HASH_SIZE)

# A node has 4 children on average, at least 2 (3 where there are enough) and at most 9.
_BRANCHING = 4
_MOST_CHILDREN = 2 * _BRANCHING + 1

_WORDS = struct.Struct("<4Q")
_TEXT = re.compile(r"[0-9a-f]{64}\Z")

#: A chunk as a Merkle tree sees it: its hash and how many bytes it stands for.
Leaf = Tuple[bytes, int]


def to_text(digest: bytes) -> str:
    """Write a hash the way the protocol does: four little-endian 64-bit numbers in hexadecimal."""
    return "%016x%016x%016x%016x" % _WORDS.unpack(digest)


def from_text(text: str) -> bytes:
    """Read what :func:`to_text` writes.

    Raises:
        ValueError: If the text is not 64 lower-case hexadecimal digits.
    """
    if not _TEXT.match(text):
        raise ValueError(f"{text[:80]!r} is not a Xet hash: 64 lower-case hexadecimal digits.")
    return _WORDS.pack(*(int(text[start : start + 16], 16) for start in range(0, 64, 16)))


def chunk_hash(data: bytes) -> bytes:
    """Hash the plain bytes of a chunk."""
    return blake3(data, key=_CHUNK_KEY).digest()


def keyed(digest: bytes, key: bytes) -> bytes:
    """Hide a hash behind a key: only who knows the hash can recognise the result."""
    return blake3(digest, key=key).digest()


def run_hash(digests: Iterable[bytes]) -> bytes:
    """Hash a run of chunks of a xorb: the proof that an uploader knows them all."""
    return blake3(b"".join(digests), key=_RUN_KEY).digest()


def xorb_hash(chunks: Sequence[Leaf]) -> bytes:
    """Hash a xorb, from its chunks in their order."""
    level = list(chunks)
    if not level:
        return EMPTY_HASH
    while len(level) > 1:
        level = _next_level(level)
    return level[0][0]


def file_hash(chunks: Sequence[Leaf]) -> bytes:
    """Hash a file, from its chunks in their order."""
    return keyed(xorb_hash(chunks), _FILE_KEY) if chunks else EMPTY_HASH


def last_word(digest: bytes) -> int:
    """The number by which the protocol takes a hash modulo something."""
    return int.from_bytes(digest[24:], "little")


def _next_level(level: List[Leaf]) -> List[Leaf]:
    parents = []
    start = 0
    while start < len(level):
        end = _end_of_node(level, start)
        children = level[start:end]
        lines = "".join(f"{to_text(digest)} : {size}\n" for digest, size in children)
        parents.append(
            (blake3(lines.encode(), key=_NODE_KEY).digest(), sum(size for _, size in children))
        )
        start = end
    return parents


def _end_of_node(level: Sequence[Leaf], start: int) -> int:
    end = min(start + _MOST_CHILDREN, len(level))
    for index in range(start + 2, end):
        if last_word(level[index][0]) % _BRANCHING == 0:
            return index + 1
    return end
