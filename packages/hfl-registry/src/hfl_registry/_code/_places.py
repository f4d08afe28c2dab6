"""Where a module comes from: Python itself, a package that pip can install, or somebody's own folder."""

from __future__ import annotations

import dataclasses
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any, Dict, Literal, Mapping

__all__ = ["Place", "Source", "locate", "source_of", "submodule_exists"]

Kind = Literal["standard", "installed", "own", "compiled", "missing"]

_SITE = ("site-packages", "dist-packages")
_SEPARATORS = re.compile(r"[-_.]+")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a module comes from.

    Attributes:
        kind: Python's own, installed from an index, somebody's own, own and compiled, or not there.
        path: Its file, for one's own.
        is_package: Whether it is a package.
        requirement: What pip installs it by, for one that is installed.
    """

    kind: Kind
    path: Path | None = None
    is_package: bool = False
    requirement: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """The source of a module of one's own.

    Attributes:
        name: The module.
        text: Its source.
        path: Its file; None for what was typed into a notebook.
        is_package: Whether it is the ``__init__`` of a package.
        shown: How messages name it: never with a folder of this machine.
    """

    name: str
    text: str
    path: Path | None
    is_package: bool
    shown: str

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    def at(self, line: int) -> str:
        """Name a line of it."""
        return f"{self.shown}:{line}"


def locate(name: str) -> Place:
    """Find out where a module comes from, without importing more than its parents.

    Args:
        name: The module, in full.
    """
    top = name.partition(".")[0]
    if top in sys.builtin_module_names or top in _standard_names():
        return Place("standard")
    spec = _spec(name)
    if spec is None:
        return Place("missing")
    origin = spec.origin
    if origin is None or not Path(origin).exists():
        # A namespace package: what is in it decides.
        return Place("own" if origin is None else "missing", None, True)
    path = Path(origin)
    if _is_standard(path):
        return Place("standard")
    requirement = _requirement(top)
    if requirement is not None and _is_from_index(top, path):
        return Place("installed", requirement=requirement)
    if path.name.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)) or path.suffix != ".py":
        return Place("compiled", path)
    return Place("own", path, spec.submodule_search_locations is not None)


def source_of(name: str, place: Place) -> Source:
    """Read the source of a module of one's own."""
    path = place.path
    text = "" if path is None else path.read_text(encoding="utf-8")
    tail = name.replace(".", "/")
    shown = f"{tail}/__init__.py" if place.is_package else f"{tail}.py"
    return Source(name, text, path, place.is_package, shown)


def submodule_exists(package: str, name: str) -> bool:
    """Say whether a package has a module of that name."""
    return _spec(f"{package}.{name}") is not None


def _spec(name: str) -> Any:
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is not None:
        return module.__spec__
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


@functools.lru_cache(maxsize=None)
def _standard_names() -> Any:
    names = getattr(sys, "stdlib_module_names", None)  # from Python 3.10 on
    return frozenset(names or ())


def _is_standard(path: Path) -> bool:
    if any(part in _SITE for part in path.parts):
        return False
    roots = {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib")}
    return any(str(path.resolve()).startswith(str(Path(root).resolve())) for root in roots)


@functools.lru_cache(maxsize=None)
def _distributions() -> Mapping[str, Any]:
    """Map each importable name to the distribution that brings it."""
    found: Dict[str, Any] = {}
    for distribution in importlib.metadata.distributions():
        text = distribution.read_text("top_level.txt")
        names = set((text or "").split())
        record = distribution.read_text("RECORD") or ""
        for line in record.splitlines():
            first = line.partition(",")[0].partition("/")[0]
            if line.startswith((f"{first}/", f"{first},")) and not first.endswith(
                (".dist-info", ".pth", ".data")
            ):
                names.add(first.partition(".")[0])
        for name in names:
            found.setdefault(name, distribution)
        if not names or _origin(distribution) is not None:
            # An editable install lists no modules of its own.
            found.setdefault(_name(distribution).replace("-", "_"), distribution)
    return found


def _name(distribution: Any) -> str:
    return _SEPARATORS.sub("-", distribution.metadata["Name"]).lower()


@functools.lru_cache(maxsize=None)
def _requirement(top: str) -> str | None:
    distribution = _distributions().get(top)
    if distribution is None:
        return None
    name, origin = _name(distribution), _origin(distribution)
    vcs = (origin or {}).get("vcs_info")
    if vcs is not None and origin is not None:
        return f"{name} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    # Without a build's local part: "2.8.0+cpu" is on no index that pip asks by itself.
    return f"{name}=={distribution.version.partition('+')[0]}"


def _origin(distribution: Any) -> Dict[str, Any] | None:
    text = distribution.read_text("direct_url.json")
    found: Dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def _is_from_index(top: str, path: Path) -> bool:
    """Whether pip can install it elsewhere: it came from an index, or from a repository at a commit."""
    distribution = _distributions().get(top)
    if distribution is None:
        return False
    if top.startswith(("hfl_", "hf_lifecycle")):  # these are what publishes it
        return True
    origin = _origin(distribution)
    if origin is None:
        return any(part in _SITE for part in path.parts)
    return "vcs_info" in origin
