"""A card's text, cut into the metadata block and the rest without losing a byte."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import yaml

from hfl_repo._card import _yaml

__all__ = ["CardText", "UnreadableCardError"]

_BLOCK = re.compile(
    r"\A(?P<before>\s*---[ \t]*\r?\n)(?P<block>.*?)(?P<after>^---[ \t]*(?:\r?\n|\Z))",
    re.DOTALL | re.MULTILINE,
)
_BOM = "\ufeff"
_LARGEST = 1024 * 1024


class UnreadableCardError(ValueError):
    """The metadata cannot be read, so it cannot be edited either. The text says why."""


@dataclasses.dataclass(frozen=True)
class CardText:
    """The pieces of a card; joined, they are the file.

    Attributes:
        before: What comes before the metadata: a byte order mark, blank lines and ``---``.
        block: The lines of the metadata.
        after: The closing ``---``.
        body: The text for people.
        newline: How lines end.
    """

    before: str
    block: str
    after: str
    body: str
    newline: str = "\n"

    @classmethod
    def parse(cls, data: bytes) -> CardText:
        """Cut a file into pieces.

        Raises:
            UnreadableCardError: It is not UTF-8, or its metadata is no YAML.
        """
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableCardError("README.md is not UTF-8") from error
        mark, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
        first_line = text.partition("\n")[0]
        newline = "\r\n" if first_line.endswith("\r") else "\n"
        found = _BLOCK.match(text)
        if found is None or not _is_metadata(found["block"]):
            return cls(mark, "", "", text, newline)
        return cls(
            mark + found["before"], found["block"], found["after"], text[found.end() :], newline
        )

    @property
    def has_block(self) -> bool:
        """Whether there is a metadata block."""
        return bool(self.after)

    @property
    def data(self) -> dict[str, Any]:
        """What the metadata says."""
        found = _yaml.read(self.block) if self.block.strip() else None
        return {str(key): value for key, value in (found or {}).items()}

    def with_block(self, block: str) -> CardText:
        """Return the card with other metadata; one without a block gets one."""
        if self.has_block:
            return dataclasses.replace(self, block=block)
        fence = f"---{self.newline}"
        gap = self.newline if self.body and not self.body.startswith(("\n", "\r\n")) else ""
        return CardText(self.before + fence, block, fence, gap + self.body, self.newline)

    def encode(self) -> bytes:
        """Return the file."""
        return (self.before + self.block + self.after + self.body).encode("utf-8")


def _is_metadata(block: str) -> bool:
    """Say whether what stands between two rules is metadata, and not text for people.

    Raises:
        UnreadableCardError: It means to be metadata and is broken.
    """
    if len(block) > _LARGEST:
        raise UnreadableCardError("its metadata is larger than 1 MiB")
    try:
        found = _yaml.read(block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableCardError(f"its metadata is no YAML ({_place(error)})") from error
    return found is None or isinstance(found, dict)


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"{problem}, line {mark.line + 2}" if mark is not None else str(problem)
