"""Optimizer states by parameter name, restored with the data types they were saved with."""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, Mapping, Tuple

import torch
from torch.optim import Optimizer


def names_of(optimizer: Optimizer, parameter_names: Mapping[int, str]) -> List[List[str]]:
    """Name an optimizer's parameters, group by group.

    Args:
        optimizer: The optimizer.
        parameter_names: ``id`` of a parameter to its name, for those that a model names.

    Returns:
        A list of names for each group; an unnamed parameter is called by group and position.
    """
    return [
        [
            parameter_names.get(id(parameter), f"param:{group_index}.{index}")
            for index, parameter in enumerate(group["params"])
        ]
        for group_index, group in enumerate(optimizer.param_groups)
    ]


def by_name(
    optimizer: Optimizer, parameter_names: Mapping[int, str]
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Read an optimizer's state, keyed by parameter names.

    Only `state_dict()` is called: reading never takes a step (torch's distributed helper does,
    and training goes on differently after it).

    Args:
        optimizer: The optimizer.
        parameter_names: As in `names_of`.

    Returns:
        The state, and name to ``{"shape", "dtype"}`` of each parameter.
    """
    raw = optimizer.state_dict()
    names = names_of(optimizer, parameter_names)
    positions = _positions(raw["param_groups"], names)
    state = {
        key: value for key, value in raw.items() if key not in ("state", "param_groups")
    }  # some optimizers keep more beside the two
    state["state"] = {positions.get(key, key): value for key, value in raw["state"].items()}
    state["param_groups"] = [
        {**group, "params": list(group_names)}
        for group, group_names in zip(raw["param_groups"], names)
    ]
    parameters = {
        name: {"shape": list(parameter.shape), "dtype": str(parameter.dtype).split(".")[-1]}
        for group, group_names in zip(optimizer.param_groups, names)
        for name, parameter in zip(group_names, group["params"])
    }
    return state, parameters


def to_torch(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Turn a state keyed by names into the form that ``Optimizer.load_state_dict`` takes."""
    positions: Dict[str, int] = {}
    groups = []
    for group in state["param_groups"]:
        members = []
        for name in group["params"]:
            members.append(positions.setdefault(name, len(positions)))
        groups.append({**group, "params": members})
    return {
        **state,
        "state": {positions.get(key, key): value for key, value in state["state"].items()},
        "param_groups": groups,
    }


def from_torch(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Turn a state of ``Optimizer.state_dict()`` into one keyed by names, without the optimizer.

    The names are those that torch keeps since 2.6 where it does, else group and position.
    """
    groups = []
    names: Dict[Any, str] = {}
    for group_index, group in enumerate(state["param_groups"]):
        own = list(group.get("param_names") or ())
        for index, position in enumerate(group["params"]):
            named = own[index] if index < len(own) else f"param:{group_index}.{index}"
            names.setdefault(position, named)
        groups.append({**group, "params": [names[position] for position in group["params"]]})
    return {
        **state,
        "state": {names.get(key, key): value for key, value in state["state"].items()},
        "param_groups": groups,
    }


def differences(
    optimizer: Optimizer,
    saved: Mapping[str, Any],
    parameters: Mapping[str, Any],
    parameter_names: Mapping[int, str],
) -> List[str]:
    """Say what of a saved state does not fit a live optimizer, without touching it.

    Args:
        optimizer: The live optimizer.
        saved: The state, keyed by names.
        parameters: Name to shape and data type at the time of the save.
        parameter_names: As in `names_of`, for the live model.

    Returns:
        One clause for each difference; empty when it fits.
    """
    found: List[str] = []
    live = names_of(optimizer, parameter_names)
    groups = saved["param_groups"]
    if len(groups) != len(live):
        return [f"{len(groups)} parameter groups were saved, and there are {len(live)}"]
    for index, (group, live_names) in enumerate(zip(groups, live)):
        names = group["params"]
        if len(names) != len(live_names):
            found.append(
                f"group {index} had {len(names)} parameters, and there are {len(live_names)}"
            )
            continue
        if not _comparable(names, live_names):
            continue
        then, now = _named(names), _named(live_names)
        found.extend(f"group {index} had parameter {name!r}" for name in sorted(then - now))
        found.extend(f"group {index} had no parameter {name!r}" for name in sorted(now - then))
    if found:
        return found
    for group, live_names, live_group in zip(groups, live, optimizer.param_groups):
        order = _order(group["params"], live_names)
        for name, parameter in zip(order, live_group["params"]):
            shape = parameters.get(name, {}).get("shape")
            if shape is not None and shape != list(parameter.shape):
                found.append(
                    f"parameter {name!r} had shape {shape}, and has {list(parameter.shape)}"
                )
    return found


def restore(
    optimizer: Optimizer, saved: Mapping[str, Any], parameter_names: Mapping[int, str]
) -> None:
    """Put a saved state into a live optimizer, bit for bit.

    `load_state_dict` does what it does to groups and hooks. It also casts the state to the type of
    the parameters, which turns fp32 moments of bf16 parameters into bf16 ones, so the saved tensors are
    installed again afterwards: into the memory of the tensors that were there, where they fit.

    Args:
        optimizer: The live optimizer; `differences` found none.
        saved: The state, keyed by names. Its tensors are only read.
        parameter_names: As in `names_of`, for the live model.
    """
    live = names_of(optimizer, parameter_names)
    groups = [
        {**group, **_torch_names(live_group), "params": _order(group["params"], live_names)}
        for group, live_group, live_names in zip(
            saved["param_groups"], optimizer.param_groups, live
        )
    ]
    earlier = {id(key): value for key, value in optimizer.state.items()}
    with warnings.catch_warnings():
        # The cast that is undone below.
        warnings.filterwarnings("ignore", message="Casting complex values to real")
        optimizer.load_state_dict(to_torch({**saved, "param_groups": groups}))
    for group, live_group in zip(groups, optimizer.param_groups):
        for name, parameter in zip(group["params"], live_group["params"]):
            if name in saved["state"]:
                optimizer.state[parameter] = _installed(
                    saved["state"][name], earlier.get(id(parameter)), parameter, live_group
                )


def _positions(groups: List[Dict[str, Any]], names: List[List[str]]) -> Dict[int, str]:
    return {
        position: name
        for group, group_names in zip(groups, names)
        for position, name in zip(group["params"], group_names)
    }


def _named(names: List[str]) -> set[str]:
    return {name for name in names if not name.startswith("param:")}


def _comparable(saved: List[str], live: List[str]) -> bool:
    """Names say something when both sides have some; otherwise only positions do."""
    return bool(_named(saved)) and bool(_named(live))


def _order(saved: List[str], live: List[str]) -> List[str]:
    """The saved names in the order of the live group's parameters; nameless ones keep their order."""
    if not _comparable(saved, live):
        return list(saved)
    nameless = (name for name in saved if name not in _named(saved))
    return [name if name in _named(live) else next(nameless) for name in live]


def _torch_names(group: Mapping[str, Any]) -> Dict[str, Any]:
    """The names that torch keeps itself since 2.6; they belong to the order of the live group."""
    return {key: list(group[key]) for key in ("param_names",) if key in group}


def _installed(
    value: Any, earlier: Any, parameter: torch.Tensor, group: Mapping[str, Any], key: str = ""
) -> Any:
    """Copy a saved value, with each tensor on the device where the optimizer expects it."""
    if isinstance(value, torch.Tensor):
        on_host = key == "step" and not (group.get("capturable") or group.get("fused"))
        device = value.device if on_host else parameter.device
        if (
            isinstance(earlier, torch.Tensor)
            and (earlier.shape, earlier.dtype, earlier.device) == (value.shape, value.dtype, device)
            and earlier.stride() == value.stride()
        ):
            with torch.no_grad():
                return earlier.copy_(value)
        return torch.empty_like(value, device=device).copy_(value)
    if isinstance(value, dict):
        before = earlier if isinstance(earlier, dict) else {}
        # The type is kept: a plain dict, a defaultdict or an OrderedDict.
        filled = value.copy()
        for name, item in value.items():
            filled[name] = _installed(item, before.get(name), parameter, group, str(name))
        return filled
    if isinstance(value, (list, tuple)):
        items = [_installed(item, None, parameter, group) for item in value]
        return type(value)(items)
    return value
