"""The files of one component: shared with the checkpoint before, or written, hashed on the way."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Mapping, Sequence

from hfl_checkpoint import _canonical
from hfl_checkpoint._components import MODEL, Captured
from hfl_checkpoint._compression import Packing, write_compressed
from hfl_checkpoint._manifest import FileEntry
from hfl_checkpoint._reuse import Previous, TensorFile, share
from hfl_checkpoint._shards import Shard, index_of, plan_shards
from hfl_checkpoint._tensors import Packed, write_tensors
from hfl_checkpoint.errors import CheckpointError
from hfl_core import new_digest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from hfl_core import Files


@dataclasses.dataclass(frozen=True)
class Storage:
    """How components become files.

    Attributes:
        max_shard_size: Bytes of tensors in a file.
        compression: A level for all components, component to level, or None.
    """

    max_shard_size: int
    compression: Mapping[str, str] | str | None = None

    def unknown(self, components: Collection[str]) -> List[str]:
        """The names for which a level was given, and which are none of the components."""
        named = self.compression if isinstance(self.compression, Mapping) else {}
        return [name for name in named if name not in components]

    def shards(self, item: Captured, packed: Packed) -> tuple[Shard, ...]:
        """Divide a component's tensors into files."""
        if not packed.stored and item.kind != MODEL:
            return ()
        level = self.compression
        if isinstance(level, Mapping):
            level = level.get(item.name.partition(".")[0])  # a part goes with its whole
        # What is compressed is out of other tools' sight: they would take it for a model's weights.
        path = item.tensors if level is None else f"{item.base}.blosc2"
        if level is None and item.tensor_file is not None:
            return (Shard(path, tuple(packed.stored)),)  # its reader knows one file
        stem, suffix = path.rsplit(".", 1)
        shards = plan_shards(
            packed,
            item.frozen,
            stem=stem,
            suffix=f".{suffix}",
            max_size=self.max_shard_size,
        )
        return tuple(dataclasses.replace(shard, level=level) for shard in shards)


def write_component(
    files: Files,
    stage: Path,
    item: Captured,
    packed: Packed,
    shards: Sequence[Shard],
    previous: Previous | None,
) -> Iterator[FileEntry]:
    """Write a component.

    Args:
        files: The layer through which everything durable is written.
        stage: The checkpoint's directory while it is staged; its folders exist.
        item: What was captured.
        packed: Its tensors, as they are written.
        shards: The files that they go into.
        previous: The checkpoint before, if there is one.

    Yields:
        What each file holds, for the manifest.

    Raises:
        CheckpointError: A frozen tensor was not copied, since it was on disk, and now is neither there
            nor in memory.
    """
    for path, data in item.files.items():
        yield write_bytes(files, stage, path, data, previous)
    digests: Dict[str, str] = {}
    packings: Dict[str, Packing] = {}
    for shard in shards:
        stored = {key: packed.stored[key] for key in shard.keys}
        file = _shared(files, stage, item.name, shard, stored, previous)
        if file is None:
            file = _written(files, stage, item.name, shard, stored)
        files.protect(file.path)
        digests.update({key: file.digests[key] for key in shard.keys})
        if file.packing is not None:
            packings[shard.path] = file.packing
        yield file.entry
    if len(shards) > 1 and item.kind == MODEL and shards[0].level is None:
        path = f"{item.tensors}.index.json"
        yield write_bytes(files, stage, path, index_of(shards, packed), previous)
    document: Dict[str, Any] = {
        "format": _canonical.FORMAT,
        "kind": item.kind,
        "class": item.class_name,
        "state": item.state.tree,
        "layout": packed.layout,
        "digests": dict(sorted(digests.items())),
        **item.extra,
    }
    if packings:
        document["compressed"] = {path: packing.to_json() for path, packing in packings.items()}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    yield write_bytes(files, stage, f"{item.base}.json", text.encode())


def _shared(
    files: Files,
    stage: Path,
    component: str,
    shard: Shard,
    stored: Mapping[str, torch.Tensor],
    previous: Previous | None,
) -> TensorFile | None:
    """Share the earlier file that holds the same; None when there is none that is intact."""
    path = stage / shard.path
    source = shard.same_as
    if source is None and previous is not None:
        source = previous.same(component, shard, stored)
    if source is None:
        return None
    if not share(files, source, path):
        # Where it was found may have been deleted since, and its successor holds the same.
        source = previous.copy_of(source) if previous is not None else None
        if source is None or not share(files, source, path):
            return None
    return dataclasses.replace(
        source, path=path, entry=dataclasses.replace(source.entry, path=shard.path)
    )


def _written(
    files: Files, stage: Path, component: str, shard: Shard, stored: Mapping[str, torch.Tensor]
) -> TensorFile:
    path, digest, packing = stage / shard.path, new_digest(), None
    with files.create(path) as writer:
        if shard.level is None:
            digests = write_tensors(writer, stored, digest)
        else:
            packing, digests = write_compressed(writer, stored, shard.level, digest)
    if shard.same_as is not None:
        _require_unchanged(component, shard.same_as, digests)
    content_size = None if packing is None else packing.content_size
    entry = FileEntry(shard.path, writer.size, digest.hexdigest(), content_size=content_size)
    return TensorFile(path, entry, digests, packing)


def write_bytes(
    files: Files, stage: Path, path: str, data: bytes, previous: Previous | None = None
) -> FileEntry:
    """Write a small file, or share the earlier one that holds the same."""
    digest = new_digest()
    digest.update(data)
    source = None if previous is None else previous.file(len(data), digest.hexdigest())
    if source is None or not share(files, source, stage / path):
        files.write_bytes(stage / path, data)
    files.protect(stage / path)
    return FileEntry(path, len(data), digest.hexdigest())


def _require_unchanged(component: str, source: TensorFile, written: Mapping[str, str]) -> None:
    """Refuse tensors that were not copied, as they were on disk, and are not what they were.

    It takes two things at once: the earlier file was lost or damaged within this save, and a tensor
    that needs no gradient was written to meanwhile.
    """
    changed = [key for key, digest in written.items() if digest != source.digests[key]]
    if changed:
        raise CheckpointError(
            f"{component}[{changed[0]!r}] was changed while it was saved, and {source.path.name} "
            f"of {source.path.parent.name}, which held the same, is lost or damaged.",
            hint="Save again: nothing of this checkpoint was committed.",
        )
