"""Paths of this machine: what may be one, and what may stand there."""

from __future__ import annotations

import os
from typing import Any

from hfl_core import ConfigError


def require_local(path: Any) -> str:
    """Return a path as text, unless it is one of another file system.

    Raises:
        ConfigError: It is on another one (``s3://…``).
    """
    text = str(os.fspath(path))
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "file":
        raise ConfigError(
            f"{text!r} is not on a local file system, and a checkpoint is committed by renaming a directory.",
            hint="Pass a local directory, and hub='me/digits' to have it elsewhere as well.",
        )
    return rest if separator else text
