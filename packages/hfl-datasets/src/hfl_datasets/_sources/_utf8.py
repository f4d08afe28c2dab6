"""Text that is no UTF-8: where it is, and what can be read of it."""

from __future__ import annotations

from typing import Optional, Tuple

from hfl_datasets._sources._blocks import Block
from hfl_datasets._sources._model import Place, Problem

__all__ = ["mended"]


def mended(block: Block, name: str) -> Tuple[bytes, Optional[Problem]]:
    """Find the first byte of a block that is no UTF-8.

    Args:
        block: A piece of a text.
        name: The file's name.

    Returns:
        The text with such bytes replaced by U+FFFD, and the problem; None where there is none.
    """
    if block.data.isascii():  # three times as fast as decoding
        return block.data, None
    try:
        block.data.decode("utf-8")
    except UnicodeDecodeError as error:
        start = block.data.rfind(b"\n", 0, error.start) + 1
        shown = block.data[max(start, error.start - 24) : error.start + 8]
        problem = Problem(
            "invalid-utf8",
            Place(name, "line", block.line + block.data.count(b"\n", 0, error.start)),
            f"Byte 0x{block.data[error.start]:02x} is no UTF-8 ({error.reason}).",
            "Pass encoding=…, such as 'latin-1' or 'cp1252', or write the file as UTF-8.",
            None,
            shown.decode("utf-8", "replace"),
        )
        return block.data.decode("utf-8", "replace").encode("utf-8"), problem
    return block.data, None
