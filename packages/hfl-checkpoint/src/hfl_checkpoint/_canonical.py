"""JSON files that protect themselves: canonical form, own digest, format number."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Dict

from hfl_checkpoint.errors import CheckpointDamagedError, UnsupportedFormatError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


def dump(document: Dict[str, Any]) -> bytes:
    """Write a document with the digest of its canonical form inside."""
    signed = {**document, "self_digest": _digest(document)}
    return (json.dumps(signed, indent=1, allow_nan=False) + "\n").encode()


def load(path: Path) -> Dict[str, Any]:
    """Read a document that `dump` wrote.

    Args:
        path: The file.

    Returns:
        The document, without its digest.

    Raises:
        FileNotFoundError: There is no such file.
        UnsupportedFormatError: It was written in a newer format.
        CheckpointDamagedError: It is not JSON, or not what was written.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise CheckpointDamagedError(path.parent.name, [f"{path.name} is not a file"])
    return parse(path.read_bytes(), path)


def parse(data: bytes, path: Path) -> Dict[str, Any]:
    """Like `load`, for the content of a file.

    Args:
        data: The content.
        path: The file, for messages.
    """
    name = path.parent.name
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointDamagedError(name, [f"{path.name} is not valid JSON ({error})"]) from error
    if not isinstance(document, dict):
        raise CheckpointDamagedError(name, [f"{path.name} is not a JSON object"])
    found = document.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise UnsupportedFormatError(str(path), found=found, supported=FORMAT)
    expected = document.pop("self_digest", None)
    try:
        is_intact = expected == _digest(document)
    except (ValueError, RecursionError):  # NaN, for one, which is never written
        is_intact = False
    if not is_intact:
        raise CheckpointDamagedError(
            name,
            [f"{path.name} does not match its own digest: it was changed after it was written"],
        )
    if found != FORMAT or isinstance(found, (bool, float)):  # True and 1.0 equal 1 in Python
        raise CheckpointDamagedError(name, [f"{path.name} says that its format is {found!r}"])
    return document


def _digest(document: Dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
