"""Optional libraries: what happens where an extra is not installed."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from hfl_core.errors import MissingExtraError

_lock = threading.Lock()
_said: set[tuple[str, str]] = set()


def import_extra(module: str, *, feature: str, extra: str, required: bool = True) -> Any:
    """Import a library that an extra brings.

    Where somebody asked for the feature by name, its absence is an error. Where it is only nicer to
    have, it is said once, as a warning that names the extra, and the rest goes on.

    Args:
        module: What to import: ``"blosc2"``.
        feature: What needs it, as a noun: ``"compression"``.
        extra: What to install: ``"hfl-checkpoint[compression]"``.
        required: Whether to raise if it cannot be imported.

    Returns:
        The module; None if it cannot be imported and is not required.

    Raises:
        MissingExtraError: It is required and cannot be imported.

    Example:
        >>> import_extra("json", feature="JSON", extra="hfl-core[json]").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = MissingExtraError(feature, extra=extra)
        if not _is_absent(error, module):
            # It is installed and does not load, so that installing it once more may not help.
            missing.message = f"{feature[:1].upper()}{feature[1:]} is off: '{module}' cannot be imported ({error})."
        if required:
            raise missing from error
        warn_once(missing)
        return None


def warn_once(missing: MissingExtraError) -> None:
    """Log that a feature is off, the first time that it is missed in this process.

    Args:
        missing: What is missing.
    """
    key = (missing.feature, missing.extra)
    with _lock:
        if key in _said:
            return
        _said.add(key)
    from hfl_core._log import get_logger

    get_logger(__name__).warning("%s The rest goes on without it.", missing)


def _is_absent(error: ImportError, module: str) -> bool:
    return isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
