"""What a checkpoint's publication consists of, and whether the checkpoint may leave at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Collection, Dict, Iterator, List, Mapping

from hfl_checkpoint._manifest import MANIFEST, Manifest, read_manifest
from hfl_checkpoint._remote._address import FOLDER
from hfl_checkpoint._remote._state import Published, summarize
from hfl_checkpoint._verify import read_header
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import digest_file

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._checkpoint import Checkpoint


@dataclasses.dataclass
class Parts:
    """What one commit consists of, while it is put together.

    Attributes:
        names: The name of each checkpoint here to the one on the Hub.
        entries: What the index says of them.
        files: The place in the repository of each file.
        digests: The sha256 of those that the Hub has already, by that place.
    """

    names: Dict[str, str] = dataclasses.field(default_factory=dict)
    entries: List[Published] = dataclasses.field(default_factory=list)
    files: Dict[str, bytes | Path] = dataclasses.field(default_factory=dict)
    digests: Dict[str, str] = dataclasses.field(default_factory=dict)

    def add(
        self, item: Checkpoint, name: str, manifest: Manifest, digests: Mapping[str, str]
    ) -> None:
        """Add a checkpoint.

        Args:
            item: The checkpoint.
            name: Its name on the Hub.
            manifest: Its manifest.
            digests: The sha256 of its files, where the Hub has them.
        """
        self.names[item.name] = name
        labels = item.labels if item.pinned else None
        self.entries.append(summarize(name, manifest, manifest_identity(item.path), labels))
        folder = f"{FOLDER}/{name}"
        for path in (*(file.path for file in manifest.files), MANIFEST):
            self.files[f"{folder}/{path}"] = item.path / path
        self.digests.update({f"{folder}/{path}": sha256 for path, sha256 in digests.items()})


def free_name(item: Checkpoint, taken: Collection[str]) -> str:
    """The name on the Hub: its own, unless another run took that; always the same for one checkpoint."""
    if item.name not in taken:
        return item.name
    wanted = name = f"{item.name}-{item.run_id[:6]}"
    attempt = 1
    while name in taken:
        attempt += 1
        name = f"{wanted}-{attempt}"
    return name


def manifest_identity(path: Path) -> str:
    """What git calls the content of a checkpoint's manifest."""
    data = (path / MANIFEST).read_bytes()
    blob = b"blob %d\0" % len(data) + data
    return hashlib.sha1(blob).hexdigest()  # nosec B324  # noqa: S324  # git's name for it


def files_to_send(path: Path, known: Mapping[str, str]) -> tuple[Manifest, Dict[str, str]]:
    """Make sure that a checkpoint is what its manifest says, as far as it will be sent.

    Args:
        path: The checkpoint.
        known: xxh3 to sha256 of contents that the Hub has; such a file is not even read.

    Returns:
        The manifest, and the sha256 of the known files by path.

    Raises:
        CheckpointDamagedError: A file is not what was saved, or a model lacks tensors.
        FileNotFoundError: The checkpoint was deleted.
    """
    manifest = read_manifest(path)
    digests: Dict[str, str] = {}
    problems: List[str] = []
    for file in manifest.files:
        place = path / file.path
        if file.xxh3 in known and place.stat().st_size == file.size:
            digests[file.path] = known[file.xxh3]
        elif place.stat().st_size != file.size or digest_file(place) != file.xxh3:
            problems.append(f"{file.path} does not have the content that was written")
    if not problems:
        problems.extend(_missing_tensors(path, manifest))
    if problems:
        raise CheckpointDamagedError(path.name, problems)
    return manifest, digests


def _missing_tensors(path: Path, manifest: Manifest) -> Iterator[str]:
    """Compare the tensors of each model with those that its state names."""
    for name, component in manifest.components.items():
        if component.kind != "model" or component.document is None:
            continue
        document = json.loads((path / component.document).read_bytes())
        expected = document.get("digests") or {}
        found = {
            tensor["key"]
            for file in (document.get("compressed") or {}).values()
            for tensor in file["tensors"]
        }
        for file in component.files:
            if file.endswith(".safetensors"):
                found.update(read_header(path / file)[0])
        missing = sorted(expected.keys() - found)
        if missing:
            shown = ", ".join(missing[:3]) + (" and more" if len(missing) > 3 else "")
            yield f"the model {name!r} lacks the tensors {shown}"
