"""Which paths a list of patterns means; the patterns are written as in a ``.gitignore``.

Source: gitignore(5), "PATTERN FORMAT".
"""

from __future__ import annotations

import re
from typing import Pattern, Sequence

from hfl_core.errors import ConfigError

__all__ = ["PathFilter", "Patterns", "as_patterns"]


class Patterns:
    """A list of patterns, of which the last one that matches decides.

    Args:
        patterns: As in a ``.gitignore``: ``*.bin``, ``/logs/``, ``**/cache``, ``!keep.bin``.

    Example:
        >>> patterns = Patterns(["*.tmp", "/logs/", "!kept.tmp"])
        >>> [patterns.match(path) for path in ("a/b.tmp", "logs/x", "a/logs/x", "kept.tmp")]
        [True, True, False, False]
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules: list[tuple[bool, Pattern[str]]] = []
        for text in patterns:
            line = text.rstrip("\r\n")
            if not line.strip() or line.startswith("#"):
                continue
            is_negated = line.startswith("!")
            try:
                rule = re.compile(_regex(line[1:] if is_negated else line))
            except re.error as error:
                raise ConfigError(f"{text!r} is not a pattern for paths: {error}.") from error
            self._rules.append((not is_negated, rule))

    def match(self, path: str) -> bool:
        """Say whether a file is meant, itself or by one of its folders.

        Args:
            path: Its path with ``/``, relative to the folder.
        """
        for is_meant, rule in reversed(self._rules):
            if rule.fullmatch(path):
                return is_meant
        return False


class PathFilter:
    """What is taken: what `include` means, without what `exclude` means.

    Args:
        include: Patterns; None for everything.
        exclude: Patterns.
    """

    def __init__(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> None:
        self._include = None if include is None else Patterns(include)
        self._exclude = Patterns(exclude or ())

    def takes(self, path: str) -> bool:
        """Say whether a file is taken."""
        is_included = self._include is None or self._include.match(path)
        return is_included and not self._exclude.match(path)


def as_patterns(value: str | Sequence[str] | None, name: str) -> tuple[str, ...] | None:
    """Accept one pattern or several.

    Args:
        value: What was given.
        name: The argument's name, for the error.

    Raises:
        ConfigError: It is neither a text nor a list of texts.
    """
    if value is None:
        return None
    items = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(item, str) for item in items):
        raise ConfigError(f"{name} is a pattern or a list of them, not {value!r}.")
    return items


def _regex(pattern: str) -> str:
    pattern = re.sub(r"(?<!\\) +$", "", pattern)
    is_folder = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    is_anchored = "/" in pattern
    body = _translated(pattern.lstrip("/"))
    start = "" if is_anchored else "(?:.*/)?"
    return f"{start}{body}/.+" if is_folder else f"{start}{body}(?:/.+)?"


def _translated(pattern: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        special = _SPECIAL.match(rest)
        if special is None:
            parts.append(re.escape(pattern[position]))
            position += 1
            continue
        parts.append(_MEANING.get(special.group()) or _one_of(special.group()))
        position += special.end()
    return "".join(parts)


_SPECIAL = re.compile(r"\*\*/|/\*\*(?=$)|/\*\*/|\*+|\?|\[[!^]?\]?[^\]]*\]|\\.")
_MEANING = {
    "**/": "(?:.*/)?",
    "/**": "/.+",
    "/**/": "/(?:.*/)?",
    "*": "[^/]*",
    "?": "[^/]",
}


def _one_of(token: str) -> str:
    if token.startswith("\\"):
        return re.escape(token[1:])
    if token.startswith("*"):  # more than one star inside a name is one star
        return "[^/]*"
    inner = token[1:-1].replace("\\", "\\\\")
    return f"[^{inner[1:]}]" if inner[:1] in ("!", "^") else f"[{inner}]"
