"""Files of the checkpoint before that need not be written again, because their content would be the same.

What decides is content, never a name, a time or a promise: the digests of all tensors that a file would
hold, against those that were recorded when the earlier file was written. Hints say only where it is worth
looking. (``tensor._version`` is not even a hint: writing through ``.data`` or NumPy does not raise it.)
The earlier file is read and digested before it is shared, so a damaged one is never handed on: it is
written anew instead, from the tensors in memory.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from hfl_checkpoint._compression import Packing
from hfl_checkpoint._manifest import FileEntry, Manifest, read_manifest
from hfl_checkpoint._tensors import byte_size, bytes_of, file_order, header_of
from hfl_core import HflError, get_logger, new_digest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from hfl_checkpoint._shards import Shard
    from hfl_checkpoint._tensors import Packed
    from hfl_core import Files

# Below this, a file costs a block whether it is shared or written.
_WORTH_BYTES = 4096

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class TensorFile:
    """A file of tensors of an earlier checkpoint.

    Attributes:
        path: Where it is.
        entry: What its checkpoint's manifest says of it.
        digests: Key to the digest of a tensor's bytes, for its whole component.
        packing: How its tensors are compressed, or None.
    """

    path: Path
    entry: FileEntry
    digests: Mapping[str, str]
    packing: Packing | None

    def would_hold(self, stored: Mapping[str, torch.Tensor], level: str | None) -> bool:
        """Whether the file holds such tensors, whatever their values are."""
        if self.packing is not None or level is not None:
            return self.packing is not None and self.packing.describes(stored, level)
        _, header = header_of(stored)
        if self.entry.size != len(header) + sum(map(byte_size, stored.values())):
            return False
        with self.path.open("rb") as file:
            return file.read(len(header)) == header

    def holds(self, stored: Mapping[str, torch.Tensor]) -> bool:
        """Whether the tensors have the values that were recorded; ends with the first one that has not."""
        return all(_digest(stored[key]) == self.digests.get(key) for key in file_order(stored))


class Previous:
    """The checkpoint before, as a source of files.

    Args:
        directory: Its directory.
        manifest: Its manifest.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory = directory
        self._manifest = manifest
        self._documents: Dict[str, Mapping[str, Any]] = {}
        self._entries = {entry.path: entry for entry in manifest.files}

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self._directory.name

    @classmethod
    def read(cls, directory: Path) -> Previous | None:
        """Look at a checkpoint; None when it is not there, or cannot be understood."""
        try:
            return cls(directory, read_manifest(directory))
        except (OSError, HflError) as error:
            _log.debug("%s shares no files: %s", directory.name, error)
            return None

    def same(
        self, component: str, shard: Shard, tensors: Mapping[str, torch.Tensor]
    ) -> TensorFile | None:
        """Find the file that holds what a shard is going to hold.

        Args:
            component: The component.
            shard: The shard.
            tensors: The component's tensors.
        """
        stored = {key: tensors[key] for key in shard.keys}
        try:
            for file in self._files(component):
                if file.would_hold(stored, shard.level) and file.holds(stored):
                    return file
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # The checkpoint before was deleted meanwhile, or is damaged: it is no source then.
            _log.debug("%s shares no files of %s: %r", self._directory.name, component, error)
        return None

    def copy_of(self, file: TensorFile) -> TensorFile | None:
        """Find the file with the same content, when an earlier checkpoint's is gone."""
        same = self.file(file.entry.size, file.entry.xxh3)
        return None if same is None else dataclasses.replace(file, path=same.path)

    def file(self, size: int, xxh3: str) -> TensorFile | None:
        """Find a file by its content."""
        if size < _WORTH_BYTES:
            return None
        for entry in self._manifest.files:
            if (entry.size, entry.xxh3) == (size, xxh3):
                return TensorFile(self._directory / entry.path, entry, {}, None)
        return None

    def _files(self, component: str) -> List[TensorFile]:
        entry = self._manifest.components.get(component)
        if entry is not None:
            entry = entry.of_rank(0)  # the only one that looks
        if entry is None or entry.document is None:
            return []
        document = self._document(component, entry.document)
        packings = document.get("compressed", {})
        return [
            TensorFile(
                self._directory / path,
                self._entries[path],
                document["digests"],
                Packing.from_json(packings[path]) if path in packings else None,
            )
            for path in entry.files
            if path.endswith(".safetensors") or path in packings
        ]

    def _document(self, component: str, path: str) -> Mapping[str, Any]:
        if component not in self._documents:
            self._documents[component] = json.loads((self._directory / path).read_bytes())
        return self._documents[component]


def recognise(
    previous: Previous | None, component: str, packed: Packed, shards: Sequence[Shard]
) -> tuple[Shard, ...]:
    """Find out which of the frozen shards are on disk already, so that they need no copy in memory.

    Digesting costs less than copying (34 GB/s instead of 20). It has to happen while nothing else changes
    the tensors. What is on another device would have to be copied to be digested: it is looked at when
    its copy is written, as everything is that is not frozen.

    Args:
        previous: The checkpoint before, if there is one.
        component: The component's name.
        packed: Its tensors.
        shards: Its files to be.

    Returns:
        The same files; those that were found say where.
    """
    if previous is None:
        return tuple(shards)
    return tuple(
        (
            dataclasses.replace(shard, same_as=previous.same(component, shard, packed.stored))
            if shard.is_frozen and _is_on_host(shard, packed)
            else shard
        )
        for shard in shards
    )


def _is_on_host(shard: Shard, packed: Packed) -> bool:
    return all(packed.stored[key].device.type == "cpu" for key in shard.keys)


def share(files: Files, source: TensorFile, target: Path) -> bool:
    """Make a file by sharing an earlier one, when that one is intact.

    Args:
        files: The layer through which everything durable is written.
        source: The earlier file.
        target: The new one.

    Returns:
        Whether it was made; if not, it has to be written.
    """
    try:
        with source.path.open("rb", buffering=0) as file:
            digest = new_digest()
            buffer = memoryview(bytearray(1 << 20))
            size = 0
            while True:
                count = file.readinto(buffer)
                if not count:
                    break
                size += count
                digest.update(buffer[:count])
            if (size, digest.hexdigest()) != (source.entry.size, source.entry.xxh3):
                _log.warning(
                    "%s is damaged, so it is written anew and not shared; verify %s",
                    source.path,
                    source.path.parent.name,
                )
                return False
            return files.share(file, target)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        _log.debug("%s is not shared: %s", source.path, error)
        return False


def _digest(tensor: torch.Tensor) -> str:
    digest = new_digest()
    digest.update(bytes_of(tensor))
    return digest.hexdigest()
