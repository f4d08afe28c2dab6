"""The parts that a record is made of: plain, frozen, comparable."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class SubmoduleInfo:
    """A submodule of the repository.

    Attributes:
        path: Relative to the root of the repository.
        commit: What is checked out there; where nothing is, the commit that the repository asks for.
        state: ``"clean"``, ``"modified"`` (files differ), ``"moved"`` (another commit than the
            repository asks for; files may differ, too) or ``"absent"`` (not checked out).
    """

    path: str
    commit: str | None
    state: str


@dataclasses.dataclass(frozen=True)
class GitInfo:
    """The state of the repository that the process was started in.

    Attributes:
        commit: The full hash of ``HEAD``, or None (no repository, or no commit yet).
        branch: The branch that is checked out, or None (detached).
        dirty: Whether tracked files differ from the commit; None when that is not known.
        remote: The address of the remote, without credentials, or None.
        problem: Why there is no answer or only a part of one, in a few words, or None.
        operation: What is under way: ``"merge"``, ``"rebase"``, ``"cherry-pick"``, ``"revert"``,
            ``"bisect"``, or None.
        worktree: Whether this is a linked worktree; None when that is not known.
        submodules: The submodules, in the order of ``.gitmodules``.
        diff_digest: ``"sha256:…"`` of the difference between the commit and the tracked files, when
            they differ: two runs with the same commit and digest ran the same tracked code.
        patch: That difference itself, if it was asked for, with secrets masked.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    remote: str | None = None
    problem: str | None = None
    operation: str | None = None
    worktree: bool | None = None
    submodules: list[SubmoduleInfo] = dataclasses.field(default_factory=list)
    diff_digest: str | None = None
    patch: str | None = None


@dataclasses.dataclass(frozen=True)
class PythonInfo:
    """The interpreter.

    Attributes:
        version: ``"3.11.9"``.
        implementation: ``"CPython"``.
        executable: The path of the interpreter, with the home directory as ``~``.
        environment: ``"venv"``, ``"conda"`` or ``"system"``; None in records that did not say.
    """

    version: str
    implementation: str
    executable: str
    environment: str | None = None


@dataclasses.dataclass(frozen=True)
class PackageOrigin:
    """Where a distribution came from that was not simply taken from an index (PEP 610).

    Attributes:
        kind: ``"editable"``, ``"directory"``, ``"archive"`` or the version control system, ``"git"``.
        url: The address, without credentials, with home directories as ``~``.
        commit: The commit that was installed, from version control.
        revision: The branch or tag that was asked for, from version control.
        digest: ``"sha256:…"`` of an archive, where it is known.
    """

    kind: str
    url: str | None = None
    commit: str | None = None
    revision: str | None = None
    digest: str | None = None


@dataclasses.dataclass(frozen=True)
class LockFileInfo:
    """A file that pins dependencies.

    Attributes:
        path: Relative to the root of the repository, or to the working directory without one.
        digest: ``"sha256:…"`` of its content.
    """

    path: str
    digest: str


@dataclasses.dataclass(frozen=True)
class PlatformInfo:
    """The operating system.

    Attributes:
        system: ``"Linux"``.
        release: The version of the kernel.
        machine: ``"x86_64"``.
        description: One line for people, as ``platform.platform()`` puts it.
        distribution: ``"Ubuntu 22.04.4 LTS"``, where the system says so.
        container: ``"docker"``, ``"podman"``, ``"kubernetes"``, ``"apptainer"``, ``"lxc"``, ``"wsl"``
            and the like; None outside of one.
    """

    system: str
    release: str
    machine: str
    description: str
    distribution: str | None = None
    container: str | None = None


@dataclasses.dataclass(frozen=True)
class CpuInfo:
    """The processor.

    Attributes:
        model: What the maker calls it, or None.
        physical_cores: Cores, not counting hyper-threads; None when the system does not say.
        logical_cores: Hardware threads of the machine.
        affinity: The hardware threads that this process may use, or None where the system
            has no such notion.
        limit: The processor time that the control group (the container) allows, in cores:
            ``2.5``; None for no limit.
    """

    model: str | None
    physical_cores: int | None
    logical_cores: int | None
    affinity: list[int] | None
    limit: float | None = None


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
class BackendInfo:
    """What computes. What torch knows is there if the program has imported torch before the capture.

    Attributes:
        cuda_driver: The newest CUDA that the driver supports: ``"12.4"``.
        cuda: The CUDA that torch was built with.
        cudnn: The version of cuDNN: ``"9.1.0"``.
        nccl: The version of NCCL: ``"2.21.5"``.
        rocm: The HIP that torch was built with.
        mps: Whether Apple's GPU can be used.
        visible_devices: ``CUDA_VISIBLE_DEVICES`` (``ROCR_VISIBLE_DEVICES``, ``HIP_VISIBLE_DEVICES``).
    """

    cuda_driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    rocm: str | None = None
    mps: bool | None = None
    visible_devices: str | None = None


@dataclasses.dataclass(frozen=True)
class LauncherInfo:
    """What started this process, and its place among the others.

    Attributes:
        program: ``"torchrun"``, ``"accelerate"``, ``"deepspeed"``, ``"mpirun"``, ``"srun"``, or None.
        scheduler: ``"slurm"``, ``"kubernetes"``, ``"lsf"``, ``"pbs"``, ``"sge"``, or None.
        rank: The number of this process among all.
        world_size: How many there are.
        local_rank: Its number on this machine.
        local_world_size: How many there are on this machine.
        node: The number of this machine.
        nodes: How many there are.
        restarts: How often the launcher has started it again.
        details: What else the launcher says: the job's id, the partition, the mixed precision.
    """

    program: str | None = None
    scheduler: str | None = None
    rank: int | None = None
    world_size: int | None = None
    local_rank: int | None = None
    local_world_size: int | None = None
    node: int | None = None
    nodes: int | None = None
    restarts: int | None = None
    details: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DurationInfo:
    """How long it took, in seconds, over all sessions of the run.

    Attributes:
        wall: From start to end, the time between two sessions left out.
        training: Of it, training.
        saving: Of it, waiting for checkpoints.
        evaluating: Of it, evaluating.
        sessions: How many processes worked on it, one after the other.
    """

    wall: float = 0.0
    training: float = 0.0
    saving: float = 0.0
    evaluating: float = 0.0
    sessions: int = 1


@dataclasses.dataclass(frozen=True)
class ModuleInfo:
    """A module that owns parameters; like ones that differ in a number of their name are one entry.

    Attributes:
        name: ``"layers.{0-31}.attention.query"``; ``*`` where more than one number differs.
        type: Its class, without the module that defines it.
        count: How many modules the entry stands for.
        parameters: Elements in all of them together; a tied parameter counts where it comes first.
        trainable_parameters: Those of them that require a gradient.
        dtype: The data type, or several, joined by commas.
    """

    name: str
    type: str
    count: int
    parameters: int
    trainable_parameters: int
    dtype: str


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
        frozen_parameters: Elements in those that do not; None in records that did not say.
        buffer_bytes: What the buffers occupy.
        modules: The table of the modules.
        config_digest: ``"sha256:…"`` of the configuration, without where it was loaded from and with
            which version of the library.
        quantization: The method and its settings, and the quantized modules by class, or None.
        wrappers: What the model was wrapped in, from the outside in: ``["DistributedDataParallel"]``.
    """

    type: str
    parameters: int
    trainable_parameters: int
    bytes: int
    dtypes: dict[str, int]
    config: dict[str, Any] | None = None
    frozen_parameters: int | None = None
    buffer_bytes: int | None = None
    modules: list[ModuleInfo] = dataclasses.field(default_factory=list)
    config_digest: str | None = None
    quantization: dict[str, Any] | None = None
    wrappers: list[str] = dataclasses.field(default_factory=list)


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
