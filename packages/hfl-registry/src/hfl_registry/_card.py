"""The card of a published model."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Sequence

__all__ = ["ModelCard", "make_card"]


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What a card says.

    Attributes:
        metadata: Its fields, for programs.
        body: Its text, for people; of a card that is there already the text stays.
    """

    metadata: Mapping[str, Any]
    body: str


def make_card(  # noqa: PLR0913  # each has a default that most keep
    repo_id: str,
    *,
    config: Mapping[str, Any],
    loading: Sequence[str],
    model: Any = None,
    requirements: Sequence[str] = (),
    license: str | None = None,  # noqa: A002  # the card's own name for it
    metadata: Any = None,
    metrics: Mapping[str, float] | None = None,
    fields: Mapping[str, Any] | None = None,
    template: str | None = None,
) -> ModelCard:
    """Describe a model.

    Args:
        repo_id: Where it goes.
        config: The content of its ``config.json``.
        loading: The lines of Python that load it, as they were run.
        model: The live model, to be counted; None if only its files are at hand.
        requirements: What its code needs from an index, as pip takes it.
        license: The licence's identifier.
        metadata: The run's `hfl_metadata.RunMetadata`, if there is one.
        metrics: Name to value.
        fields: Further fields of the card's metadata; they win.
        template: A Jinja template for the text; None for the built-in one.

    Returns:
        The card.
    """
    said = {"library_name": "transformers", "license": license, **(fields or {})}
    lines = [f"# {repo_id.partition('/')[2] or repo_id}", "", "```python", *loading, "```"]
    if requirements:
        lines += ["", "## Requirements", "", "```", *requirements, "```"]
    kept = {name: value for name, value in said.items() if value is not None}
    return ModelCard(kept, "\n".join(lines) + "\n")
