"""The only place that knows under which names Lightning is installed, and that its versions differ."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import re
import sys
from typing import Any, Dict, Iterator, List, Tuple

from hfl_core import ConfigError, MissingExtraError
from hfl_integrations.errors import UnsupportedFrameworkError

SUPPORTED = ">=2.3,<2.7"
_LOWEST, _BEYOND = (2, 3), (2, 7)

# The package, and the module of it that has Trainer and Fabric. The first one that is installed is taken
# where the program has imported neither.
_NAMES = (("lightning", "lightning.pytorch"), ("pytorch_lightning", "pytorch_lightning"))
_FABRICS = {"lightning": "lightning.fabric", "pytorch_lightning": "lightning_fabric"}

_bound: Dict[Tuple[type, Tuple[type, ...]], type] = {}


@dataclasses.dataclass(frozen=True)
class Framework:
    """One of the two names under which Lightning is imported.

    Attributes:
        name: ``"lightning"`` or ``"pytorch_lightning"``.
        version: Its version.
    """

    name: str
    version: str

    def find(self, path: str, attribute: str) -> Any:
        """Return an attribute of a module below the one that has the Trainer."""
        root = dict(_NAMES)[self.name]
        return getattr(importlib.import_module(f"{root}.{path}" if path else root), attribute)

    def find_in_fabric(self, path: str, attribute: str) -> Any:
        """Return an attribute of a module of Fabric."""
        root = _FABRICS[self.name]
        return getattr(importlib.import_module(f"{root}.{path}" if path else root), attribute)


def frameworks(needed_by: str) -> List[Framework]:
    """Return those that this program has imported, or the one that it would.

    The classes of ``lightning`` and ``pytorch_lightning`` are not the same, and a Trainer only
    recognises callbacks of its own.

    Args:
        needed_by: What asks, for the message.

    Raises:
        MissingExtraError: Neither is installed.
        UnsupportedFrameworkError: One is not of a version that works.
    """
    names = [name for name, root in _NAMES if sys.modules.get(root) is not None]
    if not names:
        names = [name for name, _ in _NAMES if _can_import(name)][:1]
    if not names:
        raise MissingExtraError(needed_by, extra="hfl-integrations[lightning]")
    return [_checked(name) for name in names]


def framework_of(owner: Any) -> Framework:
    """Return the framework that an object (a Trainer, Fabric) comes from."""
    for cls in type(owner).__mro__:
        top = cls.__module__.split(".")[0]
        name = {"lightning_fabric": "pytorch_lightning"}.get(top, top)
        if name in _FABRICS:
            return _checked(name)
    raise ConfigError(
        f"{type(owner).__module__}.{type(owner).__qualname__} is none of Lightning's classes.",
        hint="Pass a Trainer or a Fabric of lightning or pytorch_lightning.",
    )


def require_supported(name: str, version: str) -> None:
    """Refuse a version of Lightning that is not known to work.

    Raises:
        UnsupportedFrameworkError: It is out of range.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not _LOWEST <= numbers < _BEYOND:
        raise UnsupportedFrameworkError(name, version, supported=SUPPORTED)


def bound(cls: type, path: str, attribute: str, *, needed_by: str) -> type:
    """Make a class a subclass of the framework's class of this name, whichever framework is in use.

    Args:
        cls: The class without a base of the framework's.
        path: The module of the base, below the one that has the Trainer.
        attribute: Its name.
        needed_by: As for `frameworks`.
    """
    bases = tuple(dict.fromkeys(item.find(path, attribute) for item in frameworks(needed_by)))
    if issubclass(cls, bases):
        return cls
    key = (cls, bases)
    if key not in _bound:
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        _bound[key] = type(cls.__name__, (cls, *bases), {**names, "__doc__": cls.__doc__})
    return _bound[key]


def is_sigterm(error: BaseException) -> bool:
    """Whether this is how Lightning ends a training that got SIGTERM."""
    return any(cls.__name__ == "SIGTERMException" for cls in type(error).__mro__)


def sigterm_error(trainer: Any) -> BaseException:
    """Make what Lightning raises to end a training that got SIGTERM."""
    made: BaseException = framework_of(trainer).find("utilities.exceptions", "SIGTERMException")()
    return made


@contextlib.contextmanager
def without_restarting(loop: Any) -> Iterator[None]:
    """Let a loop think for a moment that it restarts, so that it makes no new iterator."""
    loop._restarting = True
    try:
        yield
    finally:
        loop._restarting = False


def begin_afresh(loop: Any) -> None:
    """Take back what a loop and those inside it do on their own account after a load of their state.

    They guess from the counters where they were interrupted, differently in each version, and repeat
    or leave out a batch or a validation. Here it is known.
    """
    loop._restarting = False
    for name in ("_loaded_from_state_dict", "_resuming_from_checkpoint"):
        if hasattr(loop, name):
            setattr(loop, name, False)
    for inner in vars(loop).values():
        if hasattr(inner, "_restarting") and inner is not loop:
            begin_afresh(inner)


def resolve_directory(callback: Any, trainer: Any) -> str:
    """Where ModelCheckpoint would save: below the logger's folder, or the Trainer's."""
    return str(callback._ModelCheckpoint__resolve_ckpt_dir(trainer))


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(dict(_NAMES)[name])
    except ImportError:
        return False
    return True


def _checked(name: str) -> Framework:
    version = str(importlib.import_module(name).__version__)
    require_supported(name, version)
    return Framework(name, version)
