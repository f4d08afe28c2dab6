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
    return "{:016x}{:016x}{:016x}{:016x}".format(*_WORDS.unpack(digest))


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


class MerkleTree:
    """Computes the root over chunks that arrive one by one, and keeps only a few of them.

    A file of a terabyte has 16 million chunks; each level of the tree needs at most nine nodes
    at hand to know where the next node above it ends.
    """

    def __init__(self) -> None:
        self._waiting: List[List[Leaf]] = [[]]
        self._seen = [0]

    def add(self, digest: bytes, size: int) -> None:
        """Append a chunk."""
        self._add(0, (digest, size))

    def root(self) -> bytes:
        """Return the root. Nothing can be added afterwards."""
        if not self._seen[0]:
            return EMPTY_HASH
        level = 0
        while self._seen[level] > 1:
            while self._waiting[level]:
                self._close_node(level)
            level += 1
        return self._waiting[level][0][0]

    def _add(self, level: int, leaf: Leaf) -> None:
        if level == len(self._waiting):
            self._waiting.append([])
            self._seen.append(0)
        self._waiting[level].append(leaf)
        self._seen[level] += 1
        if len(self._waiting[level]) == _MOST_CHILDREN:
            self._close_node(level)

    def _close_node(self, level: int) -> None:
        waiting = self._waiting[level]
        end = _end_of_node(waiting)
        children = waiting[:end]
        del waiting[:end]
        lines = "".join(f"{to_text(digest)} : {size}\n" for digest, size in children)
        digest = blake3(lines.encode(), key=_NODE_KEY).digest()
        self._add(level + 1, (digest, sum(size for _, size in children)))


def _end_of_node(waiting: Sequence[Leaf]) -> int:
    # A node ends behind the first child, from the third on, whose hash is a multiple of four.
    for index in range(2, min(_MOST_CHILDREN, len(waiting))):
        if last_word(waiting[index][0]) % _BRANCHING == 0:
            return index + 1
    return min(_MOST_CHILDREN, len(waiting))


def xorb_hash(chunks: Iterable[Leaf]) -> bytes:
    """Hash a xorb, from its chunks in their order."""
    tree = MerkleTree()
    for digest, size in chunks:
        tree.add(digest, size)
    return tree.root()


def file_hash(root: bytes) -> bytes:
    """Hash a file, from the root over its chunks."""
    return root if root == EMPTY_HASH else keyed(root, _FILE_KEY)


def last_word(digest: bytes) -> int:
    """The number by which the protocol takes a hash modulo something."""
    return int.from_bytes(digest[24:], "little")
