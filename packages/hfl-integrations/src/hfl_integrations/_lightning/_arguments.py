"""Which of the callback's arguments are ModelCheckpoint's, and which the manager's."""

from __future__ import annotations

import inspect
from typing import Any, Dict, Mapping, Tuple

from hfl_checkpoint import CheckpointManager
from hfl_core import ConfigError

# Options of the manager that the arguments of ModelCheckpoint take the place of.
_TAKEN = {"directory": "dirpath=", "naming": "filename="}


def split(
    cls: type, arguments: Mapping[str, Any], on_change: str
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Tell ModelCheckpoint's arguments from the manager's.

    Args:
        cls: The callback's class, a subclass of ModelCheckpoint.
        arguments: Those that were passed.
        on_change: The one that is neither's.

    Returns:
        ModelCheckpoint's, and the manager's.

    Raises:
        ConfigError: One is neither's, or makes no sense.
    """
    if on_change not in ("error", "override"):
        raise ConfigError(
            f"There is no on_change={on_change!r}.", hint="Use 'error' or 'override'."
        )
    base = next(item for item in cls.__mro__ if item.__name__ == "ModelCheckpoint")
    of_base = set(inspect.signature(base).parameters)
    of_manager = set(inspect.signature(CheckpointManager).parameters)
    for name in arguments:
        if name in _TAKEN:
            raise ConfigError(
                f"LifecycleCheckpoint has no option {name!r}.", hint=f"Use {_TAKEN[name]}."
            )
        if name not in of_base | of_manager:
            raise ConfigError(
                f"LifecycleCheckpoint has no argument {name!r}.",
                hint="It takes ModelCheckpoint's of this version of Lightning "
                f"({', '.join(sorted(of_base))}) and CheckpointManager's "
                f"({', '.join(sorted(of_manager - set(_TAKEN)))}).",
            )
    own = {name: value for name, value in arguments.items() if name in of_base}
    return own, {name: value for name, value in arguments.items() if name not in of_base}
