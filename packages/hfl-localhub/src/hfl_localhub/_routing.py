"""Routes over the *encoded* path.

The clients quote a revision's slashes (``refs%2Fpr%2F1``) and not those of a path, so where a
segment ends is only known before decoding. Starlette's router matches after it.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Awaitable, Callable, Literal, Union
from urllib.parse import unquote

__all__ = ["Match", "Route", "Router"]

_PATTERNS = {
    "T": r"(?P<T>models|datasets|spaces|kernels)",
    "prefix": r"(?P<prefix>(?:datasets|spaces|kernels)/)?",
    "rev": r"(?P<rev>refs/(?:pr|convert)/[^/]+|[^/]+)",
}
_PLACEHOLDER = re.compile(r"\{(\w+)(\*?)\}")

Body = Literal["none", "small", "large", "spool", "stream"]
Handler = Callable[..., Union[Any, Awaitable[Any]]]


@dataclasses.dataclass(frozen=True)
class Route:
    """What answers a method and a path.

    Attributes:
        method: The HTTP method; GET answers HEAD, too.
        pattern: What the encoded path has to match.
        handler: A function of a ``Call``, run in a thread; with ``body="stream"`` a coroutine.
        body: Whether the request's body is read first, and how large it may be.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    body: Body


@dataclasses.dataclass(frozen=True)
class Match:
    """A route and the decoded parts of the path."""

    route: Route
    params: dict[str, str]


class Router:
    """Finds the route for a request.

    Example:
        >>> router = Router()
        >>> router.add("GET", "/api/{T}/{ns}/{name}/tree/{rev}/{path*}", print)
        >>> found = router.match("GET", "/api/models/ann/digits/tree/refs%2Fpr%2F1/a/b%20c")
        >>> found.params["rev"], found.params["path"]
        ('refs/pr/1', 'a/b c')
    """

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, template: str, handler: Handler, body: Body = "none") -> None:
        """Add a route. ``{name}`` is one segment, ``{name*}`` the rest; see ``_PATTERNS``."""
        pattern = re.compile(_PLACEHOLDER.sub(_as_regex, template))
        self._routes.append(Route(method, pattern, handler, body))

    def match(self, method: str, raw_path: str) -> Match | set[str]:
        """Return the match, or the methods that the path would take (none: no such path)."""
        wanted = "GET" if method == "HEAD" else method
        allowed = set()
        for route in self._routes:
            found = route.pattern.fullmatch(raw_path)
            if found is None:
                continue
            if route.method != wanted:
                allowed.add(route.method)
                continue
            params = {name: unquote(value or "") for name, value in found.groupdict().items()}
            return Match(route, params)
        return allowed


def _as_regex(placeholder: re.Match[str]) -> str:
    name, is_rest = placeholder.groups()
    if name in _PATTERNS:
        return _PATTERNS[name]
    return f"(?P<{name}>.+)" if is_rest else f"(?P<{name}>[^/]+)"
