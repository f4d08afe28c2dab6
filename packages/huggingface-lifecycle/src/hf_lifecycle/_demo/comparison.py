"""The proof: the last checkpoints of two runs, compared bit by bit.

It reads what is on disk, with nothing but JSON and a digest, so that it does not depend on the
code that it judges.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from hfl_core import NotFoundError, digest_file

_ALGORITHM = "xxh3-128"


@dataclasses.dataclass(frozen=True)
class ComponentComparison:
    """One component of both checkpoints.

    Attributes:
        name: ``"optimizer"``.
        kind: How it was saved, in the first run.
        bytes: Of its files, in the first run.
        digests: File to digest, in the first run.
        differences: What differs, one clause each; empty when every bit is the same.
    """

    name: str
    kind: str
    bytes: int
    digests: dict[str, str]
    differences: list[str]

    @property
    def is_identical(self) -> bool:
        """Whether every bit is the same."""
        return not self.differences


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two checkpoints, side by side.

    Attributes:
        first: The name of the first run's last checkpoint.
        second: The name of the second run's.
        components: One entry for each component of either.
        problems: What is wrong beyond the components: steps that differ, damaged files.
    """

    first: str
    second: str
    components: list[ComponentComparison]
    problems: list[str]

    @property
    def is_identical(self) -> bool:
        """Whether the two runs ended with the same bits."""
        return not self.problems and all(part.is_identical for part in self.components)

    @property
    def differences(self) -> list[str]:
        """Everything that differs or is wrong, one clause each."""
        return [
            *self.problems,
            *(f"{part.name}: {what}" for part in self.components for what in part.differences),
        ]


# How long a run took, which no two runs have in common.
_CLOCK = "clock"


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare the last checkpoints of two runs, component by component.

    The digests in the manifests are compared with each other, and each with the file that it
    speaks of. What must differ between two runs (times, the run's identity, the captured
    environment, how long it took) is in no component, or in one that is left out.

    Args:
        first: The directory of a run.
        second: The directory of another.

    Returns:
        The comparison.

    Raises:
        NotFoundError: One of them holds no checkpoint.
    """
    one, other = _last_checkpoint(first), _last_checkpoint(second)
    problems = [*one.damages(), *other.damages()]
    if one.step != other.step:
        problems.append(f"the runs ended at different steps, {one.step} and {other.step}")
    names = dict.fromkeys([*one.components, *other.components])
    names.pop(_CLOCK, None)
    return Comparison(
        first=one.path.name,
        second=other.path.name,
        components=[_compare(name, one, other) for name in names],
        problems=problems,
    )


@dataclasses.dataclass(frozen=True)
class _Checkpoint:
    path: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.manifest["step"])

    @property
    def components(self) -> dict[str, Any]:
        return dict(self.manifest["components"])

    def files(self, component: str) -> dict[str, dict[str, Any]]:
        entries = {entry["path"]: entry for entry in self.manifest["files"]}
        wanted = self.components.get(component, {"files": []})["files"]
        return {path: entries[path] for path in wanted}

    def damages(self) -> list[str]:
        where = f"{self.path.parent.name}/{self.path.name}"
        damaged = []
        for entry in self.manifest["files"]:
            file = self.path / entry["path"]
            if not file.is_file():
                damaged.append(f"{where}/{entry['path']} is missing")
            elif digest_file(file, _ALGORITHM) != entry[_ALGORITHM]:
                damaged.append(f"{where}/{entry['path']} is not what its manifest says")
        return damaged


def _last_checkpoint(run: Path) -> _Checkpoint:
    found = [
        _Checkpoint(manifest.parent, json.loads(manifest.read_bytes()))
        for manifest in run.glob("[!.]*/manifest.json")
    ]
    if not found:
        raise NotFoundError(f"There is no checkpoint in {str(run)!r}.")
    return max(found, key=lambda checkpoint: int(checkpoint.manifest["sequence"]))


def _compare(name: str, one: _Checkpoint, other: _Checkpoint) -> ComponentComparison:
    files, other_files = one.files(name), other.files(name)
    differences = []
    for side, components in (("first", one.components), ("second", other.components)):
        if name not in components:
            differences.append(f"the {side} run does not have it")
    if not differences:
        for path in dict.fromkeys([*files, *other_files]):
            ours, theirs = files.get(path), other_files.get(path)
            if ours is None or theirs is None:
                differences.append(f"only the {'second' if ours is None else 'first'} has {path}")
            elif (ours["size"], ours[_ALGORITHM]) != (theirs["size"], theirs[_ALGORITHM]):
                differences.append(f"{path} differs")
    return ComponentComparison(
        name=name,
        kind=str({**other.components, **one.components}[name]["kind"]),
        bytes=sum(int(entry["size"]) for entry in files.values()),
        digests={path: str(entry[_ALGORITHM]) for path, entry in files.items()},
        differences=differences,
    )
