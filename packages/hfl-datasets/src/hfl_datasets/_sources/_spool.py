"""Files for readers that need a real one: what is compressed is unpacked into a temporary file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

from hfl_datasets._sources._bytes import DAMAGED, SourcePath, damaged

__all__ = ["local_file"]


@contextlib.contextmanager
def local_file(path: SourcePath) -> Iterator[str]:
    """Give the path of a plain file with what is inside.

    Args:
        path: The file, or member of an archive.

    Yields:
        Its own path if it is plain; else that of a copy that lives as long as the context.

    Raises:
        UnreadableDataError: It cannot be unpacked.
    """
    if path.is_plain:
        yield str(path.path)
        return
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        target = Path(folder, "data")
        try:
            with path.open() as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1024 * 1024)
        except DAMAGED as error:
            raise damaged(path.name, error) from error
        yield str(target)
