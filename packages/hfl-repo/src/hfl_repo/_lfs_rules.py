"""`.gitattributes`: which files the Hub keeps as large files (git-lfs), and lines to add."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterable, Iterator, Pattern

from hfl_core.errors import ValidationError

__all__ = ["LfsRules", "with_rules"]

_SUFFIX = "filter=lfs diff=lfs merge=lfs -text"
_BLANK = "[[:space:]]"  # how git-lfs itself writes a blank in a pattern
# Text, which belongs into git whatever its size: the Hub decides by size where no rule matches.
_TEXT = frozenset(
    [
        "json",
        "jsonl",
        "txt",
        "md",
        "py",
        "yaml",
        "yml",
        "toml",
        "cfg",
        "ini",
        "csv",
        "tsv",
        "html",
        "xml",
        "rst",
        "sh",
        "ipynb",
        "js",
        "ts",
        "css",
    ]
)


class LfsRules:
    """The rules of a `.gitattributes` file.

    Args:
        content: The file; empty for none.

    Example:
        >>> rules = LfsRules("*.bin filter=lfs diff=lfs merge=lfs -text")
        >>> rules.covers("weights/model.bin"), rules.covers("README.md")
        (True, False)
    """

    def __init__(self, content: str) -> None:
        self._rules = list(_parse(content))

    def covers(self, path: str) -> bool:
        """Say whether the last rule that is about a file makes it a large one."""
        decided = False
        for pattern, is_lfs in self._rules:
            if _regex(pattern).fullmatch(path if "/" in pattern else path.rpartition("/")[2]):
                decided = is_lfs
        return decided

    def has(self, pattern: str) -> bool:
        """Say whether there is a rule of this very pattern that makes files large ones."""
        return (pattern, True) in self._rules

    def missing(self, patterns: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
        """Return the patterns to add so that the patterns and all files are covered.

        Args:
            patterns: Patterns that have to be there as they are.
            files: Paths that have to be covered somehow; binary kinds get a rule for their ending,
                text (``.json``, ``.csv``) and files without an ending one of their own.

        Returns:
            The patterns that are missing, in order.

        Raises:
            ValidationError: A pattern or path makes no sense.
        """
        added: list[str] = []
        for pattern in patterns:
            checked = _checked(pattern)
            if not self.has(checked) and checked not in added:
                added.append(checked)
        for path in files:
            _checked(path)
            if not self.covers(path) and not any(_covers(pattern, path) for pattern in added):
                added.append(_rule_for(path))
        return tuple(added)


def with_rules(content: bytes, patterns: Iterable[str]) -> bytes:
    """Add rules at the end of a `.gitattributes` file; what is there stays byte for byte.

    Args:
        content: The file; empty for none.
        patterns: The patterns to add.

    Returns:
        The new file.
    """
    lines = [f"{pattern.replace(' ', _BLANK)} {_SUFFIX}" for pattern in patterns]
    if not lines:
        return content
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    gap = newline if content and not content.endswith(b"\n") else b""
    return content + gap + b"".join(line.encode("utf-8") + newline for line in lines)


def _parse(content: str) -> Iterator[tuple[str, bool]]:
    for line in content.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        pattern = words[0].replace(_BLANK, " ")
        for word in words[1:]:
            if word == "filter=lfs":
                yield pattern, True
            elif word in {"-filter", "!filter"} or word.startswith("filter="):
                yield pattern, False


def _covers(pattern: str, path: str) -> bool:
    name = path if "/" in pattern else path.rpartition("/")[2]
    return _regex(pattern).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> Pattern[str]:
    """Translate a pattern of git: ``*`` and ``?`` stop at a slash, ``**`` does not."""
    text = pattern[1:] if pattern.startswith("/") else pattern
    parts, position = [], 0
    while position < len(text):
        if text.startswith("**/", position):
            parts.append("(?:.*/)?")
            position += 3
            continue
        if text.startswith("**", position):
            parts.append(".*")
            position += 2
            continue
        char = text[position]
        end = text.find("]", position + 2) if char == "[" else -1
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "\\" and position + 1 < len(text):
            position += 1
            parts.append(re.escape(text[position]))
        elif end > 0:
            inner = text[position + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[{'^' + inner[1:] if inner[:1] in ('!', '^') else inner}]")
            position = end
        else:
            parts.append(re.escape(char))
        position += 1
    return re.compile("".join(parts), re.DOTALL)


def _rule_for(path: str) -> str:
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    if dot and stem and ending.isalnum() and ending.lower() not in _TEXT:
        return f"*.{ending}"
    # In brackets, and not behind a backslash, which not every matcher takes for what git does.
    return re.sub(r"([*?\[])", r"[\1]", path.replace("\\", "\\\\"))


def _checked(pattern: str) -> str:
    problem = None
    if not pattern or not pattern.strip():
        problem = "it is empty"
    elif pattern.startswith(("#", "!", '"', "[attr]")):
        problem = f"git means something else by {pattern[0]!r} at its start"
    elif not pattern.isprintable():
        problem = "it has a character that cannot be seen"
    if problem is not None:
        raise ValidationError(
            f"{pattern!r} is not a pattern for .gitattributes: {problem}.",
            hint="As in '*.safetensors' or 'data/*.bin'.",
        )
    return pattern
