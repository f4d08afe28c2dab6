"""What one process does for all, and what every process does: nothing else here asks for a rank.

Every process calls the manager at the same steps, with the components of its own; who writes what is
the manager's business.
"""

from __future__ import annotations

from typing import Any

from hfl_core import ConfigError


def speaks(trainer: Any) -> bool:
    """Whether this process tells people what all of them do."""
    return bool(trainer.is_world_process_zero())


def require_supported(world_size: int) -> None:
    """Refuse, at the start instead of at the first save, what the manager refuses.

    Args:
        world_size: The number of processes that train together.

    Raises:
        ConfigError: There are several.
    """
    if world_size > 1:
        raise ConfigError(
            f"This run has {world_size} processes, and a joint checkpoint of several is not supported yet.",
            hint="Train with one process, or leave LifecycleCallback out.",
        )
