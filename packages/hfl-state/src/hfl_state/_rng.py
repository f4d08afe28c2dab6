"""Where the random streams of this process stand."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np
import torch

from hfl_state._component import FORMAT, Component, OnChange, check_on_change, format_problems
from hfl_state._generator_state import (
    GeneratorState,
    decode_numpy,
    decode_python,
    encode_numpy,
    encode_python,
    legacy_state,
    shape_problems,
    tensor_to_text,
    text_to_tensor,
)
from hfl_state._ranks import rank_and_world_size
from hfl_state._seeds import derive_seed, seed_global

_FIELDS: Dict[str, Any] = {
    "rank": int,
    "world_size": int,
    "python": Mapping,
    "numpy": Mapping,
    "torch": str,
    "cuda": (list, tuple),
    "mps": (list, tuple),
    "xpu": (list, tuple),
    "generators": Mapping,
}
_ACCELERATORS = ("cuda", "mps", "xpu")


class RngState(Component):
    """Save and restore every global random stream, and generators of your own.

    Covers Python's ``random``, NumPy's legacy global stream, torch on the CPU and on every CUDA,
    XPU and MPS device, and the generators that are registered by name. The state is text and
    numbers only: it holds no tensor, array or bytes, and fits into one JSON file.

    A state is tried out on scratch generators before any stream is moved.

    Args:
        generators: Generators of your own by name: ``numpy.random.Generator`` or ``RandomState``,
            ``random.Random``, ``torch.Generator``.
        on_change: What to do when the state is another process's, or there are more or fewer devices:
            ``"error"`` and ``"keep"`` refuse; ``"override"`` seeds the streams anew from the saved
            ones and this process's rank, which is reproducible, but not what would have been drawn.

    Raises:
        ConfigError: One of the generators is of another type.

    Example:
        >>> import random
        >>> rng = RngState()
        >>> saved = rng.state_dict()
        >>> first = random.random()
        >>> rng.load_state_dict(saved)
        >>> random.random() == first
        True
    """

    per_rank = True
    """Every rank draws from streams of its own, saved in a file of its own."""

    restore_last = True
    """Restored after everything else, because restoring other things may draw."""

    def __init__(
        self, generators: Optional[Mapping[str, Any]] = None, *, on_change: OnChange = "error"
    ) -> None:
        check_on_change(on_change)
        self.on_change = on_change
        self._generators = {
            name: GeneratorState(generator) for name, generator in (generators or {}).items()
        }

    def register(self, name: str, generator: Any) -> None:
        """Add a generator.

        Args:
            name: What it is called in the state.
            generator: As for the class; one that is there already is not added a second time.

        Raises:
            ConfigError: It is of another type.
        """
        if not any(each.is_of(generator) for each in self._generators.values()):
            self._generators[name] = GeneratorState(generator)

    def state_dict(self) -> Dict[str, Any]:
        """Return where all streams stand; nothing is drawn.

        Returns:
            Text and numbers.
        """
        return {
            "format": FORMAT,
            **_place(),
            "python": encode_python(random.getstate()),
            "numpy": encode_numpy(legacy_state(np.random)),
            "torch": tensor_to_text(torch.get_rng_state()),
            **{kind: _read_devices(kind) for kind in _ACCELERATORS},
            "generators": {name: each.read() for name, each in self._generators.items()},
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from being restored.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, _FIELDS)
        if problems:
            return problems
        live = self.state_dict()
        problems = _name_problems(saved["generators"], live["generators"])
        for kind in _ACCELERATORS:
            for index, (there, here) in enumerate(zip(saved[kind], live[kind])):
                problems += shape_problems(there, here, f"{kind}:{index}")
        for name in ("python", "numpy", "torch"):
            problems += shape_problems(saved[name], live[name], name)
        for name in self._generators:
            if name in saved["generators"]:
                problems += shape_problems(
                    saved["generators"][name], live["generators"][name], f"generator {name!r}"
                )
        return problems or self._try_out(saved)

    def differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words how the processes or devices that draw were others.

        Args:
            saved: A state that `problems` found nothing wrong with.

        Returns:
            One sentence per difference.
        """
        found = [
            f"The {name.replace('_', ' ')} was {saved[name]} and is {here} now."
            for name, here in _place().items()
            if saved[name] != here
        ]
        for kind in _ACCELERATORS:
            there, here = len(saved[kind]), len(_read_devices(kind))
            if there != here:
                found.append(
                    f"It was saved with {there} {kind.upper()} device(s), here there are {here}."
                )
        return found

    def _try_out(self, saved: Mapping[str, Any]) -> List[str]:
        """Set scratch generators: sizes alone don't tell a valid state from a damaged one."""
        trials: Dict[str, Callable[[], object]] = {
            "python": lambda: random.Random().setstate(  # noqa: S311  # nothing is drawn from it
                decode_python(saved["python"])
            ),
            "numpy": lambda: np.random.RandomState().set_state(decode_numpy(saved["numpy"])),
            "torch": lambda: torch.Generator().set_state(text_to_tensor(saved["torch"])),
        }
        for kind in _ACCELERATORS:
            for index, (state, _) in enumerate(zip(saved[kind], _read_devices(kind))):
                device = torch.Generator(device=kind if kind == "mps" else f"{kind}:{index}")
                trials[f"{kind}:{index}"] = _writing(GeneratorState(device), {"state": state})
        for name, each in self._generators.items():
            scratch, state = each.scratch(), saved["generators"][name]
            trials[f"generator {name!r}"] = _writing(scratch, state)
        problems = []
        for name, trial in trials.items():
            try:
                trial()
            except (ValueError, TypeError, RuntimeError, KeyError, OverflowError) as error:
                problems.append(f"The state of {name} is not valid: {error}.")
        return problems

    def _apply(self, saved: Mapping[str, Any]) -> None:
        rank, world_size = _place().values()
        # Whoever takes over the streams of another process must not draw what others draw.
        seed = derive_seed(saved["torch"], rank, world_size)
        if (saved["rank"], saved["world_size"]) != (rank, world_size):
            seed_global(seed)
            for number, each in enumerate(self._generators.values()):
                each.seed(derive_seed(seed, number))
            return
        random.setstate(decode_python(saved["python"]))
        np.random.set_state(decode_numpy(saved["numpy"]))
        torch.set_rng_state(text_to_tensor(saved["torch"]))
        for kind in _ACCELERATORS:
            if len(saved[kind]) == len(_read_devices(kind)):
                _write_devices(kind, saved[kind])
            else:
                getattr(torch, kind).manual_seed(seed)
        for name, each in self._generators.items():
            each.write(saved["generators"][name])


def _place() -> Dict[str, int]:
    rank, world_size = rank_and_world_size()
    return {"rank": rank, "world_size": world_size}


def _writing(generator: GeneratorState, state: Mapping[str, Any]) -> Callable[[], object]:
    return lambda: generator.write(state)


def _read_devices(kind: str) -> List[str]:
    if kind == "mps":
        is_there = torch.backends.mps.is_available()
        return [tensor_to_text(torch.mps.get_rng_state())] if is_there else []
    module = getattr(torch, kind)
    return (
        [tensor_to_text(state) for state in module.get_rng_state_all()]
        if module.is_available()
        else []
    )


def _write_devices(kind: str, states: List[str]) -> None:
    if not states:
        return
    if kind == "mps":
        torch.mps.set_rng_state(text_to_tensor(states[0]))
    else:
        getattr(torch, kind).set_rng_state_all([text_to_tensor(state) for state in states])


def _name_problems(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    missing = [f"It has no generator {name!r}." for name in live if name not in saved]
    extra = [f"Its generator {name!r} is not registered." for name in saved if name not in live]
    return missing + extra
