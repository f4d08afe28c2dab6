"""The record itself: frozen, comparable, and the same after a trip through JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Mapping

from hfl_core import ValidationError

SCHEMA = 1
"""The version of the JSON that this module writes. Any change of the fields raises it."""


@dataclasses.dataclass(frozen=True)
class GitInfo:
    """The state of the repository that the process was started in.

    Attributes:
        commit: The full hash of ``HEAD``, or None (no repository, or no commit yet).
        branch: The branch that is checked out, or None (detached).
        dirty: Whether tracked files differ from the commit; None when that is not known.
        remote: The address of the remote, without credentials, or None.
        problem: Why there is no answer, in a few words, or None.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    remote: str | None = None
    problem: str | None = None


@dataclasses.dataclass(frozen=True)
class PythonInfo:
    """The interpreter.

    Attributes:
        version: ``"3.11.9"``.
        implementation: ``"CPython"``.
        executable: The path of the interpreter, with the home directory as ``~``.
    """

    version: str
    implementation: str
    executable: str


@dataclasses.dataclass(frozen=True)
class PlatformInfo:
    """The operating system.

    Attributes:
        system: ``"Linux"``.
        release: The version of the kernel.
        machine: ``"x86_64"``.
        description: One line for people, as ``platform.platform()`` puts it.
    """

    system: str
    release: str
    machine: str
    description: str


@dataclasses.dataclass(frozen=True)
class CpuInfo:
    """The processor.

    Attributes:
        model: What the maker calls it, or None.
        physical_cores: Cores, not counting hyper-threads; None when the system does not say.
        logical_cores: Hardware threads of the machine.
        affinity: The hardware threads that this process may use, or None where the system
            has no such notion.
    """

    model: str | None
    physical_cores: int | None
    logical_cores: int | None
    affinity: list[int] | None


@dataclasses.dataclass(frozen=True)
class MemoryInfo:
    """The main memory, in bytes.

    Attributes:
        total: Of the machine.
        limit: What the control group (the container) allows, or None for no limit.
    """

    total: int | None
    limit: int | None


@dataclasses.dataclass(frozen=True)
class GpuInfo:
    """One GPU, as the driver describes it.

    Attributes:
        index: The driver's number; ``CUDA_VISIBLE_DEVICES`` does not renumber it.
        name: ``"NVIDIA H100 80GB HBM3"``.
        memory: Bytes.
        compute_capability: ``"9.0"``, or None.
        driver: The version of the driver, or None.
    """

    index: int
    name: str
    memory: int | None
    compute_capability: str | None
    driver: str | None


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """The model, without its weights.

    Attributes:
        type: The class, with its module.
        parameters: Elements in all parameters; a tied one counts once.
        trainable_parameters: Elements in those that require a gradient.
        bytes: What the parameters occupy.
        dtypes: Elements by data type.
        config: What ``model.config`` says, when the model has one, as transformers models do.
    """

    type: str
    parameters: int
    trainable_parameters: int
    bytes: int
    dtypes: dict[str, int]
    config: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Omission:
    """Something that JSON cannot hold, and what stands in its place.

    Attributes:
        path: Where it was: ``"hyperparameters.schedule[2]"``.
        type: Its class, with the module.
        kept: The text that was recorded instead, or None when the value was left out.
    """

    path: str
    type: str
    kept: str | None


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
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Write the record as JSON, indented for people.

        Returns:
            Pure ASCII, so that a file name that is not valid UTF-8 survives too.

        Raises:
            ValueError: A field was filled by hand with something that JSON cannot hold.
                What `capture` returns always can be written.
        """
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunMetadata:
        """Read a record that `to_json` wrote.

        Args:
            text: The JSON.

        Returns:
            A record equal to the one that was written.

        Raises:
            ValidationError: It is not JSON, not a record, or of a newer schema.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
            raise ValidationError(
                "This is JSON, but not the metadata of a run: it has no schema version.",
                hint="Pass the text of a checkpoint's metadata.json.",
            )
        if values["schema"] > SCHEMA:
            raise ValidationError(
                f"This metadata has schema {values['schema']}; this version reads up to {SCHEMA}.",
                hint="Upgrade hfl-metadata.",
            )
        values = dict(values)
        for name, part in _PARTS.items():
            values[name] = _build(part, values.get(name), name)
        values["model"] = (
            None if values.get("model") is None else _build(ModelInfo, values["model"], "model")
        )
        for name, part in _LISTS.items():
            values[name] = [
                _build(part, item, f"{name}[{index}]")
                for index, item in enumerate(values.get(name) or [])
            ]
        built: RunMetadata = _build(cls, values, "the record")
        return built


_PARTS = {
    "git": GitInfo,
    "python": PythonInfo,
    "platform": PlatformInfo,
    "cpu": CpuInfo,
    "memory": MemoryInfo,
}
_LISTS = {"gpus": GpuInfo, "omissions": Omission}


def _build(part: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValidationError(f"In this metadata, {where} is missing or not an object.")
    try:
        return part(**values)
    except TypeError as error:
        raise ValidationError(f"In this metadata, {where} has other fields: {error}.") from error
