"""Bodies that are sent piece by piece, so that no file has to fit into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

from hfl_core.errors import ConflictError

__all__ = ["Body", "file_body"]

_PIECE = 1 << 20


class Body:
    """A body whose length is known before its content is read. It can be sent again.

    Args:
        size: Bytes.
        pieces: Starts to yield the content.
    """

    def __init__(self, size: int, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._size = size
        self._pieces = pieces

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces()

    @property
    def headers(self) -> dict[str, str]:
        """The header that tells the length: without it the body would be sent in chunks."""
        return {"Content-Length": str(self._size)}


def file_body(
    source: Path,
    start: int,
    size: int,
    sent: Callable[[int], None],
    check: Callable[[], None] = lambda: None,
) -> Body:
    """Make a body of a part of a file.

    Args:
        source: The file.
        start: Where the part begins.
        size: How long it is.
        sent: Told how many bytes went out.
        check: Called before each piece; what it raises ends the request.

    Returns:
        The body.
    """

    def pieces() -> Iterator[bytes]:
        left = size
        with source.open("rb", buffering=0) as file:
            file.seek(start)
            while left:
                check()
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise ConflictError(
                        f"{source.name!r} became shorter while it was sent.",
                        hint="Upload again once nothing writes to it any more.",
                    )
                left -= len(piece)
                yield piece
                sent(len(piece))

    return Body(size, pieces)
