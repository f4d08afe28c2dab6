"""Where versions of other libraries differ."""

from __future__ import annotations

from typing import Any


def renew_sampler_iterator(batch_sampler: Any) -> None:
    """Let a batch sampler of torchdata 0.8 begin from how its sampler stands now.

    It asks its sampler for an iterator when it is made, so that neither an epoch nor a seed that is set
    before the first batch would have an effect.

    Args:
        batch_sampler: Any batch sampler, or None.
    """
    if hasattr(batch_sampler, "sampler_iter"):
        batch_sampler.sampler_iter = iter(batch_sampler.sampler)
