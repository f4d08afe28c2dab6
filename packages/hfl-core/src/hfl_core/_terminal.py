"""What the terminal can show, and what the user wants it to show."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

from hfl_core.errors import DiskSpaceError, HflError

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


def echo(text: str) -> None:
    """Write one line of data to stdout.

    Raises:
        DiskSpaceError: What is behind stdout takes no more.
        HflError: stdout is closed, so that the data would be lost.
    """
    if sys.stdout is None:
        raise HflError(
            "The results have nowhere to go: the standard output is closed.",
            hint="Leave out >&-, or send them to a file or to /dev/null.",
        )
    try:
        _write(text, sys.stdout)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise DiskSpaceError(
                f"The results could not be written: {os.strerror(error.errno)}.",
                hint="Free some space, or send them elsewhere.",
            ) from error
        raise


def say(text: str) -> None:
    """Write one line of talk to stderr; where nobody can hear it, it is left out."""
    if sys.stderr is not None:
        _write(text, sys.stderr)


def _write(text: str, target: TextIO) -> None:
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
