"""What scripts pass to ``save_hyperparameters``, in a form that a checkpoint can hold."""

from __future__ import annotations

import collections
import datetime
import enum
import importlib
import pathlib
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np
import torch

_KEYS = ("hyper_parameters", "datamodule_hyper_parameters")
_TYPE = "hparams_type"
_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, enum.Enum, pathlib.PurePath, range, slice,
    datetime.date, datetime.time, datetime.timedelta, np.ndarray, np.generic, torch.Tensor, torch.dtype,
    torch.device, torch.Size,
)  # fmt: skip


def as_plain(checkpoint: Mapping[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
    """Make the hyperparameters of a dictionary of Lightning's plain.

    They describe how the model was made, and training goes on without them. So what cannot be written (a
    class, a function, a module) is left out, as ``save_hyperparameters(ignore=…)`` would.

    Args:
        checkpoint: The dictionary.

    Returns:
        The same with plain hyperparameters, and a name for each that was left out.
    """
    found = dict(checkpoint)
    dropped: List[str] = []
    for key in _KEYS:
        value = found.get(key)
        if value is None:
            continue
        if _is_omegaconf(value):
            omegaconf = importlib.import_module("omegaconf")
            value = omegaconf.OmegaConf.to_container(value, resolve=False)
        found[key] = _plain(value, key, dropped)
    # The class of OmegaConf's containers; a checkpoint names no class that is to be made.
    if isinstance(found.get(_TYPE), type):
        found[_TYPE] = found[_TYPE].__name__
    return found, dropped


def as_was(content: Mapping[str, Any]) -> Dict[str, Any]:
    """Give hyperparameters the form that Lightning saved them in."""
    found = dict(content)
    if found.get(_TYPE) in ("DictConfig", "ListConfig"):
        try:
            omegaconf = importlib.import_module("omegaconf")
        except ImportError:  # they are as good as a dict
            del found[_TYPE]
            return found
        found[_TYPE] = getattr(omegaconf, found[_TYPE])
        for key in _KEYS:
            if key in found:
                found[key] = omegaconf.OmegaConf.create(found[key])
    return found


_NOTHING = object()


def _plain(value: Any, where: str, dropped: List[str]) -> Any:
    if isinstance(value, Mapping):
        items = {key: _plain(item, f"{where}.{key}", dropped) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        before = len(dropped)
        items_ = [_plain(item, f"{where}[{number}]", dropped) for number, item in enumerate(value)]
        if len(dropped) > before:  # a list with a gap in it would be another list
            return _NOTHING
        kind = next(
            base
            for base in (list, tuple, set, frozenset, collections.deque)
            if isinstance(value, base)
        )
        return kind(items_)
    if isinstance(value, _PLAIN):
        return value
    dropped.append(f"{where} ({type(value).__module__}.{type(value).__qualname__})")
    return _NOTHING


def _is_omegaconf(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "omegaconf"
