"""Makes the next step of any optimizer wait for the snapshots that are not copied yet."""

from __future__ import annotations

import functools
import os
from typing import Any, Dict, Protocol

from torch.optim.optimizer import register_optimizer_step_pre_hook


class Held(Protocol):
    """A snapshot that an optimizer's step would spoil."""

    def help(self) -> None:
        """Copy what is left."""


# By id; a plain dict, whose single operations need no lock: the hook may run on any thread, and between
# any two instructions of another one.
_held: Dict[int, Held] = {}


def hold(snapshot: Held) -> None:
    """Let no optimizer take a step before this snapshot is copied."""
    _register()
    _held[id(snapshot)] = snapshot


def let_go(snapshot: Held) -> None:
    """The snapshot is copied."""
    _held.pop(id(snapshot), None)


def _before_step(*_: Any) -> None:
    if _held:
        _finish_all()


def _finish_all() -> None:
    for snapshot in list(_held.values()):
        snapshot.help()
        let_go(snapshot)


# A compiled step calls this; it is not compiled into it. The attribute is what torch.compiler.disable
# sets, which would import the compiler.
_finish_all._torchdynamo_disable = True  # type: ignore[attr-defined]  # functions may have attributes


@functools.lru_cache(maxsize=None)
def _register() -> None:
    # For all optimizers, not only the saved ones: another one may hold the same parameters, and with a
    # fused backward pass there is one for each parameter.
    register_optimizer_step_pre_hook(_before_step)
    if hasattr(os, "register_at_fork"):
        # The thread that copies does not exist in a fork, and the snapshot is not the fork's.
        os.register_at_fork(after_in_child=_held.clear)
