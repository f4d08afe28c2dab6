"""What a checkpoint's publication consists of, and whether the checkpoint may leave at all."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping

from hfl_checkpoint._manifest import MANIFEST, Manifest, read_manifest
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import digest_file

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_HEADER = 100_000_000


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
        if component.kind != "model":
            continue
        expected: Dict[str, Any] = {}
        found: set[str] = set()
        for file in component.files:
            if file.endswith(".safetensors"):
                found.update(_tensor_names(path / file))
            elif file.startswith("state/") and file.endswith(".json"):
                document = json.loads((path / file).read_bytes())
                expected.update(document.get("digests") or {})
        missing = sorted(expected.keys() - found)
        if missing:
            shown = ", ".join(missing[:3]) + (" and more" if len(missing) > 3 else "")
            yield f"the model {name!r} lacks the tensors {shown}"


def _tensor_names(path: Path) -> set[str]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return set(json.loads(file.read(min(length, _LONGEST_HEADER)))) - {"__metadata__"}
