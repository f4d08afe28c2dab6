"""Putting saved states into live objects: everything is compared first, then everything is changed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Mapping, MutableMapping, Tuple

import torch
from torch.nn.parameter import is_lazy

from hfl_checkpoint import _modules, _optimizers
from hfl_checkpoint._components import (
    MAPPING,
    MODEL,
    OPTIMIZER,
    STATEFUL,
    class_name,
    kinds_of,
    parameter_names,
)
from hfl_checkpoint._reader import Saved
from hfl_checkpoint.errors import StateMismatchError
from hfl_core import HflError

# The order of changes: first what may still refuse its state and can be put back, then what was
# compared in full, and at the end what draws nothing and must see no more draws.
_STATEFUL, _MODEL_WITH_EXTRA, _OPTIMIZER, _MODEL, _LAST = range(5)

# https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html, get_extra_state
_EXTRA_STATE = "_extra_state"


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change of one live object that is known to fit."""

    name: str
    rank: int
    apply: Callable[[], None]
    undo: Callable[[], None] | None


def restore_components(saved: Mapping[str, Saved], live: Mapping[str, Any]) -> Tuple[str, ...]:
    """Restore components; when one does not fit, none is touched.

    The exception is code of the user's own that runs inside a model's or an optimizer's
    ``load_state_dict`` and raises there: an undo would take a copy of all tensors, so the error says
    what may be changed instead.

    Models and optimizers are compared in full beforehand. Other objects check their state themselves
    when they load it, so they come first, and what they held is put back when one of them refuses.
    What says ``restore_last`` (random number generators) is tried with them, and loaded again after
    everything that may draw.

    Args:
        saved: Name to saved component.
        live: Name to live object; has every name of `saved`.

    Returns:
        The names, in the order in which they were restored.

    Raises:
        StateMismatchError: A component does not fit; the message says in what.
    """
    kinds = kinds_of(live)
    names = parameter_names(live)
    changes: List[_Change] = []
    for name, item in saved.items():
        if kinds[name] != item.kind:
            raise StateMismatchError(name, [f"a {item.kind} was saved, and it is a {kinds[name]}"])
        changes.append(_PLANS[item.kind](item, live[name], names))
    changes.sort(key=lambda change: change.rank)
    first = [change for change in changes if change.rank == _STATEFUL]
    last = [change for change in changes if change.rank == _LAST]
    _apply([*first, *last, *changes[len(first) :]])
    return tuple(change.name for change in changes)


def _apply(changes: List[_Change]) -> None:
    done: List[_Change] = []
    for change in changes:
        try:
            done.append(change)
            change.apply()
        except BaseException as error:
            for earlier in reversed(done):
                if earlier.undo is not None:
                    with contextlib.suppress(Exception):
                        earlier.undo()
            changed = [item.name for item in done if item.undo is None]
            if not isinstance(error, Exception) or (isinstance(error, HflError) and not changed):
                raise
            raise StateMismatchError(
                change.name,
                [f"it refuses the state ({error!r})"],
                hint=(
                    f"{', '.join(changed)} may be changed already: build them anew."
                    if changed
                    else None
                ),
            ) from error


def _plan_model(saved: Saved, module: Any, _: Mapping[int, str]) -> _Change:
    live = module.state_dict(keep_vars=True)
    canonical = _modules.strip_wrappers(module, live)
    wanted = {canonical[key]: value for key, value in live.items()}
    found = _tensor_differences(saved.state, wanted)
    if found:
        raise StateMismatchError(saved.name, found)

    def apply() -> None:
        # A module copies its tensors, and may keep what it is given as its extra state.
        state: Any = OrderedDict(
            (key, copy.deepcopy(value) if _is_extra(key) else value)
            for key in live
            for value in [saved.state[canonical[key]]]
        )
        _modules.with_versions(module, state, getattr(saved.state, "_metadata", {}))
        module.load_state_dict(state)

    if not any(map(_is_extra, live)):
        return _Change(saved.name, _MODEL, apply, None)
    before = copy.deepcopy(module.state_dict())
    return _Change(saved.name, _MODEL_WITH_EXTRA, apply, lambda: module.load_state_dict(before))


def _is_extra(key: str) -> bool:
    return key.rsplit(".", 1)[-1] == _EXTRA_STATE


def _tensor_differences(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    found = [f"{name} was not saved" for name in live if name not in saved]
    found += [f"{name} was saved, and is not there" for name in saved if name not in live]
    for name, value in live.items():
        other = saved.get(name)
        if not isinstance(value, torch.Tensor) or not isinstance(other, torch.Tensor):
            continue
        if _is_extra(name) or is_lazy(value):
            continue
        if value.shape != other.shape:
            found.append(f"{name} had shape {list(other.shape)}, and has {list(value.shape)}")
        elif value.dtype != other.dtype:
            found.append(f"{name} was {other.dtype}, and is {value.dtype}")
    return found


def _plan_optimizer(saved: Saved, optimizer: Any, names: Mapping[int, str]) -> _Change:
    found = _class_differences(saved, optimizer)
    found += _optimizers.differences(optimizer, saved.state, saved.document["parameters"], names)
    if found:
        raise StateMismatchError(saved.name, found)
    return _Change(
        saved.name, _OPTIMIZER, lambda: _optimizers.restore(optimizer, saved.state, names), None
    )


def _plan_stateful(saved: Saved, component: Any, _: Mapping[int, str]) -> _Change:
    found = _class_differences(saved, component)
    if not found and callable(getattr(component, "check", None)):
        # An object that can compare a state by itself does so before anything is changed.
        found = [str(problem).rstrip(".") for problem in component.check(saved.state)]
    if found:
        raise StateMismatchError(saved.name, found)
    before = copy.deepcopy(component.state_dict())
    rank = _LAST if getattr(component, "restore_last", False) else _STATEFUL
    return _Change(
        saved.name,
        rank,
        # The tensors of the state are mapped from the file; an object may keep what it is given.
        lambda: component.load_state_dict(copy.deepcopy(saved.state)),
        lambda: component.load_state_dict(before),
    )


def _plan_mapping(saved: Saved, component: Any, _: Mapping[int, str]) -> _Change:
    if not isinstance(component, MutableMapping):
        raise StateMismatchError(
            saved.name,
            [f"a {type(component).__name__} cannot be changed"],
            hint="Pass a dict, which is filled, or use load() for the raw state.",
        )
    before = dict(component)

    def fill(content: Dict[str, Any]) -> None:
        component.clear()
        component.update(content)

    return _Change(
        saved.name, _STATEFUL, lambda: fill(copy.deepcopy(saved.state)), lambda: fill(before)
    )


def _class_differences(saved: Saved, component: Any) -> List[str]:
    # Modules move between releases of a library; the class keeps its name.
    then, now = saved.class_name.rsplit(".", 1)[-1], class_name(component).rsplit(".", 1)[-1]
    return [] if then == now else [f"a {then} was saved, and it is a {now}"]


_PLANS: Dict[str, Callable[[Saved, Any, Mapping[int, str]], _Change]] = {
    MODEL: _plan_model,
    OPTIMIZER: _plan_optimizer,
    STATEFUL: _plan_stateful,
    MAPPING: _plan_mapping,
}
