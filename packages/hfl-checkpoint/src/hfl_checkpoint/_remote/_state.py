"""What a branch of the Hub holds: the checkpoints, and the index that makes looking at them cheap.

checkpoints/<name>/…          a checkpoint, file by file as it is on disk
checkpoints/latest.json       the newest one's name, and what the manifests say, for whoever lists

The manifests are the truth. An entry of the index counts only while it names the very manifest that
the branch holds, and what is fetched has to be what its entry says; so an index that was damaged, or
edited by hand, costs requests and nothing else.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple, TypeVar

from hfl_checkpoint import _canonical
from hfl_checkpoint._checkpoint import Checkpoint, describe
from hfl_checkpoint._manifest import MANIFEST, Manifest, parse_manifest
from hfl_checkpoint._naming import MAX_BYTES
from hfl_checkpoint._remote._address import FOLDER
from hfl_checkpoint.errors import CheckpointDamagedError, UnsupportedFormatError
from hfl_core import HflError, get_logger

if TYPE_CHECKING:
    from hfl_repo import RemoteFile, RepoManager, RepoTree

INDEX = f"{FOLDER}/latest.json"

# Smaller files travel inside the commit; knowing their digests would save nothing.
_LARGE_BYTES = 1 << 16

_T = TypeVar("_T")

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub.

    Attributes:
        checkpoint: What its manifest says; its path is the one in the repository.
        manifest: What git calls the content of its manifest.
        large: The xxh3 digests of its large files, by path within the checkpoint.
    """

    checkpoint: Checkpoint
    manifest: str
    large: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.checkpoint.name


@dataclasses.dataclass(frozen=True)
class RemoteState:
    """What a branch holds at one commit.

    Attributes:
        tree: Its files.
        published: The checkpoints of all runs; those of one run are in the order of commits.
        damaged: Names of checkpoints whose manifest cannot be trusted, with what is wrong.
        latest: The name of the newest one, as far as the branch says so.
    """

    tree: RepoTree
    published: Tuple[Published, ...]
    damaged: Mapping[str, HflError]
    latest: str | None = None

    def of_run(self, run_id: str | None) -> List[Published]:
        """The checkpoints of a run, oldest first."""
        return [item for item in self.published if item.checkpoint.run_id == run_id]

    @property
    def current_run(self) -> str | None:
        """The run that published last."""
        by_name = {item.name: item.checkpoint for item in self.published}
        if self.latest in by_name:
            return by_name[self.latest].run_id
        newest = max(by_name.values(), key=lambda item: item.created_at, default=None)
        return None if newest is None else newest.run_id

    def with_pins_of(self, here: Mapping[str, Checkpoint]) -> RemoteState:
        """Return the same with the pins that the checkpoints have here, as far as they are here."""
        pinned = []
        for item in self.published:
            own, there = here.get(item.name), item.checkpoint
            if own is not None and (own.run_id, own.sequence) == (there.run_id, there.sequence):
                there = dataclasses.replace(there, pinned=own.pinned, labels=own.labels)
            pinned.append(dataclasses.replace(item, checkpoint=there))
        return dataclasses.replace(self, published=tuple(pinned))

    def files_of(self, name: str) -> Dict[str, RemoteFile]:
        """The files of a checkpoint, by their path within it."""
        prefix = f"{FOLDER}/{name}/"
        return {
            path[len(prefix) :]: file
            for path, file in self.tree.files.items()
            if path.startswith(prefix)
        }

    def known_contents(self) -> Dict[str, str]:
        """Map xxh3 digests to the sha256 of large files that the branch holds."""
        return {
            xxh3: file.sha256
            for item in self.published
            for path, file in self.files_of(item.name).items()
            for xxh3 in [item.large.get(path)]
            if xxh3 is not None and file.sha256 is not None
        }


class MisleadingIndexError(HflError):
    """The index names the manifest of a checkpoint, and says something else about it."""


def read_state(repo: RepoManager, revision: str, *, without_index: bool = False) -> RemoteState:
    """Look at a branch: one listing, the index, and whatever manifests the index does not know.

    Args:
        repo: The repository.
        revision: The branch, tag or commit.
        without_index: Read every manifest.

    Returns:
        What it holds.

    Raises:
        RepoNotFoundError: There is no such repository.
        RevisionNotFoundError: There is no such branch.
        UnsupportedFormatError: A newer version of this package wrote the index.
    """
    tree = repo.tree(revision)
    latest, known = (None, {}) if without_index else _read_index(repo, tree)
    published: List[Published] = []
    damaged: Dict[str, HflError] = {}
    for path, file in tree.files.items():
        parts = path.split("/")
        if len(parts) != 3 or parts[0] != FOLDER or parts[2] != MANIFEST:
            continue
        if parts[1].startswith(".") or "\\" in parts[1] or len(parts[1].encode()) > MAX_BYTES:
            continue  # no name that this package gives, nor one for a directory here
        name, identity = parts[1], file.sha256 or file.git_sha1
        found = known.get(name)
        if found is not None and found.manifest == identity:
            published.append(found)
            continue
        try:
            manifest = parse_manifest(repo.read(path, tree.commit), Path(FOLDER) / name)
            published.append(summarize(name, manifest, identity))
        except (CheckpointDamagedError, UnsupportedFormatError) as error:
            damaged[name] = error
    published.sort(key=lambda item: (item.checkpoint.run_id, item.checkpoint.sequence))
    return RemoteState(tree, tuple(published), damaged, latest)


def trusting(repo: RepoManager, state: RemoteState, act: Callable[[RemoteState], _T]) -> _T:
    """Do something with a branch; once more without its index, when that turns out to mislead."""
    try:
        return act(state)
    except MisleadingIndexError as error:
        _log.warning("%s Every manifest is read.", error.message)
        return act(read_state(repo, state.tree.commit, without_index=True))


def require_as_told(item: Published, manifest: Manifest) -> None:
    """Compare what is known of a checkpoint with its manifest, which may come from an index.

    Raises:
        MisleadingIndexError: They differ.
    """
    told, truth = to_json(item), to_json(summarize(item.name, manifest, item.manifest))
    for key in truth.keys() - {
        "pinned",
        "labels",
        "large",
    }:  # those say how it is kept, not what it is
        if told[key] != truth[key]:
            raise MisleadingIndexError(
                f"{INDEX} was edited: it says {key}={told[key]!r} of {item.name!r}, whose manifest "
                f"says {truth[key]!r}."
            )


def summarize(
    name: str, manifest: Manifest, identity: str, labels: Tuple[str, ...] | None = None
) -> Published:
    """Make the entry of a checkpoint.

    Args:
        name: Its name on the Hub.
        manifest: Its manifest.
        identity: What git calls the manifest's content.
        labels: The labels of its pins, or None when it is not pinned.
    """
    large = {
        file.path: file.xxh3
        for file in manifest.files
        if file.size >= _LARGE_BYTES or file.path.endswith(".safetensors")
    }
    return Published(describe(Path(FOLDER) / name, manifest, labels), identity, large)


def write_index(published: Sequence[Published], latest: str) -> bytes:
    """Write the index.

    Args:
        published: Everything that the branch will hold.
        latest: The newest one's name.
    """
    return _canonical.dump(
        {
            "format": _canonical.FORMAT,
            "latest": latest,
            "checkpoints": [to_json(item) for item in published],
        }
    )


def _read_index(repo: RepoManager, tree: RepoTree) -> Tuple[str | None, Dict[str, Published]]:
    if INDEX not in tree.files:
        return None, {}
    data = repo.read(INDEX, tree.commit)
    try:
        document = _canonical.parse(data, Path(INDEX))
        entries = [from_json(item) for item in document["checkpoints"]]
        return str(document["latest"]), {item.name: item for item in entries}
    except (CheckpointDamagedError, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.warning("%s cannot be used, so every manifest is read: %s", INDEX, error)
        return None, {}


def to_json(item: Published) -> Dict[str, Any]:
    """Turn an entry into what JSON can hold."""
    checkpoint = item.checkpoint
    return {
        "name": checkpoint.name,
        "manifest": item.manifest,
        "run_id": checkpoint.run_id,
        "sequence": checkpoint.sequence,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "created_at": checkpoint.created_at.isoformat(),
        # JSON has no word for NaN and infinities; Python reads the text back as the number.
        "metrics": {
            key: value if math.isfinite(value) else str(value)
            for key, value in checkpoint.metrics.items()
        },
        "reason": checkpoint.reason,
        "components": list(checkpoint.components),
        "pinned": checkpoint.pinned,
        "labels": list(checkpoint.labels),
        "size": checkpoint.size,
        "large": dict(item.large),
    }


def from_json(entry: Mapping[str, Any]) -> Published:
    """Read an entry.

    Raises:
        KeyError: Something is missing.
        ValueError: Something makes no sense.
    """
    name = str(entry["name"])
    return Published(
        Checkpoint(
            name=name,
            step=int(entry["step"]),
            epoch=None if entry["epoch"] is None else int(entry["epoch"]),
            sequence=int(entry["sequence"]),
            run_id=str(entry["run_id"]),
            created_at=datetime.datetime.fromisoformat(entry["created_at"]),
            metrics={str(key): float(value) for key, value in entry["metrics"].items()},
            reason=str(entry["reason"]),
            components=tuple(map(str, entry["components"])),
            path=Path(FOLDER) / name,
            pinned=bool(entry["pinned"]),
            labels=tuple(map(str, entry["labels"])),
            size=int(entry["size"]),
        ),
        str(entry["manifest"]),
        {str(path): str(digest) for path, digest in entry["large"].items()},
    )
