"""What the terminal can show, and what the user wants it to show."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

_PART = 8192


def use_color(stream: TextIO) -> bool:
    """Say whether colour may be written to a stream.

    `NO_COLOR` wins over everything, then the setting `color`, then whether it is a terminal.

    Args:
        stream: Where the text will go.

    Returns:
        True if escape codes are welcome there.

    Example:
        >>> import io
        >>> use_color(io.StringIO())
        False
    """
    if os.environ.get("NO_COLOR"):
        return False
    wish = _wish()
    if wish == "auto":
        return is_terminal(stream) and os.environ.get("TERM") != "dumb"
    return wish == "always"


def is_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at a stream; a closed one has nobody who does."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def console(stream: TextIO) -> Any:
    """Return a rich console that writes to a stream, with colour only where it is welcome."""
    from rich.console import Console

    if use_color(stream):
        return Console(file=stream, force_terminal=True, highlight=False)
    return Console(file=stream, color_system=None, highlight=False)


def echo(text: str, stream: TextIO | None = None) -> None:
    """Write one line to stdout, or to another stream."""
    target = sys.stdout if stream is None else stream
    line = f"{text}\n"
    # CPython reports success for one large write of which only a part reached a pipe whose reader
    # left; the write after it fails. So a long text goes out in parts.
    for start in range(0, len(line), _PART):
        target.write(line[start : start + _PART])
        target.flush()


def _wish() -> str:
    from hfl_core._settings_files import load_settings
    from hfl_core.errors import ConfigError

    try:
        return load_settings().color
    except ConfigError:
        return "auto"  # the command that needs the settings reports what is wrong with them
