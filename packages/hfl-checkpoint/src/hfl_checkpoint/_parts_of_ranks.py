"""What a process other than rank 0 adds to a checkpoint: whole files, in memory.

Rank 0 writes them, so that a disk of its own is enough. They are small: where every process has a state
of its own, that is random streams and a position. A sharded save, where each process writes its part of
the tensors to a shared disk, would hand over files that are there already, and what the manifest says of
them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from hfl_checkpoint._component_files import write_bytes, write_component
from hfl_core import Files, FileWriter, IntegrityError

if TYPE_CHECKING:
    from hfl_checkpoint._manifest import FileEntry
    from hfl_checkpoint._writer import Draft


@dataclasses.dataclass(frozen=True)
class Part:
    """The files of one process.

    Attributes:
        files: Component to what each of its files holds, for the manifest.
        content: Path in the checkpoint to the bytes.
    """

    files: Dict[str, Tuple[FileEntry, ...]]
    content: Dict[str, bytes]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.content.values()))

    def write(self, files: Files, stage: Path, component: str) -> List[FileEntry]:
        """Write the files of a component as those of this process.

        Raises:
            IntegrityError: What has arrived is not what was sent.
        """
        found = []
        for entry in self.files.get(component, ()):
            written = write_bytes(files, stage, entry.path, self.content[entry.path])
            if written.xxh3 != entry.xxh3:
                raise IntegrityError(f"{entry.path} was damaged on its way to rank 0.")
            found.append(entry)
        return found


def part_of(draft: Draft) -> Part:
    """Encode what this process adds.

    Args:
        draft: What it has captured, with copies of the tensors.
    """
    memory = _Memory()
    found = {
        item.name: tuple(
            write_component(
                memory,
                Path(),
                item,
                draft.tensors[item.name],
                draft.shards[item.name],
                previous=None,
            )
        )
        for item in draft.components
    }
    return Part(found, memory.content)


class _Memory(Files):
    """Files that are not on a disk yet."""

    def __init__(self) -> None:
        super().__init__()
        self.content: Dict[str, bytes] = {}

    @contextlib.contextmanager
    def create(self, path: Path, *, mode: int = 0o644) -> Iterator[FileWriter]:  # noqa: ARG002
        """Collect what is written."""
        buffer: Any = io.BytesIO()
        yield FileWriter(self, path, buffer)
        self.content[path.as_posix()] = buffer.getvalue()

    def protect(self, path: Path) -> None:
        """Nobody else can write to it."""
