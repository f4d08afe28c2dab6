"""Writing a checkpoint: stage, flush, manifest, rename. Until the rename it does not exist.

.staging/<name>-<nonce>/   a lease beside it, then every file, hashed while it is written and flushed
manifest.json              last, under the run's lock: it holds the place in the order of commits
rename into place          never over something that exists; then the parent directory is flushed
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import secrets
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from hfl_checkpoint import _canonical, _lease
from hfl_checkpoint._checkpoint import Checkpoint, describe
from hfl_checkpoint._cleanup import sweep
from hfl_checkpoint._components import MODEL, Captured
from hfl_checkpoint._manifest import MANIFEST, ComponentEntry, FileEntry, Manifest
from hfl_checkpoint._naming import Naming
from hfl_checkpoint._provenance import library_versions
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint._tensors import Packed, pack, write_tensors
from hfl_core import Files, get_logger, new_digest, require_free_space, translated_os_errors

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
        metadata: The content of ``metadata.json``, or None.
    """

    step: int
    epoch: int | None
    metrics: Mapping[str, float]
    reason: str
    parent: str | None
    components: Sequence[Captured]
    tensors: Mapping[str, Packed]
    metadata: str | None


def pack_all(components: Sequence[Captured]) -> Dict[str, Packed]:
    """Decide for each component which tensors are written."""
    return {item.name: pack(item.state.tensors, name=item.name) for item in components}


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
        with _staged(run, draft) as stage:
            entries, components = _write_files(run.files, stage, draft)
            with run.lock():
                sequence = run.next_sequence(run_id)
                wanted = naming.render(
                    step=draft.step, epoch=draft.epoch, sequence=sequence, run=run_id
                )
                name = _free_name(run, wanted)
                manifest = _manifest(run_id, sequence, draft, entries, components)
                run.files.write_bytes(stage / MANIFEST, manifest.to_bytes())
                run.files.protect(stage / MANIFEST)
                run.files.sync_directory(stage)
                run.files.move(stage, run.path / name)
    return describe(run.path / name, manifest, None)


def _require_room(run: RunDirectory, draft: Draft) -> None:
    required = _MARGIN_BYTES + sum(
        tensor.numel() * tensor.element_size()
        for packed in draft.tensors.values()
        for tensor in packed.stored.values()
    )
    require_free_space(run.path, required, purpose=f"a checkpoint of step {draft.step}")


@contextlib.contextmanager
def _staged(run: RunDirectory, draft: Draft) -> Iterator[Path]:
    stage = run.staging / f"step-{draft.step}-{secrets.token_hex(6)}"
    lease = stage.with_name(f"{stage.name}.lease")
    try:
        _lease.take(run.files, lease)
        run.files.make_directory(stage)
        yield stage
    except BaseException:
        with contextlib.suppress(OSError):
            if stage.exists():
                Files().remove_tree(stage)
        raise
    finally:
        with contextlib.suppress(OSError):
            lease.unlink(missing_ok=True)


def _write_files(
    files: Files, stage: Path, draft: Draft
) -> Tuple[List[FileEntry], Dict[str, ComponentEntry]]:
    folders = _folders(draft.components)
    for folder in folders:
        files.make_directory(stage / folder)
    entries: List[FileEntry] = []
    components: Dict[str, ComponentEntry] = {}
    for item in draft.components:
        own = list(_write_component(files, stage, item, draft.tensors[item.name]))
        entries.extend(own)
        components[item.name] = ComponentEntry(
            item.kind, item.class_name, tuple(entry.path for entry in own)
        )
    if draft.metadata is not None:
        entries.append(_write_bytes(files, stage, "metadata.json", draft.metadata.encode()))
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


def _write_component(
    files: Files, stage: Path, item: Captured, packed: Packed
) -> Iterator[FileEntry]:
    for path, data in item.files.items():
        yield _write_bytes(files, stage, path, data)
    base = f"state/{item.name}-00000" if item.per_rank else f"state/{item.name}"
    digests: Dict[str, str] = {}
    if packed.stored or item.kind == MODEL:
        path = item.tensors
        digest = new_digest()
        with files.create(stage / path) as writer:
            digests = write_tensors(writer, packed.stored, digest)
        files.protect(stage / path)
        yield FileEntry(path, writer.size, digest.hexdigest())
    document: Dict[str, Any] = {
        "format": _canonical.FORMAT,
        "kind": item.kind,
        "class": item.class_name,
        "state": item.state.tree,
        "layout": packed.layout,
        "digests": digests,
        **item.extra,
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    yield _write_bytes(files, stage, f"{base}.json", text.encode())


def _write_bytes(files: Files, stage: Path, path: str, data: bytes) -> FileEntry:
    digest = new_digest()
    with files.create(stage / path) as writer:
        writer.write(data, digest)
    files.protect(stage / path)
    return FileEntry(path, writer.size, digest.hexdigest())


def _free_name(run: RunDirectory, wanted: str) -> str:
    """A name that nothing has: another run, or an abandoned line of this one, may have taken it."""
    name, attempt = wanted, 1
    while (run.path / name).exists():
        attempt += 1
        name = f"{wanted}-{attempt}"
    if name != wanted:
        _log.warning("%s exists already; the new checkpoint is called %s", wanted, name)
    return name


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
        world_size=1,
        metrics=draft.metrics,
        reason=draft.reason,
        components=components,
        files=tuple(files),
        versions=library_versions(),
    )
