"""Images that cannot be decoded."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Iterator, Tuple

import pyarrow as pa

from hfl_core import import_extra

__all__ = ["broken_images", "can_decode"]


def can_decode() -> bool:
    """Say whether images can be looked at; if not, that is logged once."""
    return _library() is not None


def _library() -> Any:
    return import_extra(
        "PIL.Image", feature="looking at images", extra="hfl-datasets[images]", required=False
    )


def broken_images(column: pa.Array) -> Iterator[Tuple[int, str]]:
    """Decode every image of a column.

    Args:
        column: Structures of bytes and path, as the `datasets` library stores images.

    Yields:
        The row and what is wrong, for each that cannot be decoded.
    """
    library = _library()
    for row, value in enumerate(column.to_pylist()):
        if value is None:
            continue
        data, path = value.get("bytes"), value.get("path")
        try:
            if data is None and path is None:
                yield row, "it has neither bytes nor a path"
                continue
            opened = io.BytesIO(data) if data is not None else Path(path).open("rb")  # noqa: SIM115
            with opened, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd metadata; what cannot be decoded raises
                with library.open(opened) as image:
                    image.load()
        except FileNotFoundError:
            yield row, f"there is no file {path!r}"
        except (
            Exception  # noqa: BLE001  # decoders raise whatever comes to mind
        ) as error:  # decoders raise whatever comes to mind  # decoders raise whatever comes to mind
            reason = " ".join(str(error).split())
            # Pillow names the buffer with its address, which says nothing to anybody.
            yield row, "it is no image, or damaged" if "BytesIO" in reason else reason
