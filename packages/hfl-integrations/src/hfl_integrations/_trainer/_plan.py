"""What of a Trainer's own settings is honoured, what gives way, and what contradicts itself."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Tuple

from hfl_checkpoint import KeepBest, KeepLast, OnBest
from hfl_core import ConfigError
from hfl_integrations._trainer._policies import KeepAsConfigured, leaves


@dataclasses.dataclass(frozen=True)
class Plan:
    """How saving goes on.

    Attributes:
        follows_trainer: Whether the Trainer's ``save_strategy`` decides when to save; else ``save=`` does.
        listens: Whether SIGTERM is to save and stop.
        notes: What a person has to know at the start, one clause each.
    """

    follows_trainer: bool
    listens: bool
    notes: Tuple[str, ...]


def plan_for(args: Any, *, save: Any, keep: Any, hub: Any, configured: KeepAsConfigured) -> Plan:
    """Compare a Trainer's settings with the callback's options.

    Args:
        args: The training arguments.
        save: The callback's ``save=``.
        keep: The callback's ``keep=``.
        hub: The callback's ``hub=``.
        configured: The retention that the settings ask for; filled in here.

    Raises:
        ConfigError: Two settings contradict each other.
    """
    _refuse_metrics_without_evaluation(args, save, keep)
    notes: List[str] = []
    strategy = str(getattr(args.save_strategy, "value", args.save_strategy))
    if save is not None:
        if strategy == "steps" and args.save_steps != _default(args, "save_steps"):
            notes.append(f"save_steps={args.save_steps} gives way to save={save!r}")
        elif strategy != "steps":
            notes.append(f"save_strategy={strategy!r} gives way to save={save!r}")
    elif strategy == "no":
        notes.append(
            "save_strategy='no' and no save=: nothing will be saved; pass save=EverySteps(500), say"
        )
    limit = args.save_total_limit
    if keep is not None and limit is not None:
        notes.append(f"save_total_limit={limit} gives way to keep={keep!r}")
    _configure(configured, args, limit=limit if keep is None else None)
    notes += _outputs(args, hub)
    return Plan(
        follows_trainer=save is None,
        listens=bool(getattr(args, "enable_jit_checkpoint", False)),
        notes=tuple(notes),
    )


def best_metric(args: Any) -> str | None:
    """The name under which the metric for the best model is logged."""
    metric = args.metric_for_best_model
    if metric is None:
        return None
    return metric if metric.startswith("eval_") else f"eval_{metric}"


def best_mode(args: Any) -> Any:
    """Whether more or less of it is better."""
    return "max" if args.greater_is_better else "min"


def wanted_metrics(save: Any, keep: Any) -> List[str]:
    """Name the metrics by which policies decide."""
    found = [item.metric for item in leaves(save) if isinstance(item, OnBest)]
    found += [item.metric for item in leaves(keep) if isinstance(item, KeepBest)]
    return list(dict.fromkeys(found))


def _refuse_metrics_without_evaluation(args: Any, save: Any, keep: Any) -> None:
    if str(getattr(args.eval_strategy, "value", args.eval_strategy)) != "no":
        return
    missing = [name for name in wanted_metrics(save, keep) if name.startswith("eval_")]
    if missing:
        raise ConfigError(
            f"{missing[0]!r} decides what is saved or kept, and eval_strategy='no' means that it never "
            "gets a value.",
            hint="Set eval_strategy='steps' or 'epoch', or choose by another metric, such as 'loss'.",
        )


def _configure(configured: KeepAsConfigured, args: Any, *, limit: int | None) -> None:
    """Fill in the retention; the best is never deleted when it is to be loaded at the end."""
    best = None
    metric = best_metric(args)
    if metric is not None:
        best = KeepBest(metric, n=1, mode=best_mode(args))
    if limit is not None and limit > 0:
        # The Trainer counts the best one in; here it comes on top when it is not among the newest.
        configured.inner = KeepLast(limit) if best is None else KeepLast(limit) | best
    elif configured.inner is None:
        configured.inner = best
    elif best is not None:
        configured.inner = best | configured.inner


def _outputs(args: Any, hub: Any) -> List[str]:
    notes = []
    if args.save_only_model:
        notes.append(
            "save_only_model=True gives way: a run can only be resumed from its whole state"
        )
    if getattr(args, "save_safetensors", True) is False:
        notes.append("save_safetensors=False gives way: checkpoints hold no pickles")
    if args.save_on_each_node:
        notes.append("save_on_each_node=True gives way: the manager decides who writes")
    if args.push_to_hub:
        strategy = str(getattr(args.hub_strategy, "value", args.hub_strategy))
        if strategy != "end":
            where = f"hub={hub!r} publishes them" if hub else "pass hub= to publish them"
            notes.append(
                f"hub_strategy={strategy!r} gives way: the Trainer pushes no checkpoints, {where}; "
                "trainer.push_to_hub() works as before"
            )
    if args.hub_token and hub:
        notes.append(
            "hub_token= is for trainer.push_to_hub() alone: checkpoints are published as the profile of "
            "hfl-auth, or HF_TOKEN"
        )
    return notes


def _default(args: Any, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(args) if field.name == name)
