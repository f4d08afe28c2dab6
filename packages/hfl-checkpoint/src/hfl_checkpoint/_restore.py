"""Putting saved states into live objects: everything is compared first, then everything is changed."""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Mapping, MutableMapping, Tuple

import torch
from torch.nn.parameter import is_lazy

from hfl_checkpoint import _adapters, _base, _meta, _modules, _optimizers, _pretrained, _words
from hfl_checkpoint._changes import Change, Changes, Order
from hfl_checkpoint._components import (
    MAPPING,
    MODEL,
    OPTIMIZER,
    PEFT,
    PRETRAINED,
    STATEFUL,
    class_name,
    kinds_of,
    parameter_names,
)
from hfl_checkpoint._reader import Saved
from hfl_checkpoint.errors import StateMismatchError

# https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html, get_extra_state
_EXTRA_STATE = "_extra_state"


@dataclasses.dataclass(frozen=True)
class _Live:
    """What the plans of single components need to know of the whole.

    Attributes:
        names: ``id`` of a parameter to its name.
        device: Where a model on the meta device gets its memory; None means the host.
    """

    names: Mapping[int, str]
    device: str | torch.device | None


def plan_changes(
    saved: Mapping[str, Saved],
    live: Mapping[str, Any],
    *,
    device: str | torch.device | None = None,
) -> Changes:
    """Compare saved components with live ones; nothing is changed before `Changes.apply`.

    Args:
        saved: Name to saved component.
        live: Name to live object; has every name of `saved`.
        device: Where a model that was built on the meta device gets its memory; None means the host.

    Returns:
        What is going to be changed.

    Raises:
        StateMismatchError: A component does not fit; the message says in what.
    """
    kinds = kinds_of(live)
    context = _Live(parameter_names(live), device)
    changes: List[Change] = []
    for name, item in saved.items():
        if kinds[name] != item.kind:
            then, now = _words.kind(item.kind), _words.kind(kinds[name])
            raise StateMismatchError(name, [f"{then} was saved, and it is {now}"])
        changes.append(_PLANS[item.kind](item, live[name], context))
    changes.sort(key=lambda change: change.rank)
    return Changes(changes)


def _plan_model(saved: Saved, module: Any, context: _Live) -> Change:
    live = module.state_dict(keep_vars=True)
    canonical = _modules.strip_wrappers(module, live)
    wanted = {canonical[key]: value for key, value in live.items()}
    names = _modules.matched(saved.state, wanted)
    source = {names[key]: value for key, value in saved.state.items()}
    source.update(_tied(source, wanted))
    notes: List[str] = []
    if (
        _modules.AVERAGED_COUNT not in wanted
        and source.pop(_modules.AVERAGED_COUNT, None) is not None
    ):
        notes.append(
            f"{saved.name!r} was an AveragedModel: how many updates it had is not restored"
        )
    found = _tensor_differences(source, wanted)
    if found:
        raise StateMismatchError(saved.name, found)
    undoes: List[Callable[[], None]] = []

    def apply() -> None:
        if _meta.is_on_meta(module):
            undoes.append(_meta.materialise(wanted, source, name=saved.name, device=context.device))
        # A module copies its tensors, and may keep what it is given as its extra state.
        state: Any = OrderedDict(
            (key, copy.deepcopy(value) if _is_extra(key) else value)
            for key in live
            for value in [source[canonical[key]]]
        )
        _modules.with_versions(module, state, getattr(saved.state, "_metadata", {}))
        # What a model leaves out of its state on purpose is no part of the comparison above.
        partial = getattr(_modules.unwrap(module), "_keys_to_ignore_on_save", None)
        module.load_state_dict(state, **({"strict": False} if partial else {}))
        unknown = _meta.unknown_buffers(module)
        if unknown:
            notes.append(
                f"{saved.name!r} has buffers that no checkpoint holds, still on the meta device: "
                f"{', '.join(unknown)}; compute them anew, as the model's constructor does"
            )

    has_extra, on_meta = any(map(_is_extra, live)), _meta.is_on_meta(module)
    if not has_extra and not on_meta:
        return Change(saved.name, Order.MODEL, apply, None, notes)
    before = None if on_meta else copy.deepcopy(module.state_dict())

    def undo() -> None:
        if before is not None:
            module.load_state_dict(before)
        for dematerialise in undoes:
            dematerialise()

    rank = Order.MODEL_WITH_EXTRA if has_extra else Order.MODEL_ON_META
    return Change(saved.name, rank, apply, undo, notes)


def _tied(source: Mapping[str, Any], live: Mapping[str, Any]) -> Dict[str, Any]:
    """What a file of others holds under one of its names only, because the model has it under two."""
    names = {id(value): name for name, value in live.items() if name in source}
    return {
        name: source[names[id(value)]]
        for name, value in live.items()
        if name not in source and id(value) in names
    }


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


def _plan_peft(saved: Saved, module: Any, _: _Live) -> Change:
    """Compare the adapters and the base, then fill the memory of the live adapters."""
    inner = _modules.unwrap(module)
    live = _adapters.parts(saved.name, module)
    then = saved.state["adapters"]
    found = [
        f"adapter {item!r} was saved, and is not there"
        for item in then
        if item not in live.adapters
    ]
    found += [f"adapter {item!r} was not saved" for item in live.adapters if item not in then]
    base = _base.identify(inner, _adapters.owned(inner), saved.state["rest"])
    was = saved.document["base"]
    if any(was[key] != base[key] for key in ("structure", "content") if was[key] and base[key]):
        found.append(f"its base was {_base.describe(was)}, and is {_base.describe(base)}")
    tensors: List[Tuple[torch.Tensor, torch.Tensor]] = []
    for adapter in [item for item in then if item in live.adapters]:
        own = live.adapters[adapter]
        if then[adapter] and not any(key in own for key in then[adapter]):
            found.append(
                f"none of the {len(then[adapter])} saved tensors of adapter {adapter!r} is one of the "
                f"{len(own)} that are there"
            )
            continue
        found += [
            f"adapter {adapter!r}: {text}" for text in _tensor_differences(then[adapter], own)
        ]
        tensors += [
            (own[key], value)
            for key, value in then[adapter].items()
            if key in own
            and isinstance(value, torch.Tensor)
            and _adapters.in_memory_of(own[key], inner)
        ]
    state = inner.state_dict()
    state = {name: state[key] for key, name in _modules.strip_wrappers(inner, state).items()}
    rest = {name: state[name] for name in saved.state["rest"] if name in state}
    found += _tensor_differences(saved.state["rest"], rest)
    if found:
        raise StateMismatchError(saved.name, found)
    tensors += [(rest[name], value) for name, value in saved.state["rest"].items()]
    notes = [
        f"adapter {adapter!r} of {saved.name!r} has another configuration: {'; '.join(texts)}"
        for adapter, config in _adapters.configurations(module).items()
        for texts in [
            _adapters.configuration_differences(saved.document["configurations"][adapter], config)
        ]
        if texts
    ]

    def apply() -> None:
        with torch.no_grad():
            for target, value in tensors:
                target.copy_(value)

    return Change(saved.name, Order.MODEL, apply, None, notes)


def _plan_optimizer(saved: Saved, optimizer: Any, context: _Live) -> Change:
    names = context.names
    found = _class_differences(saved, optimizer)
    found += _optimizers.differences(optimizer, saved.state, saved.document["parameters"], names)
    if found:
        raise StateMismatchError(saved.name, found)
    return Change(
        saved.name,
        Order.OPTIMIZER,
        lambda: _optimizers.restore(optimizer, saved.state, names),
        None,
    )


def _plan_stateful(saved: Saved, component: Any, _: _Live) -> Change:
    found = _class_differences(saved, component)
    if not found and callable(getattr(component, "check", None)):
        # An object that can compare a state by itself does so before anything is changed.
        found = [str(problem).rstrip(".") for problem in component.check(saved.state)]
    if found:
        raise StateMismatchError(saved.name, found)
    before = copy.deepcopy(component.state_dict())
    rank = Order.LAST if getattr(component, "restore_last", False) else Order.STATEFUL
    return Change(
        saved.name,
        rank,
        # The tensors of the state are mapped from the file; an object may keep what it is given.
        lambda: component.load_state_dict(copy.deepcopy(saved.state)),
        lambda: component.load_state_dict(before),
    )


def _plan_mapping(saved: Saved, component: Any, _: _Live) -> Change:
    if not isinstance(component, MutableMapping):
        raise StateMismatchError(
            saved.name,
            [f"an object of type {type(component).__name__} cannot be changed"],
            hint="Pass a dict, which is filled, or use load() for the raw state.",
        )
    before = dict(component)

    def fill(content: Dict[str, Any]) -> None:
        component.clear()
        component.update(content)

    return Change(
        saved.name, Order.STATEFUL, lambda: fill(copy.deepcopy(saved.state)), lambda: fill(before)
    )


def _class_differences(saved: Saved, component: Any) -> List[str]:
    return [
        f"{_words.a(then)} was saved, and it is {_words.a(now)}"
        for then, now in _classes(saved, component)
    ]


def _classes(saved: Saved, component: Any) -> List[Tuple[str, str]]:
    """The saved and the live class where they differ; nobody knows the class of what was imported."""
    # Modules move between releases of a library; the class keeps its name.
    then, now = saved.class_name.rsplit(".", 1)[-1], class_name(component).rsplit(".", 1)[-1]
    return [] if then in ("", now) else [(then, now)]


def _plan_pretrained(saved: Saved, component: Any, _: _Live) -> Change:
    """Compare only: the files of a checkpoint say what was used, and the live object stays what it is."""
    notes = []
    found = [
        f"it was {_words.a(then)}, and is {_words.a(now)}"
        for then, now in _classes(saved, component)
    ]
    files = _pretrained.fingerprint(_pretrained.files_of(saved.name, component))
    found += [f"{path} differs" for path in _pretrained.differences(saved.state["files"], files)]
    if found:
        notes.append(
            f"{saved.name!r} is not the one that was saved, and was left as it is: {'; '.join(found)}"
        )
    return Change(saved.name, Order.STATEFUL, lambda: None, None, notes)


_PLANS: Dict[str, Callable[[Saved, Any, _Live], Change]] = {
    MODEL: _plan_model,
    OPTIMIZER: _plan_optimizer,
    STATEFUL: _plan_stateful,
    MAPPING: _plan_mapping,
    PRETRAINED: _plan_pretrained,
    PEFT: _plan_peft,
}
