"""What a run was set to: compared on a resume, and put through where the user wants the new ones."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from hfl_state._component import FORMAT, Component, format_problems
from hfl_state._plan import (
    flattened,
    optimizer_plan,
    scheduler_plan,
    settings_of,
    warn_of_functions,
)

_FIELDS: Dict[str, Any] = {"plan": Mapping, "lr": Mapping}


class Settings(Component):
    """Compare the hyperparameters of optimizers and schedules with the saved ones.

    An optimizer's state dict holds its hyperparameters, and loading it puts the saved ones in force
    without a word. So does that of a schedule. This component remembers what both were built with.

    Args:
        components: All components of the run, freshly built.
    """

    restore_last = True
    """After the optimizers and schedules, whose settings it may have to put through."""

    can_keep = True

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._optimizers = {n: each for n, each in components.items() if is_optimizer(each)}
        self._schedulers = {n: each for n, each in components.items() if is_scheduler(each)}
        self._plan: Dict[str, Dict[str, Any]] = {
            **{name: optimizer_plan(each) for name, each in self._optimizers.items()},
            **{name: scheduler_plan(each) for name, each in self._schedulers.items()},
        }
        # As they are, not as text: these are put back.
        self._groups = {
            name: [{k: v for k, v in group.items() if k != "params"} for group in each.param_groups]
            for name, each in self._optimizers.items()
        }
        self._built = {
            name: [
                (part, settings_of(part), list(getattr(part, "base_lrs", ())))
                for _, part in flattened(each)
            ]
            for name, each in self._schedulers.items()
        }
        for name, each in self._schedulers.items():
            warn_of_functions(name, each)

    def state_dict(self) -> Dict[str, Any]:
        """Return the settings, and the learning rates of the moment.

        Returns:
            Plain values.
        """
        return {
            "format": FORMAT,
            "plan": {name: dict(plan) for name, plan in self._plan.items()},
            "lr": {
                name: [_number(group.get("lr")) for group in each.param_groups]
                for name, each in self._optimizers.items()
            },
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words why a saved state can never be this run's.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        return format_problems(saved, _FIELDS)

    def differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words which settings are not what they were.

        Args:
            saved: A state that `problems` found nothing wrong with.

        Returns:
            One sentence per setting.
        """
        return [
            f"The {setting} of {name!r} was {there[setting]!r} and is {here[setting]!r} now."
            for name, here in self._plan.items()
            for there in [saved["plan"].get(name, {})]
            for setting in here
            # Versions of torch differ in what they have; what only one has is no decision of the user's.
            if setting in there and _as_saved(here[setting]) != _as_saved(there[setting])
        ]

    def _apply(self, saved: Mapping[str, Any]) -> None:
        if self._keeps:
            self._plan.update({name: dict(plan) for name, plan in saved["plan"].items()})
        if self.on_change != "override":
            return
        for name, optimizer in self._optimizers.items():
            rates = self._rates(name, optimizer, saved)
            for group, built, rate in zip(optimizer.param_groups, self._groups[name], rates):
                group.update((k, v) for k, v in built.items() if k != "lr" and not _moves(k, built))
                if rate is not None:
                    group["lr"] = rate
        for name, scheduler in self._schedulers.items():
            if self._plan[name] != saved["plan"].get(name) or self._has_other_rates(saved):
                self._put_through(name, scheduler)

    def _has_other_rates(self, saved: Mapping[str, Any]) -> bool:
        return any(
            self._plan[name] != saved["plan"].get(name, self._plan[name])
            for name in self._optimizers
        )

    def _rates(self, name: str, optimizer: Any, saved: Mapping[str, Any]) -> List[Any]:
        """Carry what a schedule has done to the saved learning rates over to the new ones."""
        now = saved["lr"].get(name, [])
        count = len(optimizer.param_groups)
        rates: List[Any] = []
        for number, rate in enumerate(now):
            setting = "lr" if count == 1 else f"lr of group {number}"
            there = saved["plan"].get(name, {}).get(setting)
            here = self._plan[name].get(setting)
            if rate == there:
                rates.append(here)  # to the bit
            else:
                is_scaled = rate is not None and there and here
                rates.append(rate * here / there if is_scaled else rate)
        return rates

    def _put_through(self, name: str, scheduler: Any) -> None:
        for part, settings, base_lrs in self._built[name]:
            vars(part).update(settings)
            if base_lrs:
                part.base_lrs = list(base_lrs)
        rates = _closed_form(scheduler)
        if rates is None:
            return
        for group, rate in zip(scheduler.optimizer.param_groups, rates):
            group["lr"] = rate
        scheduler._last_lr = list(rates)


def is_optimizer(component: Any) -> bool:
    """Tell whether a component is an optimizer.

    Args:
        component: Any component.

    Returns:
        Whether it is one of torch's or behaves like one.
    """
    return isinstance(component, Optimizer) or isinstance(
        getattr(component, "param_groups", None), list
    )


def is_scheduler(component: Any) -> bool:
    """Tell whether a component is a learning rate schedule.

    Args:
        component: Any component.

    Returns:
        Whether it is one of torch's or behaves like one.
    """
    # Not all of torch's count epochs: one that joins others leaves it to them.
    is_torchs = isinstance(component, (LRScheduler, ReduceLROnPlateau))
    return is_torchs or (hasattr(component, "last_epoch") and hasattr(component, "optimizer"))


def _number(value: Any) -> Any:
    if value is None or isinstance(value, (int, float)):
        return value
    # Reading one from a device would wait for all that is computed there.
    return float(value) if value.device.type == "cpu" else None


def _as_saved(value: Any) -> Any:
    return [_as_saved(part) for part in value] if isinstance(value, (list, tuple)) else value


def _moves(key: str, group: Mapping[str, Any]) -> bool:
    return key in ("momentum", "betas") and "max_momentum" in group


def _closed_form(scheduler: Any) -> Any:
    """Compute the learning rates of this moment from the settings alone, where that can be done."""
    known = type(scheduler).__name__
    if known == "LambdaLR":
        pairs: List[Tuple[Any, float]] = list(zip(scheduler.lr_lambdas, scheduler.base_lrs))
        return [base * function(scheduler.last_epoch) for function, base in pairs]
    if hasattr(scheduler, "_get_closed_form_lr"):
        return scheduler._get_closed_form_lr()
    if known == "OneCycleLR":
        scheduler._get_lr_called_within_step = (
            True  # else torch warns that it is not called by a step
        )
        try:
            return scheduler.get_lr()
        finally:
            scheduler._get_lr_called_within_step = False
    return None
