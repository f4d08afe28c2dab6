"""The ``Range`` header."""

from __future__ import annotations

import re
from typing import NamedTuple

from hfl_localhub._xet._errors import XetRangeError

_FORM = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*\Z")


class ByteRange(NamedTuple):
    """What a client asks for.

    Attributes:
        start: The first byte, or None for the last ``end`` ones.
        end: The byte behind the last one, or None for all up to the end.
    """

    start: int | None
    end: int | None

    def of_size(self, size: int) -> ByteRange:
        """Return the range with its start known, for a file of a size."""
        return self if self.start is not None else ByteRange(max(size - (self.end or 0), 0), size)

    def bounds(self, size: int) -> tuple[int, int]:
        """Return where it starts and ends in a file of a size.

        Raises:
            XetRangeError: If nothing of it is in the file.
        """
        start, end = self.of_size(size)
        if start is None or start >= size:
            raise XetRangeError(
                f"The range starts at {start} but there are {size} bytes.", size=size
            )
        return start, size if end is None else min(end, size)


def parse(header: str | None) -> ByteRange | None:
    """Read a header with one range; others are ignored, as HTTP allows.

    Example:
        >>> parse("bytes=10-19")
        ByteRange(start=10, end=20)
    """
    match = _FORM.match(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return ByteRange(None, int(last)) if last else None
    if last and int(last) < int(first):
        return None
    return ByteRange(int(first), int(last) + 1 if last else None)
