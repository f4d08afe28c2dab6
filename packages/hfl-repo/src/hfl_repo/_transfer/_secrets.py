"""Secrets in bytes: tokens by their shape, and values that stand under a secret's name.

`redact` of hfl-core decides what is a secret; here it is found fast and where people can look.
It is too slow for weights, and so is a search for each of the shapes (20 MB/s for two dozen of
them). But all shapes are at least 18 characters long without a space, and such a run is rare in
binary data: every third byte, of which six in a row belong to a token's characters, finds all of
them at about 1 GB/s on one core. In texts, where letters are everywhere, every byte is looked at.
"""

from __future__ import annotations

import re
import string
from typing import Iterator, NamedTuple

from hfl_core import redact

__all__ = ["Hit", "find_assigned", "find_secrets"]


class Hit(NamedTuple):
    """A secret.

    Attributes:
        position: Its first byte, about.
        text: Its surroundings, with the secret masked.
    """

    position: int
    text: str


_MASK = "***"
_SHORTEST, _STEP = 18, 3
_TOKEN_CHARACTERS = (string.ascii_letters + string.digits + "_.-:/@").encode()
_IS_TOKEN = bytes(byte in _TOKEN_CHARACTERS for byte in range(256))
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_AROUND = 400
# One for each shape that `redact` knows; what matches is then judged by it.
_SHAPES = re.compile(
    rb"(?:hf_|api_org_|gh[opsur]_|github_pat_|glpat-|A[KSBC][IC]A|AIza|xox[abeoprs]-"
    rb"|pypi[-_]|npm[-_]|eyJ|sk-)[A-Za-z0-9_-]{8}"
    rb"|://[^\s/@:\"']*:[^\s/\"'@]+@|://[A-Za-z0-9_.-]{8,}@"
)
_WORDS = re.compile(rb"(?<![A-Za-z0-9_])(?:" + _SHAPES.pattern + rb")")
_LONG = (b"PRIVATE KEY-----", b"hooks.slack.com/", b"/api/webhooks/")
# In binary data a search for each costs as much as all the rest; addresses are long runs, too.
_IN_BINARY = re.compile(_SHAPES.pattern + rb"|hooks\.slack\.com/|/api/webhooks/")
_LONG_IN_BINARY = _LONG[:1]
# These may stand before a short secret, or one with a space in front of it; in texts only.
_SPOKEN = (b"bearer ", b"basic ", b"authorization", b"://")
_NAMES = re.compile(
    r"(?i)(?:token|secret|passw(?:or)?d|passphrase|pwd|api_?-?key|apikey|credentials?"
    r"|(?:access|private|encryption|signing|auth|account|storage|master)_?key|connection_?string)"
    r"[\\\"'\]]*\s{0,8}(?::=|=>|[:=])"
)
_INDEX = re.compile(r"([\"'])\]")  # environ["NAME"] = "value" says the same as NAME = "value"
_PLACEHOLDER = re.compile(
    r"(?i)x{3,}|\.{3}|…|<|your|example|placeholder|dummy|changeme|redacted|\*{3}|todo"
    r"|^(?:user(?:name)?|pass(?:word|wd)?|token|secret|key|none|null|true|false|string|str)$"
)
_SCRIPT = re.compile(r"[(){}\[\]$<>|&]|^(?:os|self|args|config|cfg|settings|env|process)\.")


def find_secrets(data: bytes) -> Iterator[Hit]:
    """Find tokens, keys and passwords in addresses by their shape, in data of any kind.

    Args:
        data: The data.

    Yields:
        One hit for each place.
    """
    seen: set[tuple[int, int]] = set()
    is_text = _is_text(data)
    for start, end in _candidates(data, is_text=is_text):
        line = _line(data, start, end)
        if line in seen:
            continue
        hit = _judged(data[slice(*line)].decode("utf-8", "replace"), start)
        if hit is None and not is_text and line[0] < start:
            # In binary data what stands before a text may look like a letter of it: its length does.
            hit = _judged(data[start : line[1]].decode("utf-8", "replace"), start)
        if hit is not None:
            seen.add(line)
            yield hit


def find_assigned(text: str) -> Iterator[Hit]:
    """Find secrets in a configuration or a program by the name that they stand under.

    Args:
        text: The text.

    Yields:
        One hit for each place; positions are characters.
    """
    last = -1
    for name in _NAMES.finditer(text):
        if name.start() <= last:
            continue
        start = max(text.rfind("\n", 0, name.start()) + 1, name.start() - 80)
        end = text.find("\n", name.end())
        end = min(len(text) if end < 0 else end, name.end() + _AROUND)
        line = _INDEX.sub(r"\1", text[start:end])
        hit = _judged(line, name.start(), is_assigned=True)
        if hit is not None:
            last = end
            yield hit


def _candidates(data: bytes, *, is_text: bool) -> Iterator[tuple[int, int]]:
    for needle in _LONG if is_text else _LONG_IN_BINARY:
        position = data.find(needle)
        while position >= 0:
            yield position, position + len(needle)
            position = data.find(needle, position + len(needle))
    shapes, step = (_WORDS, 1) if is_text else (_IN_BINARY, _STEP)
    for start, end in _runs(data, step):
        for found in shapes.finditer(data, start, end):
            yield found.span()
    if not is_text:
        return
    small = data.lower()
    for needle in _SPOKEN:
        position = small.find(needle)
        while position >= 0:
            yield position, position + len(needle)
            position = small.find(needle, position + len(needle))


def _runs(data: bytes, step: int) -> Iterator[tuple[int, int]]:
    """Find stretches of a token's characters."""
    sampled = data[::step].translate(_IS_TOKEN)
    wanted = b"\x01" * (_SHORTEST // step)
    position = sampled.find(wanted)
    while position >= 0:
        stop = sampled.find(b"\x00", position)
        stop = len(sampled) if stop < 0 else stop
        yield max(0, (position - 1) * step), min(len(data), (stop + 1) * step)
        position = sampled.find(wanted, stop)


def _is_text(data: bytes) -> bool:
    sample = data[:: max(1, len(data) // 4096)]
    return len(sample.translate(None, _PRINTABLE)) < len(sample) * 0.3


def _line(data: bytes, start: int, end: int) -> tuple[int, int]:
    first, last = start, end
    lowest, highest = max(0, start - _AROUND), min(len(data), end + _AROUND)
    while first > lowest and 0x20 <= data[first - 1] < 0x7F:
        first -= 1
    while last < highest and 0x20 <= data[last] < 0x7F:
        last += 1
    return first, last


def _judged(line: str, position: int, *, is_assigned: bool = False) -> Hit | None:
    masked = redact(line)
    mark = masked.find(_MASK)
    if mark < 0 or masked == line:
        return None
    value = _taken_out(line, masked)
    if _PLACEHOLDER.search(value.strip("\"'@ ").rpartition(":")[2]) or (
        is_assigned and not _is_literal(value, line)
    ):
        return None
    start = max(0, mark - 32)
    return Hit(position, masked[start : mark + len(_MASK)].strip())


def _taken_out(line: str, masked: str) -> str:
    """Return what stood where the first mask is."""
    start = masked.find(_MASK)
    rest = masked[start + len(_MASK) :]
    if _MASK in rest:
        rest = rest[: rest.find(_MASK)]
    end = line.find(rest[:16], start + 1) if rest else len(line)
    return line[start : end if end > start else len(line)]


def _is_literal(value: str, line: str) -> bool:
    """Tell a value from a program's expression and from a number."""
    inner = value.strip("\"'\\ ")
    if len(inner) < 6 or _SCRIPT.search(inner) or inner.replace(".", "").isdigit():
        return False
    is_quoted = f'"{inner}' in line or f"'{inner}" in line
    has_both = any(c.isdigit() for c in inner) and any(c.isalpha() for c in inner)
    return " " not in inner and (is_quoted or (has_both and len(inner) >= 8))
