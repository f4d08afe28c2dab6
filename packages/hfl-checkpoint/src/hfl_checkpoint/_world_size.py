"""What a checkpoint of another number of processes means for a restore.

Models, optimizers and schedules are the same for any number. What every process has of its own is not:
random streams, and the position in its share of the data. An object that can go on all the same says so by
accepting the state of rank 0 in its ``check``; each process derives its own from that.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Collection, Iterator, List, Mapping

from hfl_checkpoint.errors import StateMismatchError, WorldSizeError

if TYPE_CHECKING:
    from hfl_checkpoint._manifest import Manifest
    from hfl_checkpoint._ranks import Alone
    from hfl_checkpoint._reader import Saved


def rank_to_read(manifest: Manifest, team: Alone) -> int:
    """Whose state a process reads: its own, or that of rank 0 where their number is another one."""
    return team.rank if manifest.world_size == team.world_size else 0


def left_apart(
    manifest: Manifest,
    team: Alone,
    saved: Mapping[str, Saved],
    live: Mapping[str, Any],
    allowed: Collection[str],
) -> List[str]:
    """Name the components that stay as they are, since another number of processes saved them.

    Args:
        manifest: The checkpoint's.
        team: The processes now.
        saved: The components as they were saved.
        live: The live objects.
        allowed: Those that may stay as they are.

    Raises:
        WorldSizeError: One that may not does not accept the state of another number of processes.
    """
    if manifest.world_size == team.world_size:
        return []
    own = [name for name in saved if manifest.components[name].ranks]
    apart = []
    for name in own:
        check = getattr(live[name], "check", None)
        problems = (
            [str(text).rstrip(".") for text in check(saved[name].state)]
            if callable(check)
            else ["every process has a state of its own of it"]
        )
        if problems and name not in allowed:
            raise WorldSizeError(
                name,
                problems,
                saved=manifest.world_size,
                found=team.world_size,
                components=own,
            )
        if problems:
            apart.append(name)
    return apart


@contextlib.contextmanager
def naming_sizes(manifest: Manifest, team: Alone, live: Collection[str]) -> Iterator[None]:
    """Say so when what does not fit was saved by another number of processes."""
    try:
        yield
    except WorldSizeError:
        raise
    except StateMismatchError as error:
        is_about_it = any("world size" in text.lower() for text in error.differences)
        if manifest.world_size == team.world_size or not is_about_it:
            raise
        raise WorldSizeError(
            error.component,
            error.differences,
            saved=manifest.world_size,
            found=team.world_size,
            components=[name for name in live if _is_own(manifest, name)],
        ) from error


def _is_own(manifest: Manifest, name: str) -> bool:
    return name in manifest.components and bool(manifest.components[name].ranks)
