"""One request, as a route's function sees it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, TypeVar
from urllib.parse import parse_qs, quote, urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from hfl_localhub._access import Access, check_content, check_repo
from hfl_localhub._errors import HubError, bad_request, revision_not_found, unauthorized
from hfl_localhub._repos import Key, Repo

if TYPE_CHECKING:
    from hfl_localhub._git import GitSession
    from hfl_localhub._identity import Identity
    from hfl_localhub._services import Services

__all__ = ["Call", "answer", "as_number", "quoted"]

_LONGEST_NUMBER = 16

Result = TypeVar("Result")


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    # Escaped, because what a client sent may hold halves of characters, which UTF-8 cannot say.
    content = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Response(content, status, headers, media_type="application/json")


def as_number(text: str) -> int | None:
    """Return the number that a text is, or None when it is none or absurdly long."""
    if not text.isascii() or not text.isdigit() or len(text) >= _LONGEST_NUMBER:
        return None
    return int(text)


def quoted(text: str) -> str:
    """Percent-encode text for one segment of a path."""
    return quote(text, safe="")


class Call:
    """A request with the parts of its path, its body (if it was read) and the Hub's parts.

    Attributes:
        request: Starlette's request.
        hub: The Hub's parts.
        params: The decoded parts of the path.
        body: The body's bytes, unless the route streams or spools it.
        spooled: The file that holds the body, where the route wants one.
    """

    def __init__(
        self, request: Request, hub: Services, params: dict[str, str], body: bytes = b""
    ) -> None:
        self.request = request
        self.hub = hub
        self.params = params
        self.body = body
        self.spooled: Path | None = None

    @functools.cached_property
    def identity(self) -> Identity | None:
        """Who asks. Raises the 401 for a token that isn't valid."""
        return self.hub.context.authenticate(self.request)

    async def in_thread(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function that blocks, from a coroutine."""
        return await to_thread.run_sync(function, *args)

    def signed_in(self) -> Identity:
        """Return who asks, refusing anonymous requests."""
        if self.identity is None:
            raise unauthorized()
        return self.identity

    # -- what was sent ------------------------------------------------------------------------

    @functools.cached_property
    def query(self) -> dict[str, list[str]]:
        """The query's values, by name. ``expand[]`` is the same as ``expand``."""
        parsed = parse_qs(self.request.url.query, keep_blank_values=True)
        merged: dict[str, list[str]] = {}
        for name, values in parsed.items():
            plain = name[:-2] if name.endswith("[]") else name
            merged.setdefault(plain, []).extend(values)
        return merged

    def flag(self, name: str) -> bool:
        """Whether a query value says yes."""
        return self.query.get(name, [""])[-1].lower() in ("1", "true")

    def one(self, name: str) -> str | None:
        """Return a query value's last occurrence."""
        values = self.query.get(name)
        return values[-1] if values else None

    def position(self, name: str) -> int:
        """Return a query value that says where to go on; 0 when it is absent or says nothing."""
        text = self.one(name) or "0"
        return as_number(text) or 0

    def limit(self, default: int, most: int) -> int:
        """Return the ``limit`` that was asked for, within bounds."""
        text = self.one("limit")
        if text is None or text == "":
            return default
        if not text.isascii() or not text.isdigit() or not text.strip("0"):
            raise bad_request(f"limit has to be a positive number, not {text!r}.")
        return min(int(text), most) if len(text) < _LONGEST_NUMBER else most

    @functools.cached_property
    def json(self) -> dict[str, Any]:
        """The body, which has to be a JSON object."""
        try:
            value = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise bad_request("The body is not valid JSON.", code="InvalidJSON") from None
        if not isinstance(value, dict):
            raise bad_request("The body has to be a JSON object.", code="InvalidJSON")
        return value

    def spooled_body(self) -> Path:
        """Return the file that holds the body."""
        if self.spooled is None:
            raise AssertionError("The route was not added with body='spool'.")
        return self.spooled

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string from the body's JSON object."""
        value = self.json.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise bad_request(f"{name!r} has to be a string.")
        return value

    # -- what it is about ---------------------------------------------------------------------

    @property
    def repo_type(self) -> str:
        """The repository's type in the singular, from the path."""
        plural = self.params.get("T") or self.params.get("prefix", "").rstrip("/") or "models"
        return plural[:-1]

    def repo(self, access: Access = "read", *, content: bool = False) -> Repo:
        """Return the repository that the path names, if this access is allowed.

        Args:
            access: What for.
            content: Whether its files are wanted, which gating protects.

        Raises:
            HubError: It is absent, looks absent, or the right is missing; or a 307 to the name
                that a moved repository has now.
        """
        key: Key = (self.repo_type, self.params["ns"], self.params["name"])
        repo = self.hub.repos.get(key)
        moved = self.hub.repos.redirect(key) if repo is None else None
        if moved is not None:
            repo = check_repo(self.hub.repos.get(moved), self.identity, access)
            if self.request.method in ("GET", "HEAD"):
                raise HubError(
                    307, "This repository has moved.", headers={"Location": self._location(moved)}
                )
        repo = check_repo(repo, self.identity, access)
        if content:
            check_content(repo, self.identity)
        return repo

    def revision(self, git: GitSession, name: str | None = None) -> str:
        """Return the commit that the path's revision names.

        Raises:
            HubError: 404 with ``RevisionNotFound``.
        """
        wanted = name if name is not None else self.params.get("rev", "main")
        commit = git.resolve(wanted)
        if commit is None:
            raise revision_not_found(wanted)
        return commit

    def url(self, path: str) -> str:
        """Return an absolute URL of this Hub."""
        return f"{self.hub.endpoint}{path}"

    def next_page(self, **changes: str) -> dict[str, str]:
        """Return the ``Link`` header to this request's next page."""
        query = {
            **{name: values for name, values in self.query.items() if name not in changes},
            **{name: [value] for name, value in changes.items()},
        }
        raw_path = self.request.scope["raw_path"].decode("ascii").split("?", 1)[0]
        return {"Link": f'<{self.url(raw_path)}?{urlencode(query, doseq=True)}>; rel="next"'}

    def _location(self, key: Key) -> str:
        raw_path = self.request.scope["raw_path"].decode("ascii").split("?", 1)[0]
        old = f"/{quoted(self.params['ns'])}/{quoted(self.params['name'])}"
        location = raw_path.replace(old, f"/{key[1]}/{key[2]}", 1)
        query = self.request.url.query
        return f"{location}?{query}" if query else location
