"""What should go wrong, on demand: by route, by count, or by chance with a seed."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Callable, Dict, Literal

from hfl_core.errors import ConfigError
from hfl_localhub._fault_rules import Fault, Match, Quota

__all__ = ["Fault", "Faults"]

Direction = Literal["upload", "download"]
_DIRECTIONS = ("upload", "download")


class Faults:
    """The faults that are armed. Every method arms one and returns it.

    All methods take the same keywords to say when:

    - ``method`` and ``path``: the HTTP method, and a shell pattern for the encoded path
      (``"*/commit/*"``). Left out, any.
    - ``times``: how often at most; None for always.
    - ``skip``: how many matching requests pass first.
    - ``probability`` and ``seed``: by chance, the same way each time.

    Args:
        clock: Returns the time in seconds.

    Example:
        >>> faults = Faults()
        >>> fault = faults.answer(503, method="POST", path="*/commit/*", times=2)
        >>> [found.status for found in faults.take("POST", "/api/models/a/b/commit/main")]
        [503]
        >>> faults.take("GET", "/api/models/a/b")
        []
        >>> fault.hits
        1
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def answer(  # what an answer consists of
        self,
        status: int,
        *,
        after: bool = False,
        retry_after: float | None = None,
        error: str | None = None,
        code: str | None = None,
        headers: Dict[str, str] | None = None,
        **when: object,
    ) -> Fault:
        """Answer with a status instead of doing what was asked, or after having done it.

        Args:
            status: The HTTP status: 429, 412, 500, 503 and so on.
            after: Whether the request takes effect first: the commit lands, the client
                does not learn of it.
            retry_after: Seconds for ``Retry-After``.
            error: The message.
            code: ``X-Error-Code``.
            headers: More headers.
            **when: See the class.
        """
        if not 400 <= status <= 599:
            raise ConfigError(f"A fault answers with a status from 400 to 599, not {status}.")
        all_headers = dict(headers or {})
        if retry_after is not None:
            all_headers["Retry-After"] = str(int(retry_after))
        return self._arm(
            Fault(
                "answer",
                _match(when),
                status=status,
                is_after=after,
                error=error or f"The local Hub was asked to answer with {status}.",
                code=code,
                headers=tuple(all_headers.items()),
            )
        )

    def commit_quota(
        self, limit: int, *, window: float = 3600.0, retry_after: float = 60.0
    ) -> Fault:
        """Take so many commits per repository and window, as the public Hub does per hour.

        ``Retry-After`` says less than the truth, as there: a client that trusts it alone keeps
        running into the limit. The message tells how long it really takes.
        """
        quota = Quota(limit, window, retry_after, self._clock)
        return self._arm(Fault("quota", Match("POST", "*/commit/*", times=None), quota=quota))

    def drop(self, after: int, *, direction: Direction = "download", **when: object) -> Fault:
        """Cut the connection after so many bytes of the response's or the request's body."""
        return self._arm(Fault("drop", _match(when), direction=_checked(direction), at=after))

    def slow(
        self, bytes_per_second: float, *, direction: Direction = "download", **when: object
    ) -> Fault:
        """Let a body pass at so many bytes a second."""
        if bytes_per_second <= 0:
            raise ConfigError("bytes_per_second has to be more than 0.")
        return self._arm(
            Fault("slow", _match(when), direction=_checked(direction), rate=bytes_per_second)
        )

    def stall(self, after: int = 0, *, direction: Direction = "download", **when: object) -> Fault:
        """Let so many bytes of a body pass, then none until ``fault.release()``."""
        return self._arm(Fault("stall", _match(when), direction=_checked(direction), at=after))

    def corrupt(self, at: int = 0, *, direction: Direction = "download", **when: object) -> Fault:
        """Flip the bits of one byte of a body, at this offset."""
        return self._arm(Fault("corrupt", _match(when), direction=_checked(direction), at=at))

    def token(self, kind: Literal["expired", "read-only"], **when: object) -> Fault:
        """Treat the token of matching requests as expired, or as one for reading only."""
        if kind not in ("expired", "read-only"):
            raise ConfigError(f"A token fault is 'expired' or 'read-only', not {kind!r}.")
        return self._arm(Fault("token", _match({"times": None, **when}), token=kind))

    def disk_full(self, after: int = 0, **when: object) -> Fault:
        """Let the Hub's disk be full once so many bytes of the request's body came."""
        if "method" not in when and "path" not in when:
            raise ConfigError("Say which requests meet the full disk, by method or path.")
        return self._arm(Fault("disk", _match(when), direction="upload", at=after))

    def clear(self) -> None:
        """Disarm all, and let go of what is stalled."""
        with self._lock:
            armed, self._armed = self._armed, []
        for fault in armed:
            fault.release()

    def take(self, method: str, path: str) -> list[Fault]:
        """Return the faults for a request that has arrived, and count them."""
        with self._lock:
            return [fault for fault in self._armed if fault.applies(method, path)]

    def _arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault


def _match(when: Dict[str, object]) -> Match:
    known = {field.name for field in dataclasses.fields(Match)}
    unknown = sorted(when.keys() - known)
    if unknown:
        raise ConfigError(
            f"A fault has no {', '.join(unknown)}; it has {', '.join(sorted(known))}."
        )
    return Match(**when)  # type: ignore[arg-type]  # checked by name; a wrong value fails at once


def _checked(direction: Direction) -> Direction:
    if direction not in _DIRECTIONS:
        raise ConfigError(f"direction is 'upload' or 'download', not {direction!r}.")
    return direction
