"""Sections of a card's text that are generated: renewed later, unless somebody has edited them."""

from __future__ import annotations

import hashlib
import re

__all__ = ["marked", "renewed"]

_SECTION = re.compile(
    r"<!-- hfl:(?P<name>[a-z]+) (?P<digest>[0-9a-f]{12}) -->\n(?P<text>.*?)\n<!-- /hfl:(?P=name) -->",
    re.DOTALL,
)


def marked(name: str, text: str) -> str:
    """Mark a section as generated, with the digest of what is in it.

    Args:
        name: What it is about, in small letters.
        text: Its content.

    Example:
        >>> print(marked("usage", "Load it."))
        <!-- hfl:usage ebc977e64417 -->
        Load it.
        <!-- /hfl:usage -->
    """
    text = text.strip("\n")
    return f"<!-- hfl:{name} {_digest(text)} -->\n{text}\n<!-- /hfl:{name} -->"


def renewed(card: bytes, body: str) -> bytes:
    """Bring the generated sections of a card up to date.

    A section that people have edited stays as they left it, as does all text around the sections; one that
    they removed does not come back.

    Args:
        card: The README.md.
        body: The text as it would be generated today.

    Returns:
        The README.md with today's sections.
    """
    text = card.decode("utf-8")
    has_crlf = "\r\n" in text
    fresh = {found["name"]: found[0] for found in _SECTION.finditer(body)}

    def replace(found: re.Match[str]) -> str:
        is_ours = _digest(found["text"]) == found["digest"]
        return fresh.get(found["name"], found[0]) if is_ours else found[0]

    new = _SECTION.sub(replace, text.replace("\r\n", "\n"))
    return (new.replace("\n", "\r\n") if has_crlf else new).encode("utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
