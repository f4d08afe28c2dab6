"""The state at one moment, copied while the training goes on.

What a forward pass can change (buffers, random states, counters) is copied before `take` returns.
Parameters and the state of their optimizer change in ``optimizer.step()`` alone: they are copied later,
by the thread that writes, and the next step of any optimizer waits for what is not copied yet (see
`hfl_checkpoint._step_hook`; it helps while it waits). What is copied late is checked: if it was changed
in between all the same, the snapshot is useless and says so.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Mapping, Set, Tuple

import numpy as np
import torch

from hfl_checkpoint import _endings, _step_hook
from hfl_checkpoint._arena import Arena, Place
from hfl_checkpoint._device_copy import DeviceCopies
from hfl_checkpoint._lazy import Deferrable, flat
from hfl_checkpoint._tensors import Packed
from hfl_checkpoint.errors import SnapshotChangedError

# A piece is large enough to be worth a turn of the interpreter, and small enough for two threads to
# share one large tensor.
_PIECE_BYTES = 8 << 20
# A small part of what copying a piece takes.
_GLANCE_SECONDS = 0.0001
# A change that torch does not count (through `.data`, NumPy, another library) is to a tensor as a whole
# in practice; so many of its elements are compared.
_SAMPLES = 64


@dataclasses.dataclass(frozen=True)
class _Late:
    """A tensor that is copied after `take` has returned.

    Attributes:
        place: The component and the key.
        live: The parameter, or the optimizer's tensor: torch counts its changes in place.
        version: That count at the moment of the snapshot.
        source: Its elements in the order of its memory.
        target: The same for the buffer.
        sample: Some of the elements at the moment of the snapshot, as bytes.
    """

    place: Place
    live: torch.Tensor
    version: int
    source: torch.Tensor
    target: torch.Tensor
    sample: torch.Tensor

    @property
    def was_changed(self) -> bool:
        """Whether torch counted a change since the moment of the snapshot."""
        return self.live._version != self.version


_Piece = Tuple[_Late, int, int]
_Copy = Callable[[torch.Tensor, torch.Tensor], Any]


class Snapshot:
    """The tensors of a save.

    Attributes:
        packed: Component to its tensors in host memory; complete once `finish` has returned.
    """

    def __init__(
        self, packed: Dict[str, Packed], late: List[_Late], device: DeviceCopies | None
    ) -> None:
        self.packed = packed
        self._late = late
        self._device = device
        self._unchecked = [item for item in late if item.source.device.type != "cpu"]
        self._pieces: Deque[_Piece] = deque(_cut(late))
        self._left = len(self._pieces)
        self._changed: Set[Place] = set()
        self._error: Exception | None = None
        # Not a condition, which an interrupt of the training may leave locked.
        self._turn = threading.Lock()
        if late:
            _step_hook.hold(self)

    @classmethod
    def take(
        cls, arena: Arena, components: Mapping[str, Packed], deferrable: Deferrable
    ) -> Snapshot:
        """Copy what may change at any time, and note what is left for later.

        Args:
            arena: Where to; it holds this snapshot alone.
            components: Component to what is written of its tensors, on any device.
            deferrable: Which of them may be copied later.
        """
        wanted = {
            (component, key): tensor
            for component, packed in components.items()
            for key, tensor in packed.stored.items()
        }
        buffers = arena.places(wanted)
        late: List[_Late] = []
        now: List[Tuple[torch.Tensor, torch.Tensor]] = []
        for place, tensor in wanted.items():
            live = deferrable.find(place[0], tensor)
            if live is None:
                now.append((buffers[place], tensor))
                continue
            source, target = flat(tensor), flat(buffers[place])
            late.append(_Late(place, live, live._version, source, target, _sample(source)))
        device = _copy(now, late)
        packed = {
            component: dataclasses.replace(
                item, stored={key: buffers[component, key] for key in item.stored}
            )
            for component, item in components.items()
        }
        return cls(packed, late, device)

    def help(self) -> None:
        """Copy what is left, together with the thread that does it anyway. Never raises."""
        if self._device is not None:  # pragma: no cover  # needs a GPU
            self._look_for_changes()
            self._device.hold_device()
        with _endings.termination_postponed():  # a save cannot be finished without what is copied here
            self._work(_copy_in_parallel)

    def copy_beside(self) -> None:
        """Copy what is left, from a thread beside the training's. Never raises."""
        self._work(_copy_beside)

    def finish(self) -> None:
        """Copy what is left, from a thread beside the training's, and check the whole.

        Raises:
            SnapshotChangedError: Something was changed before it was copied.
        """
        try:
            self.copy_beside()
            if self._device is not None:  # pragma: no cover  # needs a GPU
                self._device.wait()
                self._look_for_changes()
        finally:
            _step_hook.let_go(self)
        if self._error is not None:
            raise self._error
        changed = self._changed or {
            item.place for item in self._late if not _is_equal(item.sample, _sample(item.target))
        }
        self._late = []
        if changed:
            raise SnapshotChangedError(sorted(f"{name}[{key!r}]" for name, key in changed))

    def abandon(self) -> None:
        """Copy no more; when this returns, nothing writes to the arena."""
        with self._turn:
            self._left -= len(self._pieces)
            self._pieces.clear()
        self._work(_copy_in_parallel)  # waits for the pieces that were begun
        if self._device is not None:  # pragma: no cover  # needs a GPU
            self._device.wait()
        _step_hook.let_go(self)

    def _work(self, copy: _Copy) -> None:
        while True:
            with self._turn:
                if not self._left:
                    return
                piece = self._pieces.popleft() if self._pieces else None
            if piece is None:
                # A piece that another thread has begun comes back if that thread is interrupted.
                time.sleep(_GLANCE_SECONDS)
                continue
            late, begin, end = piece
            is_done = False
            try:
                copy(late.target[begin:end], late.source[begin:end])
                is_done = True
            except Exception as error:  # noqa: BLE001  # the save fails with it, not the training
                self._error = error
                is_done = True
            finally:
                with self._turn:
                    if not is_done:
                        self._pieces.appendleft(piece)
                    elif late.was_changed:
                        self._changed.add(late.place)
                    self._left -= is_done

    def _look_for_changes(self) -> None:  # pragma: no cover  # needs a GPU
        """Look once: either when the next step begins, or when all is copied before it."""
        with self._turn:
            unchecked, self._unchecked = self._unchecked, []
            self._changed.update(item.place for item in unchecked if item.was_changed)


def _cut(late: List[_Late]) -> List[_Piece]:
    pieces = []
    for item in late:
        length = max(1, _PIECE_BYTES // item.source.element_size())
        if item.source.device.type == "cpu":
            for begin in range(0, item.source.numel(), length):
                pieces.append((item, begin, min(begin + length, item.source.numel())))
    return pieces


def _sample(elements: torch.Tensor) -> torch.Tensor:
    """Some elements, as bytes: a NaN equals itself there."""
    return elements[:: max(1, elements.numel() // _SAMPLES)].clone().view(torch.uint8)


def _is_equal(sample: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(sample.cpu(), other)


def _copy(now: List[Tuple[torch.Tensor, torch.Tensor]], late: List[_Late]) -> DeviceCopies | None:
    """Copy what is on the host already, and begin to copy what is on a GPU."""
    at_once = [(target, source) for target, source in now if source.device.type != "cuda"]
    if at_once:
        targets, sources = zip(*at_once)
        # One call for all: the interpreter's turn costs more than a small tensor's copy.
        torch._foreach_copy_(list(targets), list(sources))
    queued = [(target, source) for target, source in now if source.device.type == "cuda"]
    beside = [(item.target, item.source) for item in late if item.source.device.type == "cuda"]
    return DeviceCopies(queued, beside) if queued or beside else None


def _copy_in_parallel(target: torch.Tensor, source: torch.Tensor) -> None:
    target.copy_(source)


def _copy_beside(target: torch.Tensor, source: torch.Tensor) -> None:
    # By one thread and without the interpreter's lock; torch would start a second team of threads,
    # which takes the processors from the training's.
    np.copyto(target.view(torch.uint8).numpy(), source.view(torch.uint8).numpy())
