"""A token as people paste it: brought into shape, shown without giving it away, recognised again."""

from __future__ import annotations

import hashlib
import re

from hfl_auth.errors import MalformedTokenError

# Invisible characters that come along when text is copied from a web page or a chat.
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
# The last two are what a word processor makes of the first two.
_QUOTES = (
    ("'", "'"),
    ('"', '"'),
    ("`", "`"),
    ("<", ">"),
    ("\u201c", "\u201d"),
    ("\u2018", "\u2019"),
)
_ASSIGNMENT = re.compile(
    r"(?:(?:export|set|setx|let)\s+)?(?:\$env:)?[A-Za-z][A-Za-z0-9_]*_TOKEN\s*[=:]\s*",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?:--(?:hf-)?token|--header|-H)(?:\s+|=|$)", re.IGNORECASE)
_HEADER = re.compile(r"(?:authorization\s*:\s*)?bearer(?:\s+|$)", re.IGNORECASE)
_BARE_HEADER = re.compile(r"authorization\s*:\s*", re.IGNORECASE)
_MASKED = re.compile(r"\*{3,}|•|…|\.{3,}")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|%[A-Za-z_][A-Za-z0-9_]*%")
_MASK_FROM = 16
_LONGEST = 8192  # a CI job's identity has some 2,000; servers refuse longer headers


def clean_token(text: str, *, source: str = "the input") -> str:
    r"""Bring a pasted token into shape, or say why it is none.

    Spaces, line breaks and quotes around it are dropped, and so is what comes along when a whole
    line is copied: ``Bearer …``, ``Authorization: …``, ``export HF_TOKEN=…``, ``--token …``.

    Args:
        text: What was pasted.
        source: Where it came from, as a person would name it; for the error.

    Returns:
        The token alone.

    Raises:
        MalformedTokenError: It is no token. The reason is named, what was pasted is not.

    Example:
        >>> clean_token(' export HF_TOKEN="abc123"\n')
        'abc123'
    """
    token = text.translate(_INVISIBLE).strip()
    before = None
    while token != before:
        before = token
        token = _unwrapped(token)
    reason = _reason_against(token)
    if reason is not None:
        raise MalformedTokenError(source, reason=reason)
    return token


def mask_token(token: str) -> str:
    """Show enough of a token to recognise it, and too little to use it.

    Args:
        token: A token.

    Returns:
        Its first six and last four characters; of a short one, only that it is there.

    Example:
        >>> mask_token("hf_abcdefghijklmnopqrstuvwxyz")
        'hf_abc…wxyz'
    """
    return f"{token[:6]}…{token[-4:]}" if len(token) >= _MASK_FROM else "…"


def fingerprint(token: str) -> str:
    """Return what a token is recognised by where the token itself must not be written."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _unwrapped(token: str) -> str:
    for pattern in (_ASSIGNMENT, _OPTION, _HEADER, _BARE_HEADER):
        match = pattern.match(token)
        if match:
            return token[match.end() :].strip()
    for opening, closing in _QUOTES:
        if len(token) >= 2 and token[0] == opening and token[-1] == closing:
            return token[1:-1].strip()
    return token.rstrip(";,") if token.endswith((";", ",")) else token


def _reason_against(token: str) -> str | None:
    if not token:
        return "nothing is left of it without spaces and quotes"
    return _reason_as_a_whole(token) or _reason_in_characters(token)


def _reason_as_a_whole(token: str) -> str | None:
    if len(token) > _LONGEST:
        return f"it is far too long for one ({len(token):,} characters)"
    if _VARIABLE.fullmatch(token):
        return "it is the name of a variable, which the shell has not filled in"
    if "://" in token:
        return "it is an address; paste the token alone, without https://…@"
    return None


def _reason_in_characters(token: str) -> str | None:
    if "\n" in token or "\r" in token:
        return "it has a line break in the middle; paste one line"
    if any(character.isspace() for character in token):
        return "it has a space in the middle"
    if _MASKED.search(token):
        return "it is masked; the whole token is shown only once, when it is made"
    if not token.isascii() or not token.isprintable():
        return "it has a character that no token has"
    if any(character in "\"'`<>=\\" for character in token.rstrip("=")):
        return "it has a quote or another character that no token has"
    return None
