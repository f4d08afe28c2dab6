"""What arrived: so that a test can count requests and bytes."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import threading
from typing import Deque, Iterator

__all__ = ["RequestLog", "RequestRecord"]

_KEPT = 100_000  # the oldest are dropped first; a test sees far fewer


@dataclasses.dataclass
class RequestRecord:
    """A request that arrived.

    Attributes:
        method: The HTTP method.
        path: The path as it was sent, percent-encoding included, without the query.
        query: The query string.
        user_agent: The client.
        bytes_in: The bytes of the request's body that were read.
        bytes_out: The bytes of the response's body that were sent.
        status: The answer's status, or None when the connection ended without one.
        is_done: Whether it has been dealt with.
    """

    method: str
    path: str
    query: str = ""
    user_agent: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    status: int | None = None
    is_done: bool = False


class RequestLog:
    """The requests, in order of arrival.

    Example:
        >>> log = RequestLog()
        >>> log.add(RequestRecord("GET", "/api/whoami-v2"))
        >>> log.count("GET", "/api/*"), log.count("POST")
        (1, 0)
    """

    def __init__(self) -> None:
        self._records: Deque[RequestRecord] = collections.deque(maxlen=_KEPT)
        self._lock = threading.RLock()
        self._finished = threading.Condition(self._lock)

    def add(self, record: RequestRecord) -> None:
        """Note a request."""
        with self._lock:
            self._records.append(record)

    def finish(self, record: RequestRecord) -> None:
        """Note that a request has been dealt with."""
        with self._finished:
            record.is_done = True
            self._finished.notify_all()

    def wait(
        self, method: str | None = None, path: str = "*", *, count: int = 1, timeout: float = 30.0
    ) -> bool:
        """Wait until so many matching requests have been dealt with.

        Args:
            method: The HTTP method; None for any.
            path: A shell pattern for the path.
            count: How many.
            timeout: How many seconds at most.

        Returns:
            Whether there are.
        """

        def is_enough() -> bool:
            return sum(record.is_done for record in self.matching(method, path)) >= count

        with self._finished:
            return self._finished.wait_for(is_enough, timeout)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._records.clear()

    def matching(self, method: str | None = None, path: str = "*") -> list[RequestRecord]:
        """Return the requests with this method whose path matches a shell pattern."""
        return [
            record
            for record in self
            if method in (None, record.method) and fnmatch.fnmatchcase(record.path, path)
        ]

    def count(self, method: str | None = None, path: str = "*") -> int:
        """Return how many requests match."""
        return len(self.matching(method, path))

    def bytes_in(self, method: str | None = None, path: str = "*") -> int:
        """Return how many bytes the matching requests brought."""
        return sum(record.bytes_in for record in self.matching(method, path))

    def bytes_out(self, method: str | None = None, path: str = "*") -> int:
        """Return how many bytes the answers to the matching requests took."""
        return sum(record.bytes_out for record in self.matching(method, path))

    def __iter__(self) -> Iterator[RequestRecord]:
        with self._lock:
            return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)
