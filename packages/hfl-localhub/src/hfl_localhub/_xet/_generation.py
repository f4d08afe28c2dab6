"""A name for the store's content that changes when something was removed from it."""

from __future__ import annotations

import secrets
from pathlib import Path

from hfl_localhub._durable import write_bytes


class Generation:
    """Keeps the name in a file, so that it outlives the process.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.current = path.read_text(encoding="ascii")
        except FileNotFoundError:
            self.advance()

    def advance(self) -> None:
        """Take a new name."""
        name = secrets.token_hex(8)
        write_bytes(self._path, name.encode())
        self.current = name
