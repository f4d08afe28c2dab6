"""Whether a saved state fits a model, an optimizer or anything else, and putting it in."""

from __future__ import annotations

import copy
import itertools
from typing import Any, Dict, List, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from hfl_state._component import Component
from hfl_state._settings import is_scheduler

_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_NAMED_AT_MOST = 3


def problems_of(live: Any, saved: Any) -> List[str]:
    """Say in words what keeps a saved state from fitting a live object.

    Args:
        live: The object; it is not changed.
        saved: What its ``state_dict()`` returned when it was saved.

    Returns:
        One sentence per problem.
    """
    if isinstance(live, Component):
        return live.check(saved)
    if callable(getattr(live, "check", None)):
        return [str(text) for text in live.check(saved)]  # as a checkpoint manager would ask it
    if not isinstance(saved, Mapping):
        return [f"It is a {type(saved).__name__}, not a mapping."]
    if isinstance(live, nn.Module):
        return _model_problems(live, saved)
    if isinstance(live, Optimizer):
        return _optimizer_problems(live, saved)
    if isinstance(live, torch.amp.GradScaler) and set(saved) != set(live.state_dict()):
        # A disabled scaler has an empty state; an enabled one does not take it.
        return ["The gradient scaler was enabled and is not now, or the other way round."]
    return []


def restore(live: Any, saved: Any) -> None:
    """Put a state that fits into a live object.

    Args:
        live: The object.
        saved: A state that `problems_of` found nothing wrong with.
    """
    if isinstance(live, nn.Module):
        by_name = {canonical(name): value for name, value in saved.items()}
        live.load_state_dict({name: by_name[canonical(name)] for name in live.state_dict()})
    elif isinstance(live, Optimizer):
        _restore_optimizer(live, saved)
    elif is_scheduler(live):
        live.load_state_dict(copy.deepcopy(saved))  # it would share its lists with the saved state
    else:
        live.load_state_dict(saved)


def canonical(name: str) -> str:
    """Strip what wrappers such as DDP and ``torch.compile`` put into a parameter's name.

    Args:
        name: The name in a state dict.

    Returns:
        The name that the bare model gives it.
    """
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _model_problems(model: nn.Module, saved: Mapping[str, Any]) -> List[str]:
    there = {canonical(str(name)): value for name, value in saved.items()}
    here = {canonical(name): value for name, value in model.state_dict().items()}
    problems = _names("It lacks", [name for name in here if name not in there])
    problems += _names("The model has no", [name for name in there if name not in here])
    problems += [
        f"The shape of {name!r} was {tuple(there[name].shape)} and is {tuple(value.shape)} now."
        for name, value in here.items()
        if name in there and _is_tensor_pair(there[name], value)
        if there[name].shape != value.shape
    ]
    # Loading would cast without a word, and a rounded parameter is not the one that trained.
    recast: Dict[Any, List[str]] = {}
    for name, value in here.items():
        if _is_tensor_pair(there.get(name), value) and there[name].dtype != value.dtype:
            recast.setdefault((there[name].dtype, value.dtype), []).append(name)
    return problems + [
        f"The dtype of {_listed(names)} was {then} and is {now} now."
        for (then, now), names in recast.items()
    ]


def _is_tensor_pair(a: Any, b: Any) -> bool:
    return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)


def _names(text: str, names: List[str]) -> List[str]:
    return [f"{text} {_listed(names)}."] if names else []


def _listed(names: List[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    listed = ", ".join(repr(name) for name in names[:_NAMED_AT_MOST])
    return f"{listed}{f' and {more} more' if more > 0 else ''}"


def _optimizer_problems(optimizer: Optimizer, saved: Mapping[str, Any]) -> List[str]:
    groups = saved.get("param_groups")
    if not isinstance(groups, (list, tuple)) or not isinstance(saved.get("state"), Mapping):
        return ["It is not the state of an optimizer."]
    there = [len(group["params"]) for group in groups]
    here = [len(group["params"]) for group in optimizer.param_groups]
    if there != here:
        return [f"The parameters per group were {there} and are {here} now."]
    return [
        f"{name!r} of parameter {index} in the order of the groups has shape {tuple(value.shape)}, "
        f"the parameter has {tuple(parameter.shape)}."
        for index, (key, parameter) in enumerate(_pairs(groups, optimizer))
        for name, value in saved["state"].get(key, {}).items()
        if name in _PER_ELEMENT and isinstance(value, torch.Tensor)
        if value.shape != parameter.shape
    ]


_PER_ELEMENT = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "sum"}


def _pairs(groups: Any, optimizer: Optimizer) -> List[Any]:
    keys = itertools.chain.from_iterable(group["params"] for group in groups)
    parameters = itertools.chain.from_iterable(g["params"] for g in optimizer.param_groups)
    return list(zip(keys, parameters))


def _restore_optimizer(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    optimizer.load_state_dict(dict(saved))
    # torch casts the state to the dtype of the parameter, so that fp32 moments of a bf16 parameter
    # would lose bits. The dtype that was saved is the one that trained.
    for key, parameter in _pairs(saved["param_groups"], optimizer):
        live: Dict[str, Any] = optimizer.state.get(parameter, {})
        for name, value in saved["state"].get(key, {}).items():
            if name in live:
                live[name] = _owned(value, live[name])


def _owned(saved: Any, live: Any) -> Any:
    """Take the bits that were saved to where torch put its cast of them, in memory of their own.

    Nor may the run go on in the saved tensors, which torch takes over where it can: LBFGS keeps lists
    of them.
    """
    if isinstance(saved, torch.Tensor) and isinstance(live, torch.Tensor):
        if saved.dtype == live.dtype and saved.data_ptr() != live.data_ptr():
            return live
        return saved.detach().to(device=live.device, copy=True)
    if isinstance(saved, (list, tuple)) and isinstance(live, (list, tuple)):
        return type(live)(_owned(there, here) for there, here in zip(saved, live))
    if isinstance(saved, dict) and isinstance(live, dict):
        return {key: _owned(saved[key], here) for key, here in live.items()}
    return copy.deepcopy(live)
