"""Writes chunks, xorbs and shards the way clients do, and ways they should not."""

from __future__ import annotations

import random
import struct

import lz4.frame

from hfl_localhub._xet import _hashing

PLAIN, LZ4, GROUPED = 0, 1, 2
BOOKEND = b"\xff" * 32 + bytes(16)
TAG = b"HFRepoMetaData\x00" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")


def random_bytes(seed, size):
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "little") if size else b""


def pack_chunk(data, scheme=PLAIN):
    if scheme == PLAIN:
        packed = data
    elif scheme == LZ4:
        packed = lz4.frame.compress(data)
    else:
        packed = lz4.frame.compress(b"".join(data[start::4] for start in range(4)))
    return header(len(packed), scheme, len(data)) + packed


def header(packed, scheme, plain, version=0):
    return struct.pack("<II", packed << 8 | version, plain << 8 | scheme)


def leaves(chunks):
    return [(_hashing.chunk_hash(chunk), len(chunk)) for chunk in chunks]


def xorb_hash(chunks):
    return _hashing.xorb_hash(leaves(chunks))


def file_hash(chunks):
    return _hashing.file_hash(_hashing.xorb_hash(leaves(chunks)))


def pack_xorb(chunks, schemes=(PLAIN,), footer=b""):
    packed = (pack_chunk(chunk, schemes[i % len(schemes)]) for i, chunk in enumerate(chunks))
    return b"".join(packed) + footer


def segment(xorb, chunks, start, end, size=None):
    size = sum(map(len, chunks[start:end])) if size is None else size
    return struct.pack("<32sIIII", xorb, 0, size, start, end)


def proof(chunks, start, end):
    hashes = [digest for digest, _ in leaves(chunks[start:end])]
    return _hashing.run_hash(hashes) + bytes(16)


def file_entry(digest, segments, proofs, sha256=None):
    flags = 1 << 31 | (1 << 30 if sha256 else 0)
    rows = [struct.pack("<32sIIII", digest, flags, len(segments), 0, 0), *segments, *proofs]
    if sha256:
        rows.append(_hashing.from_text(sha256) + bytes(16))
    return b"".join(rows)


def whole_file(chunks, sha256=None):
    """A file that consists of a whole xorb."""
    run = segment(xorb_hash(chunks), chunks, 0, len(chunks))
    return file_entry(file_hash(chunks), [run], [proof(chunks, 0, len(chunks))], sha256)


def pack_shard(*entries, tag=TAG, version=2):
    return struct.pack("<32sQQ", tag, version, 0) + b"".join(entries) + BOOKEND + BOOKEND
