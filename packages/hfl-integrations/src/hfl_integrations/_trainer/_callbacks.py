"""The states of a Trainer's callbacks: captured, and put back into the callbacks that are there."""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterable, List, Mapping

from hfl_core import get_logger
from hfl_integrations._trainer._compat import ExportableState

_log = get_logger(__name__)


def states_of(callbacks: Iterable[Any]) -> List[Dict[str, Any]]:
    """Capture the state of every callback that has one.

    Args:
        callbacks: The callbacks. Those that follow transformers' ``ExportableState`` have one, and those with
            ``state_dict`` and ``load_state_dict``.

    Returns:
        Class and state of each, in order.
    """
    found = []
    for callback in callbacks:
        state = _state_of(callback)
        if state is not None:
            found.append({"class": type(callback).__name__, "state": state})
    return found


def restore(callbacks: Iterable[Any], saved: Iterable[Mapping[str, Any]]) -> None:
    """Put states back into callbacks of the same classes, in order.

    The callbacks stay the ones that the script made: what they were configured with is kept, and what they
    counted comes back. A state whose callback is gone, and a callback that was not there, are named.

    Args:
        callbacks: The live callbacks.
        saved: What `states_of` returned.
    """
    waiting = list(saved)
    for callback in callbacks:
        if _state_of(callback) is None:
            continue
        name = type(callback).__name__
        match = next((item for item in waiting if item["class"] == name), None)
        if match is None:
            _log.warning("callback %s has no saved state, and starts from its beginning", name)
            continue
        waiting.remove(match)
        _put(callback, copy.deepcopy(match["state"]))
    for item in waiting:
        _log.warning("the saved state of callback %s has no callback to go to", item["class"])


def stopped_early(callbacks: Iterable[Any]) -> bool:
    """Whether early stopping has decided already: training is over, and one more step would be one too many."""
    return any(
        callback.early_stopping_patience_counter >= callback.early_stopping_patience
        for callback in callbacks
        if hasattr(callback, "early_stopping_patience_counter")
        and hasattr(callback, "early_stopping_patience")
    )


def _state_of(callback: Any) -> Any:
    if isinstance(callback, ExportableState):
        return callback.state()
    if callable(getattr(callback, "state_dict", None)) and callable(
        getattr(callback, "load_state_dict", None)
    ):
        return callback.state_dict()
    return None


def _put(callback: Any, state: Any) -> None:
    if not isinstance(callback, ExportableState):
        callback.load_state_dict(state)
        return
    for name, value in state.get("attributes", {}).items():
        setattr(callback, name, value)
