"""Large texts in blocks that end where a record ends, so that each can be parsed alone."""

from __future__ import annotations

import csv
import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Callable, Deque, Iterable, Iterator, TypeVar

__all__ = ["BLOCK", "MAX_RECORD", "Block", "blocks", "in_order"]

# Small enough that a few of them and what is made of them stay far below the memory that is promised, large
# enough that what a block costs beyond its bytes does not show (measured: 1 MiB is slower, 16 MiB no faster).
BLOCK = 4 * 1024 * 1024
# A record that is longer is taken for a quotation mark that nobody closed.
MAX_RECORD = 64 * 1024 * 1024

_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(frozen=True)
class Block:
    """Whole records of a text.

    Attributes:
        data: The bytes.
        line: The number of its first line in the file, from 1.
        is_last: Whether the text ends here without an end of a record.
    """

    data: bytes
    line: int
    is_last: bool = False


class UnendingRecordError(Exception):
    """A record does not end within `MAX_RECORD` bytes; `line` is where it begins."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def blocks(stream: IO[bytes], *, quoted: bool, size: int = BLOCK) -> Iterator[Block]:
    """Cut a text at the ends of records.

    Args:
        stream: The text.
        quoted: Whether a line end between quotation marks belongs to the record, as in CSV.
        size: Bytes to read at a time.

    Yields:
        One block after another; together they are the text.

    Raises:
        UnendingRecordError: A record is longer than `MAX_RECORD`.
    """
    pending, line = b"", 1
    while True:
        piece = stream.read(size)
        if not piece:
            break
        data = pending + piece if pending else piece
        cut = _end_of_records(data) if quoted else data.rfind(b"\n") + 1
        if not cut:
            if len(data) > MAX_RECORD:
                raise UnendingRecordError(line)
            pending = data
            continue
        yield Block(data[:cut], line)
        line += data.count(b"\n", 0, cut)
        pending = data[cut:]
    if pending:
        yield Block(pending, line, is_last=True)


def _end_of_records(data: bytes) -> int:
    """Find the last line end that is outside of quotation marks: an even number of them comes before it."""
    position = data.rfind(b"\n")
    count = data.count(b'"', 0, position + 1)
    while position >= 0:
        if count % 2 == 0:
            return position + 1
        quote = data.rfind(b'"', 0, position)
        previous = data.rfind(b"\n", 0, quote)
        if quote < 0 or previous < 0:
            break
        count -= data.count(b'"', previous, position)
        position = previous
    # Not one: a quotation mark stands inside a plain field, as in 5" disk. The slow way knows those.
    return _end_of_records_read(data)


def _end_of_records_read(data: bytes) -> int:
    consumed, before_last = 0, 0

    def lines() -> Iterator[str]:
        nonlocal consumed
        for raw in io.BytesIO(data):
            consumed += len(raw)
            yield raw.decode("latin-1")

    was = csv.field_size_limit(MAX_RECORD * 2)
    try:
        end = 0
        for _ in csv.reader(lines()):
            before_last, end = end, consumed
    except csv.Error:
        return before_last
    finally:
        csv.field_size_limit(was)
    return before_last


def in_order(
    function: Callable[[_A], _B], items: Iterable[_A], *, workers: int = 2
) -> Iterator[_B]:
    """Apply a function in threads; yield the results in order, with no more than a few items under way.

    Args:
        function: What to do; it is worth it where that releases the interpreter's lock, as pyarrow does.
        items: What to do it to.
        workers: How many threads.
    """
    waiting: Deque[Future[_B]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)
