"""Where huggingface_hub's versions differ. `_hub.py` hands in what it imported; nothing here imports it."""

from __future__ import annotations

import inspect
import sys
from typing import Any, Callable

__all__ = ["body_argument", "raised_by_transport", "visibility_payload"]


def raised_by_transport(http_error: type[Exception]) -> type[Exception]:
    """Return the class that everything the HTTP library raises about a connection derives from.

    huggingface_hub 0.x stands on requests, where that is the ``RequestException`` above
    ``HTTPError``; 1.x and 2.x stand on httpx and httpx2, where it is ``HTTPError`` itself.

    Args:
        http_error: ``huggingface_hub.errors.HTTPError``.

    Returns:
        The class to catch.
    """
    found: type[Exception] = getattr(
        sys.modules[http_error.__module__], "RequestException", http_error
    )
    return found


def visibility_payload(create_repo: Callable[..., Any], *, private: bool) -> dict[str, object]:
    """Return how the installed huggingface_hub tells the Hub about visibility.

    2.x sends ``visibility``, older versions ``private``; the Hub takes both, but not every
    server of a company does.

    Args:
        create_repo: ``HfApi.create_repo``.
        private: What is asked for.

    Returns:
        The part of a JSON body.
    """
    if "visibility" in inspect.signature(create_repo).parameters:
        return {"visibility": "private" if private else "public"}
    return {"private": private}


def body_argument(session: Any) -> str:
    """Return under which name a session takes a raw body: ``data`` of requests, ``content`` of httpx."""
    return "data" if hasattr(session, "mount") else "content"
