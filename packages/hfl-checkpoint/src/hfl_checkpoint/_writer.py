"""Writing a checkpoint: stage, flush, manifest, rename. Until the rename it does not exist.

.staging/<name>-<nonce>/   a lease beside it, then every file, hashed while it is written and flushed
manifest.json              last, under the run's lock: it holds the place in the order of commits
rename into place          never over something that exists; then the parent directory is flushed
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Sequence, Set, Tuple

from hfl_checkpoint._checkpoint import Checkpoint, describe
from hfl_checkpoint._cleanup import sweep
from hfl_checkpoint._component_files import Storage, write_bytes, write_component
from hfl_checkpoint._components import Captured
from hfl_checkpoint._manifest import MANIFEST, ComponentEntry, FileEntry, Manifest
from hfl_checkpoint._naming import Naming
from hfl_checkpoint._provenance import library_versions
from hfl_checkpoint._reuse import Previous, recognise
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint._shards import Shard
from hfl_checkpoint._staging import free_name, staged
from hfl_checkpoint._tensors import Packed, byte_size, pack
from hfl_core import get_logger, require_free_space, translated_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._parts_of_ranks import Part
    from hfl_core import Files

# What JSON files, manifest and directories may take beside the tensors.
_MARGIN_BYTES = 1 << 20

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Draft:
    """Everything a checkpoint will hold, ready to be written by any thread.

    Attributes:
        step: The step.
        epoch: Completed epochs, or None.
        metrics: Metric to value.
        reason: Why it is saved.
        parent: The name of the checkpoint before it in the same line of training, or None.
        components: What was captured.
        tensors: Component to what is written of its tensors.
        shards: Component to the files that they go into.
        metadata: The content of ``metadata.json``, or None.
        previous: The checkpoint before, as a source of unchanged files, or None.
        parts: What other processes add to the components of which each has its own.
        before_commit: Called when all files are written, and the manifest is not.
    """

    step: int
    epoch: int | None
    metrics: Mapping[str, float]
    reason: str
    parent: str | None
    components: Sequence[Captured]
    tensors: Mapping[str, Packed]
    shards: Mapping[str, Sequence[Shard]]
    metadata: str | None
    previous: Previous | None = None
    parts: Sequence[Part] = ()
    before_commit: Callable[[], None] | None = None

    @property
    def changeable(self) -> Dict[str, Packed]:
        """The tensors that have to be copied before training goes on: those that are on disk need not."""
        return {
            name: dataclasses.replace(
                packed,
                stored={
                    key: packed.stored[key]
                    for shard in self.shards[name]
                    if shard.same_as is None
                    for key in shard.keys
                },
            )
            for name, packed in self.tensors.items()
        }

    @property
    def size(self) -> int:
        """Bytes of the tensors that are going to be written."""
        return sum(
            byte_size(tensor)
            for packed in self.changeable.values()
            for tensor in packed.stored.values()
        ) + sum(part.size for part in self.parts)

    def with_copies(self, copies: Mapping[str, Packed]) -> Draft:
        """The same draft with copies instead of live tensors, where there are copies."""
        tensors = {
            name: dataclasses.replace(packed, stored={**packed.stored, **copies[name].stored})
            for name, packed in self.tensors.items()
        }
        return dataclasses.replace(self, tensors=tensors)


def pack_all(components: Sequence[Captured]) -> Dict[str, Packed]:
    """Decide for each component which tensors are written."""
    return {item.name: pack(item.state.tensors, name=item.name) for item in components}


def shard_all(
    components: Sequence[Captured],
    tensors: Mapping[str, Packed],
    storage: Storage,
    previous: Previous | None,
) -> Dict[str, Tuple[Shard, ...]]:
    """Decide for each component which files are written, and which are on disk already."""
    return {
        item.name: recognise(
            previous, item.name, tensors[item.name], storage.shards(item, tensors[item.name])
        )
        for item in components
    }


def write_checkpoint(run: RunDirectory, run_id: str, naming: Naming, draft: Draft) -> Checkpoint:
    """Write and commit a checkpoint.

    Args:
        run: Where.
        run_id: The run that it belongs to.
        naming: How it is named.
        draft: What it holds.

    Returns:
        The checkpoint. When this raises, nothing was committed.

    Raises:
        DiskSpaceError: There is no room.
        PermissionDeniedError: The directory cannot be written.
    """
    with translated_os_errors(f"save step {draft.step} in {str(run.path)!r}"):
        sweep(run)  # first: what a save that was killed left may be what fills the disk
        _require_room(run, draft)
        with staged(run, f"step-{draft.step}") as stage:
            entries, components = _write_files(run.files, stage, draft)
            if draft.before_commit is not None:
                draft.before_commit()
            with run.lock():
                sequence = run.next_sequence(run_id)
                wanted = naming.render(
                    step=draft.step,
                    epoch=draft.epoch,
                    sequence=sequence,
                    run=run_id,
                    metrics=draft.metrics,
                )
                name = free_name(run, wanted)
                if name != wanted:
                    _log.warning("%s exists already; the new checkpoint is called %s", wanted, name)
                manifest = dataclasses.replace(
                    _manifest(run_id, sequence, draft, entries, components), name=name
                )
                run.files.write_bytes(stage / MANIFEST, manifest.to_bytes())
                run.files.protect(stage / MANIFEST)
                run.files.sync_directory(stage)
                run.files.move(stage, run.path / name)
    return describe(run.path / name, manifest, None)


def _require_room(run: RunDirectory, draft: Draft) -> None:
    # Compressed or not: nobody knows beforehand how much smaller it gets.
    required = _MARGIN_BYTES + draft.size
    require_free_space(run.path, required, purpose=f"a checkpoint of step {draft.step}")


def _write_files(
    files: Files, stage: Path, draft: Draft
) -> Tuple[List[FileEntry], Dict[str, ComponentEntry]]:
    folders = _folders(draft.components)
    for folder in folders:
        files.make_directory(stage / folder)
    entries: List[FileEntry] = []
    components: Dict[str, ComponentEntry] = {}
    for item in draft.components:
        shards = draft.shards[item.name]
        own = list(
            write_component(
                files, stage, item, draft.tensors[item.name], shards, previous=draft.previous
            )
        )
        for part in draft.parts:
            own.extend(part.write(files, stage, item.name))
        entries.extend(own)
        components[item.name] = ComponentEntry(
            item.kind,
            item.class_name,
            tuple(entry.path for entry in own),
            shards[0].level if shards else None,
        )
    if draft.metadata is not None:
        entries.append(write_bytes(files, stage, "metadata.json", draft.metadata.encode()))
    for folder in folders:
        files.sync_directory(stage / folder)
    return entries, components


def _folders(components: Sequence[Captured]) -> List[str]:
    """The folders of a checkpoint, each after the one that it is in."""
    found: Set[PurePosixPath] = {PurePosixPath("state")}
    for item in components:
        paths = [item.tensors, *item.files]
        found.update(parent for path in paths for parent in PurePosixPath(path).parents)
    return sorted(str(folder) for folder in found if folder.parts)


def _manifest(
    run_id: str,
    sequence: int,
    draft: Draft,
    files: Sequence[FileEntry],
    components: Mapping[str, ComponentEntry],
) -> Manifest:
    return Manifest(
        run_id=run_id,
        sequence=sequence,
        step=draft.step,
        epoch=draft.epoch,
        created_at=datetime.datetime.now(datetime.timezone.utc),
        parent=draft.parent,
        world_size=1 + len(draft.parts),
        metrics=draft.metrics,
        reason=draft.reason,
        components=components,
        files=tuple(files),
        versions=library_versions(),
    )
