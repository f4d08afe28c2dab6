"""What is installed, whether it fits together, and what is set."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from hf_lifecycle._doctor._finding import Finding
from hfl_core import __version__, load_settings

__all__ = ["optional_parts", "requirements", "settings", "versions"]

_OURS = [
    "hfl-auth", "hfl-checkpoint", "hfl-cli", "hfl-core", "hfl-datasets", "hfl-integrations",
    "hfl-localhub", "hfl-metadata", "hfl-registry", "hfl-repo", "hfl-state", "huggingface-lifecycle",
]  # fmt: skip
_THEIRS = [
    "torch", "huggingface-hub", "hf-xet", "safetensors", "transformers", "accelerate", "lightning",
    "datasets", "peft", "numpy",
]  # fmt: skip
# What a part is for, the distribution that brings it, and how it is asked for.
_PARTS = [
    ("Trainer", "transformers", "hfl-integrations[transformers]"),
    ("Lightning", "lightning", "hfl-integrations[lightning]"),
    ("Accelerate", "accelerate", "hfl-integrations[accelerate]"),
    ("adapters (PEFT)", "peft", "peft"),
    ("compression", "blosc2", "hfl-checkpoint[compression]"),
    ("tokens in the keyring", "keyring", "hfl-auth[keyring]"),
    ("notifications", "apprise", "hfl-core[notify]"),
    (".env files", "python-dotenv", "hfl-core[dotenv]"),
]


def versions() -> Iterator[Finding]:
    """The interpreter, our packages and those that they work with."""
    python = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    )
    if sys.version_info[:3] == (3, 13, 0):
        yield Finding(
            "Python",
            "warning",
            f"{python}; in 3.13.0 torch.compile is slower, and imports fail in a folder that was deleted",
            "Update to Python 3.13.1 or newer.",
        )
    else:
        yield Finding("Python", "ok", python)
    ours = _installed(_OURS)
    others = sorted(f"{name} {version}" for name, version in ours.items() if version != __version__)
    if others:
        yield Finding(
            "packages",
            "problem",
            f"hfl-core is {__version__}, and there are {', '.join(others)}",
            "Bring them to one version: pip install --upgrade huggingface-lifecycle",
        )
    else:
        yield Finding("packages", "ok", f"{len(ours)} packages of version {__version__}")
    found = [f"{name} {version}" for name, version in _installed(_THEIRS).items()]
    yield Finding("libraries", "ok", ", ".join(found))


def requirements() -> Iterator[Finding]:
    """Whether what is installed is what it asks of one another."""
    unmet = [text for name in [*_OURS, *_THEIRS] for text in _unmet(name)]
    if unmet:
        yield Finding(
            "requirements",
            "problem",
            "; ".join(unmet),
            "Install versions that fit together: pip install --upgrade huggingface-lifecycle, or pip check "
            "for all packages.",
        )
    else:
        yield Finding("requirements", "ok", "all met")


def optional_parts() -> Iterator[Finding]:
    """Which optional parts are there."""
    there = [what for what, name, _ in _PARTS if _version(name) is not None]
    absent = [(what, how) for what, name, how in _PARTS if _version(name) is None]
    yield Finding("optional parts", "ok", ", ".join(there) or "none")
    if absent:
        yield Finding(
            "optional parts",
            "note",
            f"not installed: {', '.join(what for what, _ in absent)}",
            f"If you need one: pip install {' '.join(repr(how) for _, how in absent)}",
        )


def settings(folder: Path) -> Iterator[Finding]:
    """Whether the settings are valid, and what is not the default."""
    found = load_settings(folder)
    changed = [
        f"{row.name} = {getattr(found, row.name)} ({found.source(row.name)})"
        for row in found.fields()
        if found.source(row.name) != "default"
    ]
    yield Finding("settings", "ok", "; ".join(changed) or "all at their defaults")


def _installed(names: List[str]) -> Dict[str, str]:
    found: List[Tuple[str, str | None]] = [(name, _version(name)) for name in names]
    return {name: version for name, version in found if version is not None}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _unmet(name: str) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for text in wanted:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # a distribution's own slip, and no reason to stop
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if version is None:
            yield f"{name} needs {requirement.name}, which is not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name} needs {requirement.name} {requirement.specifier}, and {version} is installed"
