"""What the Hub answered, without the HTTP library that brought it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Mapping

from hfl_core.errors import NetworkError

__all__ = ["Answer"]

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')


@dataclasses.dataclass(frozen=True)
class Answer:
    """A response whose body has been read.

    Attributes:
        status: The HTTP status.
        headers: The headers, by lower-case name.
        body: The body.
    """

    status: int
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)

    @classmethod
    def of(cls, response: Any) -> Answer:
        """Take over a response of requests, httpx or httpx2."""
        headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
        return cls(int(response.status_code), headers, bytes(response.content))

    def json(self) -> Any:
        """Parse the body.

        Raises:
            NetworkError: It is no JSON: something else than a Hub answered.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NetworkError(
                f"The answer (status {self.status}) is not what a Hub sends.",
                hint="Check the endpoint; a proxy or a login page may have answered instead.",
            ) from error

    @property
    def next_page(self) -> str | None:
        """The address of the next page of a list, if there is one."""
        found = _NEXT.search(self.headers.get("link", ""))
        return found[1] if found else None

    @property
    def error_text(self) -> str:
        """What the Hub says is wrong, in its own words; empty when it says nothing readable."""
        texts: list[Any] = [self.headers.get("x-error-message", "")]
        try:
            data = json.loads(self.body)
        except ValueError:
            data = {}
        if isinstance(data, dict):
            error = data.get("error")
            texts += error if isinstance(error, list) else [error]
            errors = data.get("errors")
            for item in errors if isinstance(errors, list) else []:
                texts.append(item.get("message") if isinstance(item, dict) else item)
        unique = dict.fromkeys(text.strip() for text in texts if isinstance(text, str))
        return "; ".join(text for text in unique if text)
