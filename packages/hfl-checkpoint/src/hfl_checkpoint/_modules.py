"""Names of a model's tensors without the marks of the wrappers around it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from hfl_checkpoint.errors import StateMismatchError

if TYPE_CHECKING:
    import torch

# No module of a user's would have these names; `module` might be one, so it depends on the class.
WRAPPER_PARTS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_PARALLEL = (DataParallel, DistributedDataParallel, AveragedModel)

# How many updates went into an average; a plain model has no use for it.
AVERAGED_COUNT = "n_averaged"


def unwrap(module: nn.Module) -> nn.Module:
    """Return the model inside torch.compile, DataParallel, DDP, FSDP and AveragedModel wrappers."""
    while True:
        if isinstance(module, _PARALLEL):
            module = module.module
            continue
        for part in WRAPPER_PARTS:
            inner = module._modules.get(part)
            if inner is not None:
                module = inner
                break
        else:
            return module


def canonical_names(module: nn.Module) -> Dict[str, str]:
    """Map the keys of a module's state dict to their names without wrappers.

    Args:
        module: The model, wrapped or not, with wrapped parts or not.

    Returns:
        Key as the module has it to canonical name.

    Raises:
        StateMismatchError: Two keys have the same canonical name.
    """
    return strip_wrappers(module, module.state_dict(keep_vars=True))


def strip_wrappers(module: nn.Module, state: Mapping[str, object]) -> Dict[str, str]:
    """Like `canonical_names`, for a state dict that is there already."""
    parallel = _parallel_prefixes(module)
    names: Dict[str, str] = {}
    taken: Dict[str, str] = {}
    for key in state:
        name = _strip(key, parallel)
        if name in taken:
            raise StateMismatchError(
                "model", [f"{key!r} and {taken[name]!r} are both {name!r} without their wrappers"]
            )
        taken[name] = key
        names[key] = name
    return names


def canonical_versions(module: nn.Module, state: Any) -> Dict[str, Any]:
    """The module versions that torch keeps with a state dict, under paths without wrappers."""
    parallel = _parallel_prefixes(module)
    versions = getattr(state, "_metadata", {})
    return {_strip(f"{path}.", parallel).rstrip("."): value for path, value in versions.items()}


def with_versions(module: nn.Module, state: Any, versions: Mapping[str, Any]) -> None:
    """Give a state dict the module versions of a saved one, under the live module's paths."""
    parallel = _parallel_prefixes(module)
    state._metadata = OrderedDict(
        (path, versions[canonical])
        for path, _ in module.named_modules(remove_duplicate=False)
        for canonical in [_strip(f"{path}.", parallel).rstrip(".")]
        if canonical in versions
    )


def named_parameters(component: str, module: nn.Module) -> Iterator[Tuple[str, torch.Tensor]]:
    """Yield the parameters with the names by which optimizers keep their state."""
    parallel = _parallel_prefixes(module)
    prefix = "" if component == "model" else f"{component}:"
    for key, parameter in module.named_parameters(remove_duplicate=False):
        yield prefix + _strip(key, parallel), parameter


def matched(saved: Iterable[str], live: Iterable[str]) -> Dict[str, str]:
    """Find for each saved name the name that a live model has for it, whatever wrappers left in either.

    States that others saved carry the marks of their wrappers, and which ``module.`` is one cannot be told
    from names alone: it is left out where that gives a name that the live model has.

    Args:
        saved: The saved names.
        live: The live model's, without wrappers.

    Returns:
        Saved name to live name; a name that has no counterpart stands for itself.
    """
    there = set(live)
    names: Dict[str, str] = {}
    taken = there.intersection(saved)
    for name in saved:
        if name in there:
            names[name] = name
            continue
        bare = [part for part in name.split(".") if part not in WRAPPER_PARTS]
        candidates = [".".join(bare)]
        while "module" in bare:
            bare.remove("module")
            candidates.append(".".join(bare))
        names[name] = next((item for item in candidates if item in there - taken), name)
        taken.add(names[name])
    return names


def frozen_parameters(module: nn.Module) -> List[str]:
    """The canonical names of the parameters that no optimizer changes, as they need no gradient."""
    parallel = _parallel_prefixes(module)
    return [
        _strip(key, parallel)
        for key, parameter in module.named_parameters(remove_duplicate=False)
        if not parameter.requires_grad
    ]


def _parallel_prefixes(module: nn.Module) -> List[str]:
    """The prefixes that DataParallel, DDP and AveragedModel add, longest first.

    The order leaves an outer wrapper's prefix in place until its turn comes.
    """
    prefixes = (
        f"{path}.module." if path else "module."
        for path, child in module.named_modules(remove_duplicate=False)
        if isinstance(child, _PARALLEL)
    )
    return sorted(prefixes, key=len, reverse=True)


def _strip(key: str, parallel: List[str]) -> str:
    for prefix in parallel:
        if key.startswith(prefix):
            key = prefix[: -len("module.")] + key[len(prefix) :]
    return ".".join(part for part in key.split(".") if part not in WRAPPER_PARTS)
