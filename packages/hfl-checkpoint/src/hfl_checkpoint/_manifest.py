"""The manifest: written last, it turns a directory into a checkpoint and says what must be in it."""

from __future__ import annotations

import dataclasses
import datetime
import math
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from hfl_checkpoint import _canonical
from hfl_checkpoint.errors import CheckpointDamagedError

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class FileEntry:
    """A file of a checkpoint.

    Attributes:
        path: Relative to the checkpoint, with forward slashes.
        size: Bytes.
        xxh3: The xxh3-128 digest in hexadecimal.
        sha256: The SHA-256 digest once it is known, else None.
    """

    path: str
    size: int
    xxh3: str
    sha256: str | None = None


@dataclasses.dataclass(frozen=True)
class ComponentEntry:
    """A component of a checkpoint.

    Attributes:
        kind: ``"model"``, ``"optimizer"``, ``"stateful"`` or ``"mapping"``.
        class_name: The class that was saved.
        files: Paths of its files.
    """

    kind: str
    class_name: str
    files: Tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint promises about itself; the fields are those of the file."""

    run_id: str
    sequence: int
    step: int
    epoch: int | None
    created_at: datetime.datetime
    parent: str | None
    world_size: int
    metrics: Mapping[str, float]
    reason: str
    components: Mapping[str, ComponentEntry]
    files: Tuple[FileEntry, ...]
    versions: Mapping[str, str]
    name: str | None = None  # of the directory when it was committed; older manifests do not tell

    def to_bytes(self) -> bytes:
        """Write the manifest in the form in which it is stored."""
        document = {
            "format": _canonical.FORMAT,
            "run_id": self.run_id,
            "sequence": self.sequence,
            "step": self.step,
            "epoch": self.epoch,
            "created_at": self.created_at.isoformat(),
            "parent": self.parent,
            "world_size": self.world_size,
            "metrics": {name: _number(value) for name, value in self.metrics.items()},
            "reason": self.reason,
            "components": {
                name: {"kind": entry.kind, "class": entry.class_name, "files": list(entry.files)}
                for name, entry in self.components.items()
            },
            "files": [
                {"path": f.path, "size": f.size, "xxh3-128": f.xxh3, "sha256": f.sha256}
                for f in self.files
            ],
            "versions": dict(self.versions),
            **({} if self.name is None else {"name": self.name}),
        }
        return _canonical.dump(document)

    @property
    def size(self) -> int:
        """Bytes of all files, the manifest aside."""
        return sum(file.size for file in self.files)


def read_manifest(directory: Path) -> Manifest:
    """Read and check the manifest of a checkpoint.

    Args:
        directory: The checkpoint.

    Returns:
        The manifest.

    Raises:
        FileNotFoundError: The directory has none, so it is not a checkpoint.
        CheckpointDamagedError: It was changed, or is malformed.
        UnsupportedFormatError: It was written in a newer format.
    """
    document = _canonical.load(directory / MANIFEST)
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointDamagedError(
            directory.name, [f"{MANIFEST} is malformed ({error!r})"]
        ) from error


def _parse(document: Dict[str, Any]) -> Manifest:
    return Manifest(
        run_id=str(document["run_id"]),
        sequence=int(document["sequence"]),
        step=int(document["step"]),
        epoch=None if document["epoch"] is None else int(document["epoch"]),
        created_at=_moment(document["created_at"]),
        parent=document["parent"],
        world_size=int(document["world_size"]),
        metrics={name: float(value) for name, value in document["metrics"].items()},
        reason=str(document["reason"]),
        components={
            name: ComponentEntry(entry["kind"], entry["class"], tuple(map(_safe, entry["files"])))
            for name, entry in document["components"].items()
        },
        files=tuple(
            FileEntry(_safe(f["path"]), int(f["size"]), str(f["xxh3-128"]), f["sha256"])
            for f in document["files"]
        ),
        versions=dict(document["versions"]),
        name=document.get("name"),
    )


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which time zone")
    return moment


def _safe(path: str) -> str:
    """Refuse a path that leads out of the checkpoint."""
    parts = path.split("/")  # pathlib takes ten times as long, and there are many
    if not any(part.strip(".") for part in parts) or not parts[0] or ".." in parts or "\\" in path:
        raise ValueError(f"the path {path!r} leads out of the checkpoint")
    return path


def _number(value: float) -> float | str:
    # JSON has no word for these; Python and JavaScript read the text back as the number.
    return value if math.isfinite(value) else str(value)
