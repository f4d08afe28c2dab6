"""The states of a list of callbacks as one."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping

from hfl_core import ConfigError
from hfl_state._component import FORMAT, Component, format_problems


class Callbacks(Component):
    """Save and restore objects by what they are called, several of one class included.

    Args:
        callbacks: The objects, by name or in order. One without ``state_dict`` has nothing to save.

    Raises:
        ConfigError: One can be saved and not restored, or the other way round.
    """

    def __init__(self, callbacks: Mapping[str, Any] | Iterable[Any]) -> None:
        named = callbacks if isinstance(callbacks, Mapping) else _named(callbacks)
        self._callbacks = {str(n): each for n, each in named.items() if _is_stateful(str(n), each)}

    def state_dict(self) -> Dict[str, Any]:
        """Return the state of each.

        Returns:
            Name to state.
        """
        return {
            "format": FORMAT,
            "callbacks": {name: each.state_dict() for name, each in self._callbacks.items()},
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words why a saved state can never be that of these callbacks.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, {"callbacks": Mapping})
        if problems:
            return problems
        there = saved["callbacks"]
        problems = [f"It has no callback {n!r}." for n in self._callbacks if n not in there]
        problems += [f"Its callback {n!r} is not here." for n in there if n not in self._callbacks]
        for name, each in self._callbacks.items():
            if name in there and isinstance(each, Component):
                problems += [f"Callback {name!r}: {text}" for text in each.check(there[name])]
        return problems

    def _apply(self, saved: Mapping[str, Any]) -> None:
        for name, each in self._callbacks.items():
            each.load_state_dict(saved["callbacks"][name])


def _named(callbacks: Iterable[Any]) -> Dict[str, Any]:
    named: Dict[str, Any] = {}
    counts: Dict[str, int] = {}
    for each in callbacks:
        kind = type(each).__name__
        counts[kind] = counts.get(kind, 0) + 1
        named[kind if counts[kind] == 1 else f"{kind} {counts[kind]}"] = each
    return named


def _is_stateful(name: str, callback: Any) -> bool:
    saves, loads = (
        callable(getattr(callback, method, None)) for method in ("state_dict", "load_state_dict")
    )
    if saves != loads:
        raise ConfigError(
            f"The callback {name!r} has only one of state_dict() and load_state_dict().",
            hint="Give it both, or neither where it has nothing to remember.",
        )
    return saves
