"""How to put a file together: which bytes of which xorbs a client has to fetch.

Source: "Get File Reconstruction" in the Xet protocol specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from hfl_localhub._xet import _hashing, _xorb
from hfl_localhub._xet._errors import XetRangeError
from hfl_localhub._xet._shard import FileEntry, Segment
from hfl_localhub._xet._xorbs import XorbStorage


class Span(NamedTuple):
    """Plain bytes of a file, from start to before end."""

    start: int
    end: int


class Piece(NamedTuple):
    """The chunks of one xorb that a span of a file touches.

    Attributes:
        xorb: The xorb.
        start: The first chunk.
        end: The chunk behind the last one.
        skip: How many plain bytes of the first chunk are before the span.
    """

    xorb: bytes
    start: int
    end: int
    skip: int


def pieces(entry: FileEntry, span: Span, xorbs: XorbStorage) -> Iterator[Piece]:
    """Iterate over what a span of a file consists of, cut to whole chunks."""
    position = 0
    for segment in entry.segments():
        if position >= span.end:
            return
        if position + segment.size > span.start:
            yield _cut(segment, span, position, xorbs.table(segment.xorb))
        position += segment.size


def clamp(size: int, start: int, end: int | None) -> Span:
    """Return a span that lies in a file.

    Raises:
        XetRangeError: If it starts at or behind the end of the file.
    """
    if start >= size and (start or size):
        raise XetRangeError(f"The range starts at {start} but there are {size} bytes.", size=size)
    return Span(start, size if end is None else min(end, size))


def reconstruction(
    entry: FileEntry, span: Span, xorbs: XorbStorage, url_of: Callable[[bytes, int, int], str]
) -> Dict[str, Any]:
    """Return the answer that tells a client how to put a span together.

    Args:
        entry: The file.
        span: What is wanted of it.
        xorbs: Where the chunks are.
        url_of: Returns the URL for the bytes of a xorb, the last one included.
    """
    parts = list(pieces(entry, span, xorbs))
    fetch: Dict[str, List[Dict[str, Any]]] = {}
    for xorb, runs in _merged(parts).items():
        table = xorbs.table(xorb)
        fetch[_hashing.to_text(xorb)] = [
            _fetch_info(xorb, start, end, table, url_of) for start, end in runs
        ]
    return {
        "offset_into_first_range": parts[0].skip if parts else 0,
        "terms": [_term(part, xorbs) for part in parts],
        "fetch_info": fetch,
    }


def plain(entry: FileEntry, span: Span, xorbs: XorbStorage) -> Iterator[bytes]:
    """Iterate over the plain bytes of a span, a chunk at a time."""
    wanted = span.end - span.start
    for part in pieces(entry, span, xorbs):
        skip = part.skip
        path, table = xorbs.path(part.xorb), xorbs.table(part.xorb)
        for chunk in _xorb.iter_plain(path, table, part.start, part.end):
            data = chunk[skip : skip + wanted]
            skip = 0
            wanted -= len(data)
            yield data


def distinct_size(entries: Iterable[FileEntry], xorbs: XorbStorage) -> int:
    """Return how many plain bytes some files have; chunks that they share count once."""
    segments = (segment for entry in entries for segment in entry.segments())
    whole = {Piece(segment.xorb, segment.start, segment.end, 0) for segment in segments}
    return sum(
        xorbs.table(xorb).plain_size(start, end)
        for xorb, runs in _merged(list(whole)).items()
        for start, end in runs
        if xorbs.has(xorb)  # or it was lost to a disk error
    )


def _cut(segment: Segment, span: Span, position: int, table: _xorb.ChunkTable) -> Piece:
    # Offsets from here on are those of the xorb's plain bytes.
    base = table.plain_start(segment.start)
    first_byte = base + max(span.start - position, 0)
    last_byte = base + min(span.end - position, segment.size) - 1
    first = table.chunk_at(first_byte, segment.start, segment.end)
    last = table.chunk_at(last_byte, segment.start, segment.end)
    return Piece(segment.xorb, first, last + 1, first_byte - table.plain_start(first))


def _merged(parts: List[Piece]) -> Dict[bytes, List[Tuple[int, int]]]:
    """Join what overlaps or touches, so that no chunk is offered twice."""
    runs: Dict[bytes, List[Tuple[int, int]]] = {}
    for part in sorted(parts):
        of_xorb = runs.setdefault(part.xorb, [])
        if of_xorb and part.start <= of_xorb[-1][1]:
            of_xorb[-1] = (of_xorb[-1][0], max(of_xorb[-1][1], part.end))
        else:
            of_xorb.append((part.start, part.end))
    return runs


def _term(part: Piece, xorbs: XorbStorage) -> Dict[str, Any]:
    return {
        "hash": _hashing.to_text(part.xorb),
        "unpacked_length": xorbs.table(part.xorb).plain_size(part.start, part.end),
        "range": {"start": part.start, "end": part.end},
    }


def _fetch_info(
    xorb: bytes,
    start: int,
    end: int,
    table: _xorb.ChunkTable,
    url_of: Callable[[bytes, int, int], str],
) -> Dict[str, Any]:
    first, last = table.packed_start(start), table.packed_start(end) - 1
    return {
        "range": {"start": start, "end": end},
        "url": url_of(xorb, first, last),
        "url_range": {"start": first, "end": last},
    }
