"""The save and retention policies that follow a Trainer's own settings.

The manager is made before the Trainer, so these are filled in when the Trainer is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Sequence

from hfl_checkpoint import KeepAll, OnSignal, keep_from
from hfl_core import load_settings

if TYPE_CHECKING:
    from hfl_checkpoint import Checkpoint, KeepPolicy, SaveContext


class Preemption(OnSignal):
    """Saves when SIGTERM comes, from `listen` to `rest`: while a Trainer that asks for it is in training."""

    def __init__(self) -> None:
        super().__init__("SIGTERM")
        self._is_on = False

    def on_start(self) -> None:
        """Wait for `listen`."""

    def listen(self) -> None:
        """Install the handler."""
        if not self._is_on:
            self._is_on = True
            super().on_start()

    def rest(self) -> None:
        """Remove the handler."""
        if self._is_on:
            self._is_on = False
            super().on_close()

    def on_close(self) -> None:
        """Remove the handler if it is there."""
        self.rest()

    def should_save(self, context: SaveContext) -> str | None:
        """Return ``"preemption"`` when the signal has come."""
        return super().should_save(context) if self._is_on else None


class KeepAsConfigured:
    """Keeps what a Trainer's ``save_total_limit`` and ``metric_for_best_model`` ask for.

    Args:
        is_alone: Whether there is no other policy; until the Trainer says more, the settings' one counts
            then, or everything is kept.
    """

    def __init__(self, *, is_alone: bool) -> None:
        self.inner: KeepPolicy | None = None
        self.own: KeepPolicy | None = None
        if is_alone:
            text = load_settings().keep
            self.inner = keep_from(text) if text else KeepAll()

    def __repr__(self) -> str:
        return f"the Trainer's settings ({self.inner!r})"

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose what the settings ask for."""
        found: Dict[str, str] = {}
        for policy in (self.inner, self.own):
            found.update({} if policy is None else policy.select(checkpoints))
        return found


def leaves(policy: Any) -> Iterator[Any]:
    """Yield a policy, or those that it is joined of."""
    parts = getattr(policy, "policies", None)
    if parts is None:
        if policy is not None:
            yield policy
        return
    for part in parts:
        yield from leaves(part)
