"""How clients ask for a visibility."""

from __future__ import annotations

from typing import Any

from hfl_localhub._errors import bad_request

__all__ = ["visibility_of"]

_VISIBILITIES = ("public", "private", "protected")


def visibility_of(body: dict[str, Any]) -> str | None:
    """Read ``visibility`` (newer clients) or ``private`` (older ones); None when neither is there.

    Raises:
        HubError: 400, it is not one that the Hub knows.
    """
    visibility = body.get("visibility")
    if visibility is not None:
        if visibility not in _VISIBILITIES:
            raise bad_request(f"visibility has to be one of {', '.join(_VISIBILITIES)}.")
        return str(visibility)
    private = body.get("private")
    if private is None:
        return None
    if not isinstance(private, bool):
        raise bad_request("private has to be true or false.")
    return "private" if private else "public"
