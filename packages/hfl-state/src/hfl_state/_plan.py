"""What an optimizer and a learning rate schedule were set to, as opposed to how far they have come."""

from __future__ import annotations

import functools
import types
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

import torch

from hfl_state._component import logger

# What a schedule counts or computes while it runs. All else in its state are its settings.
_RUNNING = {
    "T_cur", "T_i", "_get_lr_called_within_step", "_is_initial", "_last_lr", "_step_count", "base_lrs",
    "best", "cooldown_counter", "last_epoch", "num_bad_epochs", "verbose",
}  # fmt: skip
_NESTED = "_schedulers"
_PLAIN = (bool, int, float, str, type(None))


def optimizer_plan(optimizer: Any) -> Dict[str, Any]:
    """Read the settings of an optimizer.

    Args:
        optimizer: It, with or without a schedule.

    Returns:
        A name for each setting, with a group's number where there are several, to its value. The
        learning rate is the one before any schedule.
    """
    groups = optimizer.param_groups
    return {
        name if len(groups) == 1 else f"{name} of group {number}": value
        for number, group in enumerate(groups)
        for name, value in _group_plan(group).items()
    }


def _group_plan(group: Mapping[str, Any]) -> Dict[str, Any]:
    left_out = {"params", "param_names", "initial_lr", "lr"}
    if "max_momentum" in group:
        left_out |= {"momentum", "betas"}  # OneCycleLR moves these as well
    plan = {"lr": group.get("initial_lr", group["lr"])} if "lr" in group else {}
    plan.update((name, value) for name, value in group.items() if name not in left_out)
    return _plain_ones(plan)


def scheduler_plan(scheduler: Any) -> Dict[str, Any]:
    """Read the settings of a learning rate schedule, and of the schedules inside it.

    Args:
        scheduler: It.

    Returns:
        A name for each setting to its value; of functions, what they are called and what is plain of
        what they hold.
    """
    plan: Dict[str, Any] = {}
    for prefix, each in flattened(scheduler):
        for name, value in settings_of(each).items():
            if name in ("lr_lambdas", "lr_lambda"):
                functions = value if isinstance(value, (list, tuple)) else [value]
                plan[prefix + name] = [describe(function) for function in functions]
            else:
                plan[prefix + name] = value
    return _plain_ones(plan)


def settings_of(scheduler: Any) -> Dict[str, Any]:
    """Read what a schedule was made with, by attribute.

    Args:
        scheduler: A schedule; those inside it are left out.

    Returns:
        Attribute to value.
    """
    left_out = _RUNNING | {_NESTED, "optimizer", "step"}
    return {name: value for name, value in vars(scheduler).items() if name not in left_out}


def flattened(scheduler: Any, prefix: str = "") -> Iterator[Tuple[str, Any]]:
    """Go through a schedule and those inside it.

    Args:
        scheduler: The outer one.
        prefix: What its settings' names begin with.

    Yields:
        A prefix for the names of its settings, and the schedule.
    """
    yield prefix, scheduler
    for number, each in enumerate(getattr(scheduler, _NESTED, ())):
        yield from flattened(each, f"{prefix}schedule {number}: ")


def _plain_ones(plan: Mapping[str, Any]) -> Dict[str, Any]:
    found = {name: _plain(value) for name, value in plan.items()}
    return {name: value for name, value in found.items() if value is not _UNKNOWN}


_UNKNOWN = object()


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dim() == 0 and value.device.type == "cpu":
        value = value.item()
    if isinstance(value, (list, tuple)):
        parts = [_plain(part) for part in value]
        return _UNKNOWN if any(part is _UNKNOWN for part in parts) else parts
    return value if isinstance(value, _PLAIN) else _UNKNOWN


def describe(function: Any) -> str:
    """Name a function, and what is plain of what it holds.

    Args:
        function: A function, a partial one, or an object that can be called.

    Returns:
        A text that is another one when the function is called something else, or holds other numbers.
    """
    if isinstance(function, functools.partial):
        arguments: Dict[Any, Any] = dict(enumerate(function.args))
        arguments.update(function.keywords)
        return describe(function.func) + _listed(arguments)
    if isinstance(function, types.MethodType):
        return function.__qualname__
    if isinstance(function, types.FunctionType):
        return function.__qualname__ + _listed(_held(function))
    return type(function).__name__


def _held(function: types.FunctionType) -> Dict[Any, Any]:
    held: Dict[Any, Any] = dict(function.__kwdefaults__ or {})
    defaults = function.__defaults__ or ()
    if defaults:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        held.update(zip(names[-len(defaults) :], defaults))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return held


def _listed(held: Mapping[Any, Any]) -> str:
    texts = [f"{name}={value!r}" for name, value in held.items() if isinstance(value, _PLAIN)]
    return f"({', '.join(texts)})" if texts else ""


def warn_of_functions(name: str, scheduler: Any) -> None:
    """Say in the log which functions of a schedule no state can hold.

    Args:
        name: The component's name.
        scheduler: A schedule.
    """
    for _, each in flattened(scheduler):
        functions: Any = getattr(each, "lr_lambdas", getattr(each, "lr_lambda", ()))
        lost: List[str] = [
            describe(function)
            for function in (functions if isinstance(functions, (list, tuple)) else [functions])
            if _is_lost(function)
        ]
        if lost:
            logger.warning(
                "The state of %r (a %s) cannot hold %s: build the run with the same on a resume. Only "
                "the name and the plain values that it holds are compared.",
                name,
                type(each).__name__,
                ", ".join(lost),
            )


def _is_lost(function: Callable[..., object]) -> bool:
    if isinstance(function, functools.partial):
        # Such as the schedules of transformers: all that matters can be seen, and is compared.
        held = (*function.args, *function.keywords.values())
        return not all(isinstance(value, _PLAIN) for value in held)
    return isinstance(function, (types.FunctionType, types.MethodType))
