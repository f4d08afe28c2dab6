"""What may be a component of a training state, and under which name."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from torch.utils.data import DataLoader

from hfl_core import ConfigError
from hfl_state._component import is_count
from hfl_state._loader import ResumableLoader
from hfl_state._sampler_randomness import GENERATORS

_RESERVED = (
    "progress", "clock", "settings", "rng", "step", "epoch", "batch", "samples", "best", "elapsed",
)  # fmt: skip


def check_seed(seed: Any) -> None:
    """Refuse a seed that no stream takes.

    Args:
        seed: A whole number from 0, or None.

    Raises:
        ConfigError: It is something else.
    """
    if seed is not None and not is_count(seed, 0):
        raise ConfigError(
            f"A seed of {seed!r} makes no sense.", hint="It is a whole number from 0."
        )


def check_names(more: Mapping[str, Any]) -> None:
    """Refuse names that are taken, or that no file could have.

    Args:
        more: Components by name.

    Raises:
        ConfigError: There is such a name.
    """
    for name in more:
        if name in _RESERVED:
            raise ConfigError(
                f"The component name {name!r} is taken.",
                hint=f"Choose another one than {', '.join(_RESERVED)}.",
            )
        if not name.isidentifier():
            raise ConfigError(
                f"The component name {name!r} is not an identifier.",
                hint="Use letters, digits and underscores: files are named after components.",
            )


def check_components(components: Mapping[str, Any]) -> None:
    """Refuse components without a state.

    Args:
        components: Components by name.

    Raises:
        ConfigError: There is such a component.
    """
    for name, each in components.items():
        for method in ("state_dict", "load_state_dict"):
            if not callable(getattr(each, method, None)):
                raise ConfigError(
                    f"The component {name!r} is a {type(each).__name__} without {method}().",
                    hint="Give it state_dict() and load_state_dict(), or leave it out.",
                )


def unfolded(name: str, value: Any) -> Dict[str, Any]:
    """Give each of several components a name.

    Args:
        name: What they are called together.
        value: One component, a list of them, or a dict by name.

    Returns:
        Name to component; ``name_0``, ``name_1`` in a list, ``name_key`` in a dict.

    Raises:
        ConfigError: A key of a dict is not an identifier.
    """
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    # What is a mapping and has a state, as torch's ParameterDict, is one component.
    elif not isinstance(value, Mapping) or hasattr(value, "state_dict"):
        return {name: value}
    named = {f"{name}_{key}": each for key, each in value.items()}
    check_names(named)
    return named


def resumable(
    loader: Optional[DataLoader[Any] | ResumableLoader], seed: Optional[int]
) -> Optional[ResumableLoader]:
    """Wrap a loader, unless it is wrapped.

    Args:
        loader: The loader or None.
        seed: The run's seed, for a loader that has no generator of its own.

    Returns:
        The wrapped loader or None.
    """
    if loader is None or isinstance(loader, ResumableLoader):
        return loader
    # A generator that the user gave to the loader is the more specific wish; torchdata's loader gives
    # its sampler one by itself.
    is_given = bool(_generators_of(loader)) and not hasattr(loader, "load_state_dict")
    return ResumableLoader(loader, seed=None if is_given else seed)


def own_generators(loader: Optional[ResumableLoader]) -> Dict[str, Any]:
    """Name the generators of a loader and its sampler, which a loop may draw from as well.

    Args:
        loader: The loader or None.

    Returns:
        Name to generator.
    """
    return {} if loader is None else _generators_of(loader.loader)


def _generators_of(loader: Any) -> Dict[str, Any]:
    owners = {"loader": loader, "sampler": getattr(loader, "sampler", None)}
    found = {name: getattr(owner, "generator", None) for name, owner in owners.items()}
    return {name: each for name, each in found.items() if isinstance(each, GENERATORS)}
