"""The folders, the disk and the GPUs."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from hf_lifecycle._doctor._finding import Finding
from hfl_core import load_settings
from hfl_core.cli import human_bytes

__all__ = ["disk_speed", "folders", "gpus"]

_LITTLE_BYTES = 5 << 30
_LITTLE_SHARE = 0.05
_SLOW_FLUSH = (
    0.1  # seconds; a spinning disk takes 10 to 20 ms, a network file system under load much more
)
_SLOW_RATE = 50e6  # bytes per second
_SAMPLE = 16 << 20


def folders(folder: Path) -> Iterator[Finding]:
    """Whether what has to be written can be, and whether there is room."""
    places: List[Tuple[str, Path]] = [
        ("this folder", folder),
        ("cache", load_settings(folder).cache_dir),
        ("Hugging Face's folder", _hugging_face_home()),
        ("temporary files", Path(tempfile.gettempdir())),
    ]
    for name, path in places:
        existing = _nearest(path)
        problem = _write_problem(existing)
        if problem is not None:
            yield Finding(
                name, "problem", f"{path} cannot be written ({problem})", f"Check {existing}."
            )
            continue
        usage = shutil.disk_usage(existing)
        text = f"{path}, {human_bytes(usage.free)} free of {human_bytes(usage.total)}"
        if usage.free < _LITTLE_BYTES or usage.free < _LITTLE_SHARE * usage.total:
            yield Finding(
                name,
                "warning",
                text,
                "Make room: hfl checkpoint clean, or hf cache prune for downloads.",
            )
        else:
            yield Finding(name, "ok", text)


def disk_speed(folder: Path) -> Iterator[Finding]:
    """How long it takes until something is safely on the disk."""
    if _write_problem(folder) is not None:  # which was reported above
        return
    flushes = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(5):
            file.write(b"\0" * 4096)
            began = time.perf_counter()
            _flush(file)
            flushes.append(time.perf_counter() - began)
        data = os.urandom(_SAMPLE)
        began = time.perf_counter()
        file.write(data)
        _flush(file)
        rate = _SAMPLE / (time.perf_counter() - began)
    flush = statistics.median(flushes)
    text = f"a flush takes {flush * 1000:.1f} ms, and {human_bytes(rate)} are written in a second"
    if flush > _SLOW_FLUSH or rate < _SLOW_RATE:
        yield Finding(
            "disk speed",
            "warning",
            text,
            "Keep runs on a local disk if you can; saving in the background hides most of it.",
        )
    else:
        yield Finding("disk speed", "ok", text)


def gpus() -> Iterator[Finding]:
    """What the driver sees, and what torch can use of it."""
    from hfl_metadata import capture

    seen = capture().gpus
    usable, build = _torch_devices()
    names = ", ".join(gpu.name for gpu in seen) or "none"
    if build is None:
        yield Finding("GPU", "note", f"{names}; torch is not installed")
    elif seen and not usable:
        yield Finding(
            "GPU",
            "problem",
            f"the driver sees {names}, and torch {build} cannot use it",
            "Install the torch that fits the driver, and check CUDA_VISIBLE_DEVICES.",
        )
    else:
        yield Finding("GPU", "ok", f"{names}; torch {build} uses {usable or 'the processor'}")


def _torch_devices() -> Tuple[str, str | None]:
    try:
        import torch
    except ImportError:
        return "", None
    version = str(torch.__version__)
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} CUDA devices", version
    mps: Any = getattr(torch.backends, "mps", None)
    return ("MPS" if mps is not None and mps.is_available() else ""), version


def _hugging_face_home() -> Path:
    # https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(cache) / "huggingface").expanduser()


def _nearest(path: Path) -> Path:
    return next((each for each in [path, *path.parents] if each.is_dir()), path)


def _write_problem(folder: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        return error.strerror or str(error)
    return None


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
