"""What a safetensors file says about itself.

Source: the format's description in the README of the safetensors project: eight bytes with the
length of a JSON header, the header, the tensors.
"""

from __future__ import annotations

import json
from typing import IO, Any, Iterator

from hfl_repo._transfer._findings import Finding

__all__ = ["find_in_tensors", "tensor_metadata"]

_LONGEST_HEADER = 100_000_000  # the library refuses more
_SHOWN = 3


def find_in_tensors(path: str, file: IO[bytes], size: int) -> Iterator[Finding]:
    """Find tensors without elements, and files that end too early.

    Args:
        path: The file, as it is called in the upload.
        file: The file, at its start.
        size: Its size.

    Yields:
        What is wrong.
    """
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        yield Finding(path, "damaged", "it is no complete safetensors file")
        return
    try:
        header = json.loads(file.read(length))
        tensors = {name: item for name, item in header.items() if name != "__metadata__"}
        empty = sorted(name for name, item in tensors.items() if 0 in item["shape"])
        end = max((int(item["data_offsets"][1]) for item in tensors.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        yield Finding(path, "damaged", "its safetensors header cannot be read")
        return
    if 8 + length + end != size:
        yield Finding(
            path, "damaged", f"its tensors take {8 + length + end:,} bytes, and it has {size:,}"
        )
    if empty:
        yield Finding(path, "empty-tensor", f"tensors without elements: {_listed(empty)}")


def tensor_metadata(file: IO[bytes]) -> str:
    """Return what a safetensors file says besides its tensors, as JSON; empty if it says nothing.

    Args:
        file: The file, at its start.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST_HEADER:
        return ""
    try:
        said = json.loads(file.read(length))["__metadata__"]
    except (ValueError, TypeError, KeyError, RecursionError):  # `find_in_tensors` tells
        return ""
    return json.dumps(said, ensure_ascii=False)


def _listed(names: list[Any]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
