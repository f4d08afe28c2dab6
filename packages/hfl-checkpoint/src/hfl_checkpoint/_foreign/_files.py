"""Single files of `torch.save`: what people write by hand, and Lightning's checkpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Mapping

from torch import nn

from hfl_checkpoint._components import RESERVED
from hfl_checkpoint._foreign import _pickles, _plain
from hfl_checkpoint._foreign._result import Draft
from hfl_core import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_LIGHTNING = "pytorch-lightning_version"

# What hand-written code calls the step and the epoch.
_STEP = ("step", "global_step", "iteration", "iter", "iter_num", "steps")
_EPOCH = ("epoch", "epochs")
_STATE_SUFFIX = re.compile(r"_(state_dict|state|sd)$")


def read_file(path: Path, *, trust_pickle: bool) -> Draft:
    """Read a file of `torch.save`."""
    read = _pickles.read(path, trust_pickle=trust_pickle)
    value = read.value
    if isinstance(value, Mapping) and _LIGHTNING in value:
        draft = _lightning(value)
    else:
        draft = _by_hand(path, value)
    draft.skipped += read.skipped
    return draft


def _lightning(value: Mapping[str, Any]) -> Draft:
    draft = Draft("lightning", step=value.get("global_step"), epoch=value.get("epoch"))
    draft.add("model", "model", _plain.canonical(value.get("state_dict", {})))
    for key, component, kind in (
        ("optimizer_states", "optimizer", "optimizer"),
        ("lr_schedulers", "scheduler", "stateful"),
    ):
        states = value.get(key) or []
        for index, state in enumerate(states):
            draft.add(component if index == 0 else f"{component}_{index}", kind, state)
    known = {"state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"}
    for key, item in value.items():
        if key in known or not isinstance(item, Mapping):
            continue
        draft.add(_identifier(key), "mapping", dict(item))
    return draft


def _by_hand(path: Path, value: Any) -> Draft:
    draft = Draft("torch")
    if isinstance(value, nn.Module):  # only with trust_pickle=True
        value = value.state_dict()
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{path.name} holds an object of type {type(value).__name__}, not states.",
            hint="Read it with torch.load, and pass what you need to save().",
        )
    if _plain.is_model_state(value):
        draft.add("model", "model", _plain.canonical(value))
        return draft
    rest = {}
    for key, item in value.items():
        state = item.state_dict() if isinstance(item, nn.Module) else item
        if isinstance(state, Mapping):
            _add_state(draft, str(key).lower(), state)
        elif not _is_count(draft, str(key).lower(), item):
            rest[key] = item
    if rest:
        draft.add("extra", "mapping", rest)
    return draft


def _is_count(draft: Draft, key: str, item: Any) -> bool:
    """Take a number that says the step or the epoch."""
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        return False
    if item < 0 or item % 1 != 0:  # half an epoch, and NaN and infinity, whose remainder is NaN
        return False
    if key in _STEP and draft.step is None:
        draft.step = int(item)
    elif key in _EPOCH and draft.epoch is None:
        draft.epoch = int(item)
    else:
        return False
    return True


def _add_state(draft: Draft, key: str, item: Mapping[str, Any]) -> None:
    name = _identifier(_STATE_SUFFIX.sub("", key))
    if _plain.is_model_state(item):
        name = "model" if name in ("state_dict", "net", "network") else name
        draft.add(name, "model", _plain.canonical(item))
    elif {"state", "param_groups"} <= set(item):
        draft.add("optimizer" if name in ("opt", "optim") else name, "optimizer", dict(item))
    else:
        # A scheduler's or a scaler's state; which class it is of, only the program knows.
        is_stateful = name.startswith(("sched", "lr_sched", "scaler"))
        draft.add(name, "stateful" if is_stateful else "mapping", dict(item))


def _identifier(key: str) -> str:
    """A component's name that is close to a key."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", str(key)) or "extra"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if name in RESERVED else name
