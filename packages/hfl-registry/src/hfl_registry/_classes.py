"""Where a class is defined, for messages."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

__all__ = ["place_of"]


def place_of(cls: Any) -> str:
    """Name the file and the line that define a class, without the folder."""
    try:
        path = inspect.getsourcefile(cls)
        line = inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):  # typed into a prompt
        return f"{cls.__module__}.{cls.__qualname__}"
    return f"{Path(path or '').name}:{line}"
