"""Paths of this machine in configurations and cards, where they tell who works here and help nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator

__all__ = ["find_absolute_paths", "find_home_paths"]

_END = r"[^/\\\s\"'<>:;,()\[\]{}|]+"
_HOMES = re.compile(
    rf"(?<![\w.~-])(?:/home|/Users)/(?P<user>{_END})|(?<![A-Za-z0-9])[A-Za-z]:[\\/]{{1,2}}Users[\\/]{{1,2}}(?P<name>{_END})"
)
# In instructions for others, these stand for whoever reads them.
_ANYBODY = {"user", "username", "you", "me", "your-name", "your_name", "name", "shared", "..."}
_NAMED_PATH = re.compile(
    r"[\"']?(?P<name>[\w.-]*(?:name_or_path|_path|_dir|_file|_folder|directory))[\"']?\s*[:=]\s*"
    r"[\"']?(?P<path>/[^\s\"',]+|[A-Za-z]:\\\\?[^\s\"',]+)"
)
_QUOTED = re.compile(r"[\"'](?P<path>/[^\s\"'*?<>|{}]+/[^\s\"'*?<>|{}]+)[\"']")
_COMMON = ("/usr/", "/bin/", "/etc/", "/dev/", "/proc/", "/sys/", "/lib/", "/opt/conda/", "//")


def find_home_paths(text: str) -> Iterator[tuple[int, str]]:
    """Find home folders.

    Args:
        text: A configuration or a card.

    Yields:
        Where, and what it is without naming anybody.
    """
    for found in _HOMES.finditer(text):
        user = found.group("user") or found.group("name") or ""
        if user.lower() not in _ANYBODY:
            yield found.start(), "a path in somebody's home folder"
    try:
        own = str(Path.home())
    except (KeyError, RuntimeError):  # this user has none; Python 3.8 says so with a KeyError
        return
    if len(Path(own).parts) < 2 or _HOMES.match(own):
        return
    for found in re.finditer(rf"(?<![\w.~/-]){re.escape(own)}(?=[/\\\s\"']|$)", text):
        yield found.start(), "a path in the home folder"


def find_absolute_paths(text: str) -> Iterator[tuple[int, str]]:
    """Find absolute paths that mean something on this machine only.

    Args:
        text: A configuration.

    Yields:
        Where, and what it is.
    """
    for found in _NAMED_PATH.finditer(text):
        if not found["path"].startswith(_COMMON) and not _HOMES.match(found["path"]):
            yield found.start(), f"{found['name']} is a path of this machine"
    for found in _QUOTED.finditer(text):
        path = found["path"]
        if path.startswith(_COMMON) or _HOMES.match(path):
            continue
        if os.path.exists(path):  # noqa: PTH110  # a text out of a file may be no path at all
            yield found.start(), "a path of this machine"
