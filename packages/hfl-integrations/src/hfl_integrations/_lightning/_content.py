"""A Lightning checkpoint, which is one dictionary, as the components of a checkpoint, and back."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import torch
from torch import nn

from hfl_core import IncompatibleStateError
from hfl_integrations._lightning._hyperparameters import as_plain, as_was

FORMAT = 1

# The component that tells a checkpoint of Lightning from others, and the keys of the dictionary that are
# components of their own.
CONTENT = "lightning"
RANK = "rank"
STATE, OPTIMIZERS = "state_dict", "optimizer_states"

# Under this key the dictionary that Lightning gets holds what is ours, for our callback.
OWN = "hfl"

_LOADERS = "combined_loader"


class SavedModule(nn.Module):
    """Stands for a model whose saved tensors are not, or not all, those of the live one.

    Hooks may take tensors out of a checkpoint (a frozen backbone), or put others in (averaged weights).

    Args:
        state: The tensors.
        real: The model, by whose parameters an optimizer's state is named; None when there is none.
    """

    def __init__(self, state: Mapping[str, Any], real: nn.Module | None = None) -> None:
        super().__init__()
        parameters = () if real is None else real.named_parameters(remove_duplicate=False)
        # Not registered with torch: they are somebody else's.
        self.saved: Any = state
        self.named = tuple(item for item in parameters if item[0] in state)

    def state_dict(self, *_: Any, **__: Any) -> Any:
        """Return the tensors."""
        return self.saved

    def load_state_dict(self, *_: Any, **__: Any) -> Any:
        """Do nothing: Lightning has loaded it, after its hooks have seen it."""

    def named_parameters(self, *_: Any, **__: Any) -> Iterator[Tuple[str, nn.Parameter]]:
        """Yield the parameters of the real model that are among the tensors."""
        yield from self.named


class Content:
    """Everything in Lightning's dictionary that is no model and no optimizer.

    Args:
        content: It; None for an object that only reads.

    Attributes:
        content: It, or what was loaded.
    """

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        self.content = dict(content or {})

    def state_dict(self) -> Dict[str, Any]:
        """Return the content, under a number for its form."""
        return {"format": FORMAT, "content": self.content}

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from being used."""
        if saved.get("format") != FORMAT or not isinstance(saved.get("content"), Mapping):
            return ["It is no state of Lightning that this version understands."]
        return []

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Keep a saved state."""
        problems = self.check(saved)
        if problems:
            raise IncompatibleStateError(" ".join(problems))
        self.content = dict(saved["content"])


def components_of(
    checkpoint: Mapping[str, Any],
    *,
    module: nn.Module | None = None,
    optimizers: Tuple[Any, ...] = (),
    left_out: List[str] | None = None,
) -> Dict[str, Any]:
    """Name the components of a dictionary of Lightning's.

    Args:
        checkpoint: The dictionary. It is not changed.
        module: The live model, where it is known: its tensors may be copied later then.
        optimizers: The live optimizers, likewise; else their states in the dictionary are used.
        left_out: Gets a clause for each hyperparameter that cannot be saved.

    Returns:
        Name to component.
    """
    rest = {name: value for name, value in checkpoint.items() if name not in (STATE, OWN)}
    found: Dict[str, Any] = {}
    if STATE in checkpoint:
        state = checkpoint[STATE]
        is_live = module is not None and _is_state_of(module, state)
        found["model"] = module if is_live else SavedModule(state, module)
        rest["hfl_names"] = [name for name in state if _is_wrapped(name)]
    if OPTIMIZERS in rest and optimizers:
        rest[OPTIMIZERS] = len(optimizers)
        found.update(zip(optimizer_names(len(optimizers)), optimizers))
    content, dropped = as_plain(_without_loaders(rest))
    if left_out is not None:
        left_out.extend(dropped)
    found[CONTENT] = Content(content)
    return found


def optimizer_names(count: int) -> List[str]:
    """What the components of optimizers are called."""
    return ["optimizer"] if count == 1 else [f"optimizer_{number}" for number in range(count)]


def checkpoint_of(states: Mapping[str, Any]) -> Dict[str, Any]:
    """Put the states of components together again, as the dictionary that Lightning restores from.

    Args:
        states: Component to state.

    Raises:
        IncompatibleStateError: It is no checkpoint of Lightning.
    """
    holder = Content()
    holder.load_state_dict(states.get(CONTENT, {}))
    checkpoint = as_was(holder.content)
    wrapped = checkpoint.pop("hfl_names", [])
    if "model" in states:
        original = {_canonical(name): name for name in wrapped}
        state = {original.get(name, name): value for name, value in states["model"].items()}
        checkpoint[STATE] = state
    if isinstance(checkpoint.get(OPTIMIZERS), int):
        names = optimizer_names(checkpoint[OPTIMIZERS])
        checkpoint[OPTIMIZERS] = [states[name] for name in names]
    return checkpoint


def is_lightning(names: Any) -> bool:
    """Whether components with these names are a checkpoint of Lightning."""
    return CONTENT in names


def _is_state_of(module: nn.Module, state: Mapping[str, Any]) -> bool:
    """Whether these are the live tensors of a model, all of them and no others."""
    live = module.state_dict()
    return live.keys() == state.keys() and all(
        _is_same(value, state[name]) for name, value in live.items()
    )


def _is_same(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return (
            False  # an extra state is made anew each time; it is written as it is in the dictionary
        )
    return (
        one.data_ptr() == other.data_ptr()
        and one.shape == other.shape
        and one.dtype == other.dtype
        and one.stride() == other.stride()
    )


# torch.compile's mark, which no name on disk has. Lightning restores by the names that it saved.
_MARK = re.compile(r"(^|\.)_orig_mod\.")


def _is_wrapped(name: str) -> bool:
    return _MARK.search(name) is not None


def _canonical(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _without_loaders(checkpoint: Dict[str, Any]) -> Dict[str, Any]:
    """Leave out the states of loaders of ours, which are empty: the positions are every process's own."""
    loops: Any = checkpoint.get("loops")
    fit: Any = loops.get("fit_loop", {}) if isinstance(loops, Mapping) else {}
    state = fit.get("state_dict", {})
    if not state.get(_LOADERS) or any(state[_LOADERS]):
        return checkpoint
    bare = {name: value for name, value in state.items() if name != _LOADERS}
    return {**checkpoint, "loops": {**loops, "fit_loop": {**fit, "state_dict": bare}}}
