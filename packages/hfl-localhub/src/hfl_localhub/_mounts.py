"""Starlette's routes inside the application: the content store and buckets bring their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Awaitable, Callable, List

from starlette.routing import Match, Route

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    Mount = Callable[[Receive, Send], Awaitable[None]]

__all__ = ["Mounts"]


class Mounts:
    """Finds the route for a request.

    Args:
        routes: The routes; the first that matches counts.
    """

    def __init__(self, routes: List[Route]) -> None:
        self._routes = routes

    def find(self, scope: Scope) -> Mount | None:
        """Return what answers a request, or None if no route knows its path."""
        partial = None
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return _mount(route, {**scope, **child})
            if match is Match.PARTIAL and partial is None:  # the path, but not the method
                partial = _mount(route, {**scope, **child})
        return partial


def _mount(route: Route, scope: Scope) -> Mount:
    async def answer(receive: Receive, send: Send) -> None:
        await route.handle(scope, receive, send)

    return answer
