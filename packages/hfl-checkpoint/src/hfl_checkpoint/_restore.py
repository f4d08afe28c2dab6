"""Putting saved states into live objects: everything is compared first, then everything is changed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Mapping, MutableMapping, Tuple

import torch
from torch.nn.parameter import is_lazy

from hfl_checkpoint import _adapters, _base, _meta, _modules, _optimizers, _pretrained, _words
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
from hfl_checkpoint._ranks import Alone
from hfl_checkpoint._reader import Saved
from hfl_checkpoint.errors import StateMismatchError
from hfl_core import HflError

# The order of changes: first what may still refuse its state and can be put back, then what was
# compared in full, and at the end what draws nothing and must see no more draws. A model on the meta
# device gets its memory before an optimizer looks on which device the parameters are.
_STATEFUL, _MODEL_WITH_EXTRA, _MODEL_ON_META, _OPTIMIZER, _MODEL, _LAST = range(6)

# https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html, get_extra_state
_EXTRA_STATE = "_extra_state"


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change of one live object that is known to fit; `notes` grow while it is made."""

    name: str
    rank: int
    apply: Callable[[], None]
    undo: Callable[[], None] | None
    notes: List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Live:
    """What the plans of single components need to know of the whole.

    Attributes:
        names: ``id`` of a parameter to its name.
        device: Where a model on the meta device gets its memory; None means the host.
    """

    names: Mapping[int, str]
    device: str | torch.device | None


@dataclasses.dataclass(frozen=True)
class Restored:
    """What was restored, in order, and what a person should know about it."""

    names: Tuple[str, ...]
    warnings: Tuple[str, ...]


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
    changes: List[_Change] = []
    for name, item in saved.items():
        if kinds[name] != item.kind:
            then, now = _words.kind(item.kind), _words.kind(kinds[name])
            raise StateMismatchError(name, [f"{then} was saved, and it is {now}"])
        changes.append(_PLANS[item.kind](item, live[name], context))
    changes.sort(key=lambda change: change.rank)
    return Changes(changes)


class Changes:
    """The changes of a restore, all of which are known to fit.

    Models and optimizers were compared in full. Other objects check their state themselves when they
    load it, so they come first, and what they held is put back when one of them refuses, on whichever
    process. What says ``restore_last`` (random number generators) is tried with them, and loaded again
    after everything that may draw.

    The exception is code of the user's own that runs inside a model's or an optimizer's
    ``load_state_dict`` and raises there: an undo would take a copy of all tensors, so the error says
    what may be changed instead.

    Args:
        changes: In the order in which they are to be made.
    """

    def __init__(self, changes: List[_Change]) -> None:
        self._changes = changes

    def apply(self, team: Alone) -> Restored:
        """Make them; when one is refused, on whichever process, undo what can be undone.

        Args:
            team: The processes, each of which makes its own.

        Returns:
            The names, in the order in which they were restored, and the warnings.

        Raises:
            StateMismatchError: A component refuses its state.
        """
        changes = self._changes
        first = [change for change in changes if change.rank == _STATEFUL]
        tried = [*first, *(change for change in changes if change.rank == _LAST)]
        rest = changes[len(first) :]
        done: List[_Change] = []
        if team.is_several:
            try:
                team.agree(lambda: _apply(tried, done))
            except BaseException:
                _undo(done)
                raise
            team.agree(lambda: _apply(rest, done))
        else:
            _apply([*tried, *rest], done)
        return Restored(
            tuple(change.name for change in changes),
            tuple(note for change in changes for note in change.notes),
        )


def _undo(done: List[_Change]) -> None:
    while done:
        change = done.pop()
        if change.undo is not None:
            with contextlib.suppress(Exception):
                change.undo()


def _apply(changes: List[_Change], done: List[_Change]) -> None:
    for change in changes:
        try:
            done.append(change)
            change.apply()
        except BaseException as error:
            changed = [item.name for item in done if item.undo is None]
            _undo(done)
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


def _plan_model(saved: Saved, module: Any, context: _Live) -> _Change:
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
        return _Change(saved.name, _MODEL, apply, None, notes)
    before = None if on_meta else copy.deepcopy(module.state_dict())

    def undo() -> None:
        if before is not None:
            module.load_state_dict(before)
        for dematerialise in undoes:
            dematerialise()

    rank = _MODEL_WITH_EXTRA if has_extra else _MODEL_ON_META
    return _Change(saved.name, rank, apply, undo, notes)


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


def _plan_peft(saved: Saved, module: Any, _: _Live) -> _Change:
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

    return _Change(saved.name, _MODEL, apply, None, notes)


def _plan_optimizer(saved: Saved, optimizer: Any, context: _Live) -> _Change:
    names = context.names
    found = _class_differences(saved, optimizer)
    found += _optimizers.differences(optimizer, saved.state, saved.document["parameters"], names)
    if found:
        raise StateMismatchError(saved.name, found)
    return _Change(
        saved.name, _OPTIMIZER, lambda: _optimizers.restore(optimizer, saved.state, names), None
    )


def _plan_stateful(saved: Saved, component: Any, _: _Live) -> _Change:
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


def _plan_mapping(saved: Saved, component: Any, _: _Live) -> _Change:
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

    return _Change(
        saved.name, _STATEFUL, lambda: fill(copy.deepcopy(saved.state)), lambda: fill(before)
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


def _plan_pretrained(saved: Saved, component: Any, _: _Live) -> _Change:
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
    return _Change(saved.name, _STATEFUL, lambda: None, None, notes)


_PLANS: Dict[str, Callable[[Saved, Any, _Live], _Change]] = {
    MODEL: _plan_model,
    OPTIMIZER: _plan_optimizer,
    STATEFUL: _plan_stateful,
    MAPPING: _plan_mapping,
    PRETRAINED: _plan_pretrained,
    PEFT: _plan_peft,
}
