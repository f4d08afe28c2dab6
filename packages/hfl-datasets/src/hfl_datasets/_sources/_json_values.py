"""The values of a JSON array, one by one, however long it is."""

from __future__ import annotations

import codecs
import json
from typing import IO, Any, Iterator, Tuple

__all__ = ["JsonSyntaxError", "array_values"]

_PIECE = 1024 * 1024
_SPACE = " \t\r\n"


class JsonSyntaxError(ValueError):
    """The text is no JSON; `line` says where.

    Args:
        reason: What is wrong.
        line: The line's number.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def array_values(stream: IO[bytes]) -> Iterator[Tuple[int, Any]]:
    """Yield the values of the array that a text consists of.

    Args:
        stream: The text, in UTF-8.

    Yields:
        The line on which a value begins, and the value.

    Raises:
        JsonSyntaxError: It is no array, or not complete.
    """
    text = _Text(stream)
    if text.peek() != "[":
        raise JsonSyntaxError("it does not begin with '['", text.line)
    text.skip(1)
    if text.peek() == "]":
        return
    while True:
        text.peek()
        line = text.line
        yield line, text.value()
        mark = text.peek()
        text.skip(1)
        if mark == "]":
            return
        if mark != ",":
            raise JsonSyntaxError(
                f"there is {mark!r} where a comma should be" if mark else "it ends too early",
                text.line,
            )


class _Text:
    """A text that is read as far as needed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder()
        self._buffer = ""
        self._position = 0
        self._is_at_end = False
        self.line = 1

    def peek(self) -> str:
        """Skip white space; return the next character, empty at the end."""
        while True:
            while self._position < len(self._buffer):
                mark = self._buffer[self._position]
                if mark not in _SPACE:
                    return mark
                self.skip(1)
            if not self._more():
                return ""

    def skip(self, count: int) -> None:
        """Go on by that many characters."""
        end = self._position + count
        self.line += self._buffer.count("\n", self._position, end)
        self._position = end

    def value(self) -> Any:
        """Read one JSON value."""
        while True:
            try:
                value, end = self._json.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if self._more():
                    continue
                line = self.line + self._buffer.count("\n", self._position, error.pos)
                raise JsonSyntaxError(error.msg, line) from error
            # A number at the end of what was read may go on.
            if end == len(self._buffer) and self._more():
                continue
            self.skip(end - self._position)
            return value

    def _more(self) -> bool:
        if self._is_at_end:
            return False
        data = self._stream.read(_PIECE)
        self._is_at_end = not data
        self._buffer = self._buffer[self._position :] + self._decoder.decode(data, not data)
        self._position = 0
        return bool(data)
