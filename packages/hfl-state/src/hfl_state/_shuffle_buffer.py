"""Shuffling a stream with a buffer that is part of the state."""

from __future__ import annotations

import copy
import random
from typing import Any, Dict, Iterator, List, Mapping, Set

from torch.utils.data import IterableDataset

from hfl_core import ConfigError
from hfl_state._component import FORMAT, format_problems, is_count, raise_for
from hfl_state._generator_state import decode_python, encode_python
from hfl_state._seeds import derive_seed

_FIELDS: Dict[str, Any] = {
    "epoch": int,
    "size": int,
    "seed": int,
    "buffer": (list, tuple),
    "random": Mapping,
    "is_drained": bool,
    "dataset": Mapping,
}


class ShuffleBuffer(IterableDataset):  # type: ignore[type-arg]  # subscripting at run time needs more than torch promises
    """Shuffle a stream through a buffer, and keep what is in the buffer when the run is saved.

    Each sample that comes takes the place of a random one in the buffer, which goes out. So the
    buffer's samples are in every state that is saved: it is as large as they are.

    Args:
        dataset: An iterable dataset with ``state_dict`` and ``load_state_dict``, such as
            ``datasets.load_dataset(..., streaming=True)``, without a shuffle buffer of its own.
        size: How many samples the buffer holds.
        seed: What the order follows from, together with the epoch.

    Raises:
        ConfigError: The dataset keeps no state, or loses some of it, or a number makes no sense.

    Example:
        >>> class Counting:
        ...     at = 0
        ...     def __iter__(self):
        ...         while self.at < 6:
        ...             self.at += 1
        ...             yield self.at
        ...     def state_dict(self):
        ...         return {"at": self.at}
        ...     def load_state_dict(self, state):
        ...         self.at = state["at"]
        >>> mixed = ShuffleBuffer(Counting(), size=3)
        >>> iterator = iter(mixed)
        >>> first = [next(iterator), next(iterator)]
        >>> again = ShuffleBuffer(Counting(), size=3)
        >>> again.load_state_dict(mixed.state_dict())
        >>> sorted(first + list(again))
        [1, 2, 3, 4, 5, 6]
    """

    def __init__(self, dataset: Any, size: int, *, seed: int = 0) -> None:
        for name, value, least in (("size", size, 1), ("seed", seed, 0)):
            if not is_count(value, least):
                raise ConfigError(
                    f"{name}={value!r} makes no sense.", hint=f"It is a whole number from {least}."
                )
        if not all(callable(getattr(dataset, n, None)) for n in ("state_dict", "load_state_dict")):
            raise ConfigError(
                f"A {type(dataset).__name__} keeps no state, so nobody could go back into it.",
                hint="Give it state_dict() and load_state_dict(), as datasets' IterableDataset has.",
            )
        lossy = lossy_shuffle(dataset)
        if lossy:
            raise ConfigError(
                f"The dataset has a shuffle buffer already ({lossy}), which loses samples on a resume.",
                hint="Leave out .shuffle(buffer_size=...) where the dataset is made.",
            )
        self.dataset = dataset
        self.size = size
        self.seed = seed
        self.epoch = 0
        self._first = copy.deepcopy(dataset.state_dict())
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._buffer: List[Any] = []
        self._random = random.Random(  # noqa: S311  # an order, not a secret
            derive_seed(self.seed, "buffer", self.epoch)
        )
        self._is_drained = False
        self._is_under_way = False

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; the wrapped dataset hears of it too.

        Args:
            epoch: Which epoch, from 0.
        """
        self.epoch = epoch
        self._is_under_way = False
        if callable(getattr(self.dataset, "set_epoch", None)):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[Any]:
        """Go through the rest of the epoch after a state was loaded, else through all of it.

        Yields:
            The samples of the dataset.
        """
        if not self._is_under_way:
            self._begin_anew()
            self.dataset.load_state_dict(copy.deepcopy(self._first))
        self._is_under_way = False  # the next iteration begins anew, unless a state is loaded
        buffer, dice = self._buffer, self._random
        if not self._is_drained:
            for sample in self.dataset:
                if len(buffer) < self.size:
                    buffer.append(sample)
                    continue
                place = dice.randrange(self.size)
                out, buffer[place] = buffer[place], sample
                yield out
            dice.shuffle(buffer)
            self._is_drained = True
        while buffer:
            yield buffer.pop()

    def state_dict(self) -> Dict[str, Any]:
        """Return what is in the buffer, and where the wrapped dataset stands.

        Returns:
            The samples themselves, plain values, and the dataset's own state.
        """
        return {
            "format": FORMAT,
            "epoch": self.epoch,
            "size": self.size,
            "seed": self.seed,
            "buffer": list(self._buffer),
            "random": encode_python(self._random.getstate()),
            "is_drained": self._is_drained,
            "dataset": copy.deepcopy(self.dataset.state_dict()),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on from a saved state.

        Args:
            state_dict: What ``state_dict()`` returned.

        Raises:
            IncompatibleStateError: It is of another buffer.
        """
        problems = format_problems(state_dict, _FIELDS) or [
            f"Its {name} is {state_dict[name]}, here it is {getattr(self, name)}."
            for name in ("size", "seed")
            if state_dict[name] != getattr(self, name)
        ]
        raise_for(problems, what="shuffle buffer")
        self.set_epoch(state_dict["epoch"])
        self.dataset.load_state_dict(copy.deepcopy(state_dict["dataset"]))
        self._buffer = list(state_dict["buffer"])
        self._random.setstate(decode_python(state_dict["random"]))
        self._is_drained = state_dict["is_drained"]
        self._is_under_way = True


def lossy_shuffle(dataset: Any) -> str:
    """Look for a shuffle buffer inside a dataset of ``datasets`` whose state leaves it out.

    Args:
        dataset: Any dataset.

    Returns:
        The name of the class that shuffles, or nothing.
    """
    inside = getattr(dataset, "_ex_iterable", None)
    if inside is None and isinstance(dataset, ShuffleBuffer):
        return lossy_shuffle(dataset.dataset)
    return _find_shuffle(inside, set())


def _find_shuffle(part: Any, seen: Set[int]) -> str:
    name = type(part).__name__
    if not name.endswith("Iterable") or id(part) in seen:
        return ""
    seen.add(id(part))
    if "Shuffled" in name and hasattr(part, "buffer_size"):
        return name
    for value in vars(part).values():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            found = _find_shuffle(each, seen)
            if found:
                return found
    return ""
