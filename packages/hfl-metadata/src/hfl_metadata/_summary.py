"""A record on a few lines, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List

from hfl_metadata._diff import show_value

if TYPE_CHECKING:
    from hfl_metadata._facts import DurationInfo, GitInfo, GpuInfo, LauncherInfo, ModelInfo
    from hfl_metadata._record import RunMetadata

_IMPORTANT = ("torch", "transformers", "datasets", "accelerate", "peft", "lightning", "numpy")


def summary_rows(record: RunMetadata) -> Dict[str, str]:
    """Describe a record.

    Args:
        record: The record.

    Returns:
        Label to text, in the order in which one reads them; what is not known is left out.
    """
    known = [f"{name} {record.packages[name]}" for name in _IMPORTANT if name in record.packages]
    rows = {
        "captured": record.captured_at,
        "git": _git(record.git),
        "command": " ".join(record.command),
        "python": f"{record.python.implementation} {record.python.version}"
        + (f" ({record.python.environment})" if record.python.environment else ""),
        "packages": f"{len(record.packages)}"
        + (f": {', '.join(known)}" if known else "")
        + _editable(record),
        "lock files": ", ".join(f"{file.path} ({file.digest[:19]})" for file in record.lock_files),
        "system": record.platform.distribution or record.platform.description,
        "container": record.platform.container or "",
        "cpu": _cpu(record),
        "memory": _memory(record.memory.total, record.memory.limit),
        "gpus": _gpus(record.gpus),
        "backends": _backends(record),
        "launcher": _launcher(record.launcher),
        "durations": "" if record.durations is None else _durations(record.durations),
        "model": "" if record.model is None else _model(record.model),
        "hyperparameters": _pairs(record.hyperparameters),
        "data": "" if record.data is None else show_value(record.data),
        "seeds": _pairs(record.seeds),
        **{name: show_value(value) for name, value in record.extra.items()},
        "not recorded": ", ".join(f"{item.path} ({item.type})" for item in record.omissions),
        "not found out": ", ".join(f"{name}: {why}" for name, why in record.problems.items()),
    }
    return {label: text for label, text in rows.items() if text}


def summary(record: RunMetadata) -> str:
    """Write a record on a few lines.

    Args:
        record: The record.

    Returns:
        A line for each thing that is known.
    """
    rows = summary_rows(record)
    width = max(len(label) for label in rows)
    return "\n".join(f"{label.ljust(width)}  {text}" for label, text in rows.items())


def duration_text(seconds: float) -> str:
    """Write a duration: ``"2 h 5 min"``.

    Args:
        seconds: The duration.

    Returns:
        Its two largest parts.
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _git(git: GitInfo) -> str:
    if git.commit is None and git.problem is not None:
        return f"- ({git.problem})"
    parts = [git.commit[:12] if git.commit else "no commit yet"]
    parts.append(f"on {git.branch}" if git.branch else "detached")
    if git.dirty:
        digest = f" ({git.diff_digest[:19]})" if git.diff_digest else ""
        parts.append(f"with changes{digest}")
    if git.operation:
        parts.append(f"in a {git.operation}")
    moved = [module.path for module in git.submodules if module.state != "clean"]
    if moved:
        parts.append(f"submodules not clean: {', '.join(moved)}")
    if git.remote:
        parts.append(f"of {git.remote}")
    if git.problem:
        parts.append(f"({git.problem})")
    return " ".join(parts)


def _editable(record: RunMetadata) -> str:
    names = [name for name, origin in record.origins.items() if origin.kind == "editable"]
    others = len(record.origins) - len(names)
    said = [f"{len(names)} editable"] if names else []
    said += [f"{others} not from an index"] if others else []
    return f"; {', '.join(said)}" if said else ""


def _cpu(record: RunMetadata) -> str:
    cpu = record.cpu
    parts = [cpu.model] if cpu.model else []
    if cpu.logical_cores:
        usable = len(cpu.affinity) if cpu.affinity else cpu.logical_cores
        parts.append(
            f"{usable} of {cpu.logical_cores} threads"
            if usable != cpu.logical_cores
            else f"{usable} threads"
        )
    if cpu.limit is not None:
        parts.append(f"limited to {cpu.limit:g} cores")
    return ", ".join(parts)


def _memory(total: int | None, limit: int | None) -> str:
    parts = [_size(total)] if total else []
    parts += [f"limited to {_size(limit)}"] if limit else []
    return ", ".join(parts)


def _size(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def _gpus(gpus: List[GpuInfo]) -> str:
    kinds: Dict[str, int] = {}
    for gpu in gpus:
        text = gpu.name + (f" {_size(gpu.memory)}" if gpu.memory else "")
        kinds[text] = kinds.get(text, 0) + 1
    driver = f", driver {gpus[0].driver}" if gpus and gpus[0].driver else ""
    return ", ".join(f"{count} x {text}" for text, count in kinds.items()) + driver


def _backends(record: RunMetadata) -> str:
    known = record.backends
    parts = [
        f"{name} {value}"
        for name, value in (
            ("CUDA", known.cuda),
            ("cuDNN", known.cudnn),
            ("NCCL", known.nccl),
            ("ROCm", known.rocm),
        )
        if value
    ]
    return ", ".join([*parts, *(["MPS"] if known.mps else [])])


def _launcher(launcher: LauncherInfo) -> str:
    names = [name for name in (launcher.program, launcher.scheduler) if name]
    parts = [" under ".join(names)] if names else []
    if launcher.rank is not None and launcher.world_size is not None:
        parts.append(f"rank {launcher.rank} of {launcher.world_size}")
    if launcher.nodes is not None:
        parts.append(f"{launcher.nodes} nodes" if launcher.nodes != 1 else "1 node")
    return ", ".join(parts)


def _durations(known: DurationInfo) -> str:
    parts = [
        f"{name} {duration_text(seconds)}"
        for name, seconds in (
            ("training", known.training),
            ("saving", known.saving),
            ("evaluating", known.evaluating),
        )
        if seconds
    ]
    sessions = f", {known.sessions} sessions" if known.sessions != 1 else ""
    inner = f" ({', '.join(parts)})" if parts else ""
    return f"{duration_text(known.wall)}{inner}{sessions}"


def _model(model: ModelInfo) -> str:
    frozen = model.parameters - model.trainable_parameters
    parts = [model.type.rpartition(".")[2], f"{model.parameters:,} parameters"]
    parts += [f"{frozen:,} frozen"] if frozen else []
    parts += ["/".join(model.dtypes)] if model.dtypes else []
    if model.quantization:
        parts.append(f"quantized ({model.quantization.get('method', 'see its modules')})")
    return ", ".join(parts)


def _pairs(values: Dict[str, object]) -> str:
    return ", ".join(f"{name}={show_value(value)}" for name, value in values.items())
