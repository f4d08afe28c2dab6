"""How published adapters are loaded, and what their card's metadata says."""

from __future__ import annotations

from typing import Any

from hfl_registry._adapters._record import AdapterRecord

__all__ = ["adapter_loading_lines", "adapter_tags", "license_of_base"]


def adapter_loading_lines(
    repo_id: str, record: AdapterRecord, *, has_tokenizer: bool = False
) -> list[str]:
    """Write the lines of Python that load adapters.

    Args:
        repo_id: The repository.
        record: What is written beside them.
        has_tokenizer: Whether it brings a tokenizer.
    """
    base = "" if record.base.is_on_hub else ', base="path/to/the/base"'
    lines = ["from hfl_registry import ModelRegistry"]
    if has_tokenizer:
        lines.append("from transformers import AutoTokenizer")
    lines += ["", f'model = ModelRegistry().load("{repo_id}"{base})']
    if has_tokenizer:
        lines.append(f'tokenizer = AutoTokenizer.from_pretrained("{repo_id}")')
    return lines


def adapter_tags(record: AdapterRecord) -> dict[str, Any]:
    """The fields of a card's metadata that say what it is an adapter of."""
    kinds = sorted({entry.kind.lower().replace("_", "-") for entry in record.adapters.values()})
    fields: dict[str, Any] = {"library_name": "peft", "tags": ["adapter", "peft", *kinds]}
    if record.base.is_on_hub:
        fields.update({"base_model": record.base.name, "base_model_relation": "adapter"})
    return fields


def license_of_base(record: AdapterRecord) -> str | None:
    """What adapters inherit where nothing else was said: they are of no use without their base."""
    return record.base.license
