"""Choosing how to go on in the middle of a loader, by what it is and what it loads."""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from hfl_core import ConfigError
from hfl_state._loader_rebuild import refuse_overrides, refuse_unsupported
from hfl_state._position import Source
from hfl_state._source_map import MapSource
from hfl_state._source_stream import StatefulSource, StreamSource


def source_of(loader: Any, *, seeds_samples: bool, is_exact: bool) -> Source:
    """Make the source for a loader.

    Args:
        loader: The user's loader.
        seeds_samples: Whether every sample is to be fetched with a seed of its own.
        is_exact: Whether a state that loses samples is refused.

    Returns:
        The source.

    Raises:
        ConfigError: The loader is of a kind whose position cannot be known.
    """
    if not isinstance(loader, DataLoader):
        raise ConfigError(
            f"A {type(loader).__name__} is not a torch DataLoader.",
            hint="Pass a torch.utils.data.DataLoader, or torchdata's StatefulDataLoader.",
        )
    keeps_state = _keeps_state(loader)
    is_stream = isinstance(loader.dataset, IterableDataset)
    if seeds_samples and (keeps_state or is_stream):
        raise ConfigError(
            "Samples can only be seeded one by one where a plain DataLoader asks a map-style dataset "
            "for them by their index.",
            hint="Leave out seed_samples, or use such a loader.",
        )
    if keeps_state:
        return StatefulSource(loader, is_exact=is_exact)
    if not is_stream:
        refuse_unsupported(loader)
        return MapSource(loader, seeds_samples=seeds_samples)
    refuse_overrides(loader)
    if not _keeps_state(loader.dataset):
        raise ConfigError(
            f"The position in a {type(loader.dataset).__name__} is not known to its DataLoader: it is an "
            "IterableDataset without state_dict() and load_state_dict().",
            hint="Give it the two, use datasets' IterableDataset, or a map-style dataset (one with "
            "__getitem__ and __len__).",
        )
    if loader.num_workers > 0:
        raise ConfigError(
            "How far the workers of a plain DataLoader have come in an iterable dataset is known to "
            "nobody but them.",
            hint="Use torchdata.stateful_dataloader.StatefulDataLoader with the same arguments, or "
            "num_workers=0.",
        )
    return StreamSource(loader, is_exact=is_exact)


def _keeps_state(owner: Any) -> bool:
    return callable(getattr(owner, "state_dict", None)) and callable(
        getattr(owner, "load_state_dict", None)
    )
