"""The card of a published model."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Mapping, Sequence

from hfl_core import redact
from hfl_core.errors import ConfigError
from hfl_registry._card_facts import (
    datasets_of,
    environment_of,
    metrics_of_checkpoint,
    model_rows,
    pipeline_of,
    training_of,
)
from hfl_registry._card_sections import marked
from hfl_registry._card_template import TEMPLATE

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
    executed: bool = False,
) -> ModelCard:
    """Describe a model by what is known about it; nothing is guessed, and what is not known is left out.

    A template of one's own gets ``name``, ``repo_id``, ``summary``, ``rows``, ``requirements``,
    ``loading``, ``executed``, ``training``, ``hyperparameters``, ``metrics``, ``environment``, ``fields`` and
    ``config``; what it puts into ``{% call section("name") %}…{% endcall %}`` is renewed by the next
    publication where nobody has edited it.

    Args:
        repo_id: Where it goes.
        config: The content of its ``config.json``.
        loading: The lines of Python that load it, as they were run.
        model: The live model, to be counted; None if only its files are at hand.
        requirements: What its code needs from an index, as pip takes it.
        license: The licence's identifier.
        metadata: The run's `hfl_metadata.RunMetadata`, or the folder of a checkpoint, whose metrics count
            too.
        metrics: Name to value.
        fields: Further fields of the card's metadata; they win.
        template: A Jinja template for the text; None for the built-in one.
        executed: Whether the lines that load it were run.

    Returns:
        The card.

    Raises:
        ConfigError: The template cannot be read or filled in.

    Example:
        >>> card = make_card(
        ...     "ann/digits",
        ...     config={"architectures": ["BertForMaskedLM"]},
        ...     loading=['model = AutoModelForMaskedLM.from_pretrained("ann/digits")'],
        ...     license="mit",
        ... )
        >>> card.metadata["pipeline_tag"]
        'fill-mask'
    """
    record, numbers = _run(metadata)
    numbers = {**numbers, **(metrics or {})}
    given = dict(fields or {})
    said: dict[str, Any] = {
        "library_name": "transformers",
        "license": license,
        "pipeline_tag": pipeline_of(config),
        "datasets": datasets_of(record) or None,
        **given,
    }
    dtype_path = said.pop("merge_dtype_path", None)
    said["model-index"] = said.get("model-index") or _index(repo_id, said, numbers)
    rows = model_rows(config, model)
    if said.get("base_model"):
        rows.append(
            ("base model", f"[{said['base_model']}](https://huggingface.co/{said['base_model']})")
        )
    if dtype_path:
        rows.append(("merged", str(dtype_path)))
    training, hyperparameters = training_of(record)
    text = _filled(
        TEMPLATE if template is None else template,
        {
            "name": repo_id.rpartition("/")[2],
            "repo_id": repo_id,
            "summary": _summary(said),
            "rows": rows,
            "requirements": list(requirements),
            "loading": list(loading),
            "executed": executed,
            "training": training or ([("hyperparameters", "as below")] if hyperparameters else []),
            "hyperparameters": hyperparameters,
            "metrics": [(name, f"{value:.6g}") for name, value in sorted(numbers.items())],
            "environment": environment_of(record, said.get("co2_eq_emissions")),
            "fields": said,
            "config": config,
        },
    )
    kept = {name: value for name, value in said.items() if value is not None}
    return ModelCard(kept, redact(text))


def _run(metadata: Any) -> tuple[Any, dict[str, float]]:
    if not isinstance(metadata, (str, os.PathLike)):
        return metadata, {}
    from hfl_metadata import read_metadata

    return read_metadata(metadata), metrics_of_checkpoint(metadata)


def _summary(fields: Mapping[str, Any]) -> str:
    base, relation = fields.get("base_model"), fields.get("base_model_relation")
    if base and relation == "adapter":
        return f"Adapters for {base}."
    if base:
        return f"Fine-tuned from {base}."
    pipeline = fields.get("pipeline_tag")
    return f"A model for {str(pipeline).replace('-', ' ')}." if pipeline else "A model."


def _index(repo_id: str, fields: Mapping[str, Any], metrics: Mapping[str, float]) -> Any:
    """What the Hub shows as results; it wants to know of which task and which data."""
    task, datasets = fields.get("pipeline_tag"), fields.get("datasets")
    if not metrics or not task or not datasets:
        return None
    found = [
        {"type": name, "value": value, "name": name} for name, value in sorted(metrics.items())
    ]
    data = {"type": datasets[0], "name": datasets[0]}
    result = {"task": {"type": task}, "dataset": data, "metrics": found}
    return [{"name": repo_id.rpartition("/")[2], "results": [result]}]


def _filled(template: str, facts: Mapping[str, Any]) -> str:
    import re

    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    # A template may come with somebody else's repository, and need not run what it likes.
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals["section"] = lambda name, caller: marked(name, caller())
    try:
        text = environment.from_string(template).render(**facts)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise ConfigError(f"The card's template cannot be filled in{where}: {error}.") from error
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
