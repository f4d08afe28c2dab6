"""The record itself: frozen, comparable, and the same after a trip through JSON or YAML."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from hfl_core import ValidationError
from hfl_metadata._facts import (
    BackendInfo,
    CpuInfo,
    DurationInfo,
    GitInfo,
    GpuInfo,
    LauncherInfo,
    LockFileInfo,
    MemoryInfo,
    ModelInfo,
    Omission,
    PackageOrigin,
    PlatformInfo,
    PythonInfo,
)
from hfl_metadata._schema import SCHEMA, checked

if TYPE_CHECKING:
    from hfl_metadata._diff import MetadataDiff


@dataclasses.dataclass(frozen=True)
class RunMetadata:
    """What a run was: everything that one asks afterwards about where numbers came from.

    Attributes:
        captured_at: When, in UTC, as ISO 8601.
        git: The state of the repository.
        python: The interpreter.
        packages: Every installed distribution and its version, sorted by name.
        platform: The operating system.
        cpu: The processor.
        memory: The main memory.
        gpus: The GPUs, empty where there are none.
        command: The command line, secrets masked.
        model: The model, if one was given.
        hyperparameters: What was given, as plain JSON values.
        data: What was given, or a description of a dataset, as plain JSON values.
        extra: Whatever else was given, as plain JSON values.
        omissions: What could not be recorded as it was.
        origins: Where the distributions came from that were not taken from an index.
        lock_files: The files that pin dependencies, and their digests.
        backends: What computes: CUDA, cuDNN, NCCL, ROCm, MPS.
        launcher: What started this process, and its place among the others.
        seeds: The seeds that were given, and what the libraries say about theirs.
        durations: How long the run took so far, if a `RunClock` was given.
        problems: What could not be found out, and why.
        schema: The version of this layout.

    Example:
        >>> from hfl_metadata import RunMetadata, capture
        >>> metadata = capture(hyperparameters={"lr": 3e-4})
        >>> RunMetadata.from_json(metadata.to_json()) == metadata
        True
    """

    captured_at: str
    git: GitInfo
    python: PythonInfo
    packages: dict[str, str]
    platform: PlatformInfo
    cpu: CpuInfo
    memory: MemoryInfo
    gpus: list[GpuInfo]
    command: list[str]
    model: ModelInfo | None = None
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: Any = None
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)
    omissions: list[Omission] = dataclasses.field(default_factory=list)
    origins: dict[str, PackageOrigin] = dataclasses.field(default_factory=dict)
    lock_files: list[LockFileInfo] = dataclasses.field(default_factory=list)
    backends: BackendInfo = dataclasses.field(default_factory=BackendInfo)
    launcher: LauncherInfo = dataclasses.field(default_factory=LauncherInfo)
    seeds: dict[str, Any] = dataclasses.field(default_factory=dict)
    durations: DurationInfo | None = None
    problems: dict[str, str] = dataclasses.field(default_factory=dict)
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """Give the record as dictionaries, lists and plain values.

        Returns:
            What `to_json` writes.
        """
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Write the record as JSON, indented for people.

        Returns:
            Pure ASCII, so that a file name that is not valid UTF-8 survives too.

        Raises:
            ValueError: A field was filled by hand with something that JSON cannot hold.
                What `capture` returns always can be written.
        """
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunMetadata:
        """Read a record that `to_json` wrote.

        Args:
            text: The JSON.

        Returns:
            A record equal to the one that was written. One of an older schema has defaults for
            what it did not know.

        Raises:
            ValidationError: It is not JSON, not a record, or of a newer schema.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}.") from error
        return cls.from_dict(values)

    def to_yaml(self) -> str:
        """Write the record as YAML.

        Returns:
            Pure ASCII. Readers of YAML 1.1 and of YAML 1.2 understand the same.

        Raises:
            ValueError: A field was filled by hand with something that YAML cannot hold.
        """
        from hfl_metadata import _yaml

        return _yaml.dump(self.to_dict())

    @classmethod
    def from_yaml(cls, text: str | bytes) -> RunMetadata:
        """Read a record that `to_yaml` wrote.

        Args:
            text: The YAML.

        Returns:
            A record equal to the one that was written.

        Raises:
            ValidationError: It is not YAML, not a record, or of a newer schema.

        Example:
            >>> from hfl_metadata import RunMetadata, capture
            >>> metadata = capture(note="baseline")
            >>> RunMetadata.from_yaml(metadata.to_yaml()) == metadata
            True
        """
        from hfl_metadata import _yaml

        return cls.from_dict(_yaml.load(text))

    @classmethod
    def from_dict(cls, values: Any) -> RunMetadata:
        """Read a record from what `to_dict` gives.

        Args:
            values: Dictionaries, lists and plain values.

        Returns:
            The record.

        Raises:
            ValidationError: It is not a record, or of a newer schema.
        """
        built: RunMetadata = checked(cls, values)
        return built

    def diff(self, other: RunMetadata, *, everything: bool = False) -> MetadataDiff:
        """Say in what another run differs from this one.

        Args:
            other: The other run's record.
            everything: Also compare what no two runs have in common: when they were captured,
                how long they took, and the numbers that a scheduler gave them.

        Returns:
            The differences; as a text, a list that people can read.

        Example:
            >>> from hfl_metadata import capture
            >>> print(capture(None, {"lr": 0.1}).diff(capture(None, {"lr": 0.2})))
            hyperparameters
              lr  0.1 -> 0.2
        """
        from hfl_metadata._diff import compare

        return compare(self, other, everything=everything)

    def summary(self) -> dict[str, str]:
        """Say the most important things in words.

        Returns:
            Label to text, in the order in which one reads them; what is not known is left out.

        Example:
            >>> from hfl_metadata import capture
            >>> capture(seeds={"python": 1}).summary()["seeds"].split(", ")[0]
            'python=1'
        """
        from hfl_metadata._summary import summary_rows

        return summary_rows(self)

    def __str__(self) -> str:
        from hfl_metadata._summary import summary

        return summary(self)
