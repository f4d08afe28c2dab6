"""Where the random streams of this process stand."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np
import torch

from hfl_state._component import FORMAT, Component, format_problems
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

_FIELDS: Dict[str, Any] = {
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

    def __init__(self, generators: Optional[Mapping[str, Any]] = None) -> None:
        self._generators = {
            name: GeneratorState(generator) for name, generator in (generators or {}).items()
        }

    def state_dict(self) -> Dict[str, Any]:
        """Return where all streams stand; nothing is drawn.

        Returns:
            Text and numbers.
        """
        return {
            "format": FORMAT,
            "python": encode_python(random.getstate()),
            "numpy": encode_numpy(legacy_state(np.random)),
            "torch": tensor_to_text(torch.get_rng_state()),
            **{kind: _read_devices(kind) for kind in _ACCELERATORS},
            "generators": {name: each.read() for name, each in self._generators.items()},
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
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
        for kind in _ACCELERATORS:
            problems += _device_problems(kind, saved[kind], live[kind])
        problems += _name_problems(saved["generators"], live["generators"])
        for name in ("python", "numpy", "torch"):
            problems += shape_problems(saved[name], live[name], name)
        for name in self._generators:
            if name in saved["generators"]:
                problems += shape_problems(
                    saved["generators"][name], live["generators"][name], f"generator {name!r}"
                )
        return problems or self._try_out(saved)

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
            for index, state in enumerate(saved[kind]):
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
        random.setstate(decode_python(saved["python"]))
        np.random.set_state(decode_numpy(saved["numpy"]))
        torch.set_rng_state(text_to_tensor(saved["torch"]))
        for kind in _ACCELERATORS:
            _write_devices(kind, saved[kind])
        for name, each in self._generators.items():
            each.write(saved["generators"][name])


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


def _device_problems(kind: str, saved: List[Any], live: List[str]) -> List[str]:
    if len(saved) != len(live):
        return [
            f"It was saved with {len(saved)} {kind.upper()} device(s), here there are {len(live)}."
        ]
    return [
        problem
        for index, (there, here) in enumerate(zip(saved, live))
        for problem in shape_problems(there, here, f"{kind}:{index}")
    ]


def _name_problems(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    missing = [f"It has no generator {name!r}." for name in live if name not in saved]
    extra = [f"Its generator {name!r} is not registered." for name in saved if name not in live]
    return missing + extra
