"""The manifest: written last, it turns a directory into a checkpoint and says what must be in it."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from hfl_checkpoint import _canonical
from hfl_checkpoint.errors import CheckpointDamagedError, UnsupportedFormatError

MANIFEST = "manifest.json"

# Features that a reader has to know, where a checkpoint uses them.
COMPRESSION = "blosc2"
_KNOWN_NEEDS = {COMPRESSION}

# What a process wrote of a component of which each has its own: its JSON, or a file of its tensors.
_OF_RANK = re.compile(r"state/\w+-(\d{5,})(?=\.|-\d{5}-of-\d{5}\.)")


@dataclasses.dataclass(frozen=True)
class FileEntry:
    """A file of a checkpoint.

    Attributes:
        path: Relative to the checkpoint, with forward slashes.
        size: Bytes.
        xxh3: The xxh3-128 digest in hexadecimal.
        sha256: The SHA-256 digest once it is known, else None.
        content_size: Bytes of the tensors in it, when they are compressed.
    """

    path: str
    size: int
    xxh3: str
    sha256: str | None = None
    content_size: int | None = None


@dataclasses.dataclass(frozen=True)
class ComponentEntry:
    """A component of a checkpoint.

    Attributes:
        kind: ``"model"``, ``"optimizer"``, ``"stateful"``, ``"mapping"``, ``"pretrained"``, ``"peft"`` or
            ``"part"``.
        class_name: The class that was saved.
        files: Paths of its files.
        compression: How its tensors are compressed: ``"fast"``, ``"small"``, or None.
    """

    kind: str
    class_name: str
    files: Tuple[str, ...]
    compression: str | None = None

    @property
    def document(self) -> str | None:
        """The path of its JSON; only a damaged manifest names none."""
        return next(
            (path for path in self.files if path.startswith("state/") and path.endswith(".json")),
            None,
        )

    @property
    def ranks(self) -> int:
        """How many processes have a state of their own in it; 0 where one state is everybody's."""
        return 1 + max((rank_of(path, self.kind) for path in self.files), default=-1)

    def of_rank(self, rank: int) -> ComponentEntry:
        """The entry without the files of other processes; that of rank 0 where this one has none."""
        if self.ranks == 0:
            return self
        own = rank if rank < self.ranks else 0
        return dataclasses.replace(
            self, files=tuple(path for path in self.files if rank_of(path, self.kind) in (own, -1))
        )


def rank_of(path: str, kind: str) -> int:
    """The rank whose state a file of a component holds, or -1 for everybody's."""
    found = _OF_RANK.match(path) if kind == "stateful" else None
    return -1 if found is None else int(found.group(1))


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
                name: {
                    "kind": entry.kind,
                    "class": entry.class_name,
                    "files": list(entry.files),
                    **_present(compression=entry.compression),
                }
                for name, entry in self.components.items()
            },
            "files": [
                {
                    "path": f.path,
                    "size": f.size,
                    "xxh3-128": f.xxh3,
                    "sha256": f.sha256,
                    **_present(content_size=f.content_size),
                }
                for f in self.files
            ],
            "versions": dict(self.versions),
            **_present(needs=self.needs, name=self.name),
        }
        return _canonical.dump(document)

    @property
    def names(self) -> Tuple[str, ...]:
        """The components; an entry with a dot in its name is a part of one (an adapter of a model)."""
        return tuple(name for name in self.components if "." not in name)

    @property
    def needs(self) -> List[str]:
        """What a reader has to know beside the format itself; one that does not must refuse."""
        is_compressed = any(entry.compression for entry in self.components.values())
        return [COMPRESSION] if is_compressed else []

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
        UnsupportedFormatError: It was written in a newer format, or needs a feature of a newer version.
    """
    return _checked(_canonical.load(directory / MANIFEST), directory)


def parse_manifest(data: bytes, directory: Path) -> Manifest:
    """Like `read_manifest`, for a manifest that is not on this disk.

    Args:
        data: Its content.
        directory: The checkpoint, for messages.
    """
    return _checked(_canonical.parse(data, directory / MANIFEST), directory)


def _checked(document: Dict[str, Any], directory: Path) -> Manifest:
    try:
        unknown = sorted(set(map(str, document.get("needs", ()))) - _KNOWN_NEEDS)
        return _parse(document, str(directory / MANIFEST), unknown)
    except UnsupportedFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointDamagedError(
            directory.name, [f"{MANIFEST} is malformed ({error!r})"]
        ) from error


def _parse(document: Dict[str, Any], path: str, unknown: Sequence[str]) -> Manifest:
    if unknown:  # whatever else is in it may mean something else, then
        raise UnsupportedFormatError(
            path, found=_canonical.FORMAT, supported=_canonical.FORMAT, needs=unknown
        )
    return _consistent(_read_fields(document))


def _consistent(manifest: Manifest) -> Manifest:
    """Refuse what contradicts itself: what is not listed once would escape verification."""
    paths = [file.path for file in manifest.files]
    listed = set(paths)
    if len(listed) != len(paths):
        raise ValueError("it lists a file twice")
    if MANIFEST in listed:
        raise ValueError("it lists itself")
    for name, entry in manifest.components.items():
        absent = sorted(set(entry.files) - listed)
        if absent:
            raise ValueError(f"the file {absent[0]!r} of {name!r} is not listed")
    return manifest


def _read_fields(document: Dict[str, Any]) -> Manifest:
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
            name: ComponentEntry(
                _text(entry["kind"]),
                _text(entry["class"]),
                tuple(map(_safe, entry["files"])),
                entry.get("compression"),
            )
            for name, entry in document["components"].items()
        },
        files=tuple(
            FileEntry(
                _safe(f["path"]),
                int(f["size"]),
                str(f["xxh3-128"]),
                f["sha256"],
                f.get("content_size"),
            )
            for f in document["files"]
        ),
        versions=dict(document["versions"]),
        name=document.get("name"),
    )


def _present(**fields: Any) -> Dict[str, Any]:
    """The fields that say something: those that most checkpoints do without are left out."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which time zone")
    return moment


def _safe(path: str) -> str:
    """Refuse a path that leads out of the checkpoint."""
    parts = path.split("/")  # pathlib takes ten times as long, and there are many
    if "" in parts or "." in parts or ".." in parts or "\\" in path:
        raise ValueError(f"the path {path!r} leads out of the checkpoint")
    return path


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: float) -> float | str:
    # JSON has no word for these; Python and JavaScript read the text back as the number.
    return value if math.isfinite(value) else str(value)
