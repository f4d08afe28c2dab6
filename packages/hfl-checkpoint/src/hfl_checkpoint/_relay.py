"""Sending the files of a checkpoint from rank 0 to processes that do not see its disk."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, List

import torch

from hfl_checkpoint._channel import PIECE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._channel import Channel
    from hfl_checkpoint._manifest import FileEntry


def send(channel: Channel, source: Path, entries: List[FileEntry]) -> OSError | None:
    """Send files as rank 0.

    Args:
        channel: To the others, which call `receive` with the same entries.
        source: The checkpoint.
        entries: The files.

    Returns:
        What went wrong on this disk: the others have got zeros from there on.
    """
    failure: OSError | None = None
    buffer = torch.empty(PIECE_BYTES, dtype=torch.uint8)
    for entry in entries:
        with contextlib.ExitStack() as stack:
            file: Any = None
            try:
                file = stack.enter_context((source / entry.path).open("rb", buffering=0))
            except OSError as error:
                failure = failure or error
            for piece in _pieces(buffer, entry.size):
                if failure is None:
                    try:
                        _fill(file, _view(piece))
                    except OSError as error:
                        failure = error
                if failure is not None:
                    piece.zero_()
                channel.piece_from_first(piece)
    return failure


def receive(channel: Channel, target: Path | None, entries: List[FileEntry]) -> OSError | None:
    """Receive files that rank 0 sends.

    Args:
        channel: To the others.
        target: Where to; None takes part without keeping anything.
        entries: The files.

    Returns:
        What went wrong on this disk; the rest was received all the same.
    """
    failure: OSError | None = None
    buffer = torch.empty(PIECE_BYTES, dtype=torch.uint8)
    for entry in entries:
        with contextlib.ExitStack() as stack:
            file: Any = None
            if target is not None and failure is None:
                try:
                    path = target / entry.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    file = stack.enter_context(path.open("wb", buffering=0))
                except OSError as error:
                    failure = error
            for piece in _pieces(buffer, entry.size):
                channel.piece_from_first(piece)
                if file is not None and failure is None:
                    try:
                        _write(file, _view(piece))
                    except OSError as error:
                        failure = error
    return failure


def _pieces(buffer: torch.Tensor, size: int) -> List[torch.Tensor]:
    """Views of one buffer, as many as it takes."""
    whole, rest = divmod(size, PIECE_BYTES)
    return [buffer] * whole + ([buffer[:rest]] if rest else [])


def _view(piece: Any) -> memoryview:
    return memoryview(piece.numpy())


def _fill(file: Any, view: memoryview) -> None:
    while view:
        count = file.readinto(view)
        if not count:
            raise OSError("a file has become shorter while it was read")
        view = view[count:]


def _write(file: Any, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]
