"""Parts of a card's text that are written here, between marks; all other text belongs to people.

A mark carries the digest of what was written. Where the text between two marks is another one, somebody
edited it, and it stays.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Mapping, Sequence

from hfl_core import new_digest

__all__ = ["MergedText", "merge_sections"]

_SECTION = re.compile(
    r"<!-- hfl:(?P<name>[a-z-]+) (?P<digest>[0-9a-f]{16}) -->\r?\n(?P<text>.*?)<!-- /hfl:(?P=name) -->",
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class MergedText:
    """A card's text with its sections as they are to be.

    Attributes:
        text: The text.
        kept: Sections that stay as somebody edited them, or away as somebody took them out.
    """

    text: str
    kept: tuple[str, ...]


def merge_sections(
    body: str, sections: Mapping[str, str], *, written: Sequence[str] = ()
) -> MergedText:
    """Bring sections of a text up to date and leave every other byte as it is.

    Args:
        body: The text that is there.
        sections: Name to new text. An empty text stands for a section that is not needed.
        written: Names that were written before: one that is not there any more was taken out.

    Returns:
        The text. Sections that are new go to its end.

    Example:
        >>> text = merge_sections("# Digits", {"schema": "| x |"}).text
        >>> [line for line in text.splitlines() if "x" in line]
        ['| x |']
        >>> edited = text.replace("| x |", "| x | by hand |")
        >>> merge_sections(edited, {"schema": "| y |"}).kept
        ('schema',)
    """
    newline = "\r\n" if "\r\n" in body else "\n"
    found = {match["name"]: match for match in _SECTION.finditer(body)}
    kept = []
    replaced = {}
    appended = []
    for name, text in sections.items():
        match = found.get(name)
        if match is not None:
            if _digest(match["text"]) != match["digest"]:
                kept.append(name)
            else:
                replaced[name] = _marked(name, text, newline)
        elif name in written:
            kept.append(name)
        elif text:
            appended.append(_marked(name, text, newline))

    def replacement(match: re.Match[str]) -> str:
        return replaced.get(match["name"], match[0])

    result = _SECTION.sub(replacement, body)
    for section in appended:
        gap = "" if not result or result.endswith(newline * 2) else newline
        gap = gap if result.endswith(newline) or not result else newline + gap
        result = f"{result}{gap}{section}{newline}"
    return MergedText(result, tuple(kept))


def _marked(name: str, text: str, newline: str) -> str:
    lines = newline.join(text.splitlines())
    inner = f"{lines}{newline}" if lines else ""
    return f"<!-- hfl:{name} {_digest(inner)} -->{newline}{inner}<!-- /hfl:{name} -->"


def _digest(text: str) -> str:
    # Line ends are the editor's, not the writer's.
    digest = new_digest()
    digest.update(text.replace("\r\n", "\n").encode())
    return digest.hexdigest()[:16]
