"""Model and dataset cards: the YAML block at the start of ``README.md``."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import yaml

__all__ = ["card_data", "check_card", "tags_of"]

_BLOCK = re.compile(r"\A\s*---[ \t]*\r?\n(.*?\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LARGEST = 1024 * 1024


def card_data(text: str) -> dict[str, Any]:
    """Return what a card's block says; nothing when there is none or it can't be read."""
    data, errors = _parse(text)
    return data if not errors else {}


def check_card(text: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings that the Hub has about a card."""
    data, errors = _parse(text)
    warnings = [] if errors or data else ["empty or missing yaml metadata in repo card"]
    for name in ("tags", "datasets", "metrics"):
        value = data.get(name)
        values = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(item, str) for item in values):
            errors.append(f'"{name}" must be a string or a list of strings')
    licence = data.get("license")
    if licence is not None and not isinstance(licence, (str, list)):
        errors.append('"license" must be a string')
    if repo_type == "model" and "model-index" in data and not isinstance(data["model-index"], list):
        errors.append('"model-index" must be a list')
    return errors, warnings


def _parse(text: str) -> tuple[dict[str, Any], list[str]]:
    found = _BLOCK.match(text[:_LARGEST])
    if found is None:
        return {}, []
    try:
        data = yaml.safe_load(found[1] or "")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return {}, [f"Invalid YAML: {str(error).splitlines()[0]}"]
    if data is None:
        return {}, []
    if not isinstance(data, dict):
        return {}, ["The metadata has to be a mapping."]
    return {str(key): _plain(value) for key, value in data.items()}, []


def _plain(value: Any) -> Any:
    """Turn what YAML knows and JSON does not into text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def tags_of(data: dict[str, Any]) -> list[str]:
    """Return the tags that the Hub derives from a card."""
    tags = _strings(data.get("tags"))
    library = data.get("library_name")
    if isinstance(library, str) and library not in tags:
        tags.insert(0, library)
    tags += _strings(data.get("language"))
    for name, prefix in (
        ("license", "license"),
        ("datasets", "dataset"),
        ("base_model", "base_model"),
    ):
        tags += [f"{prefix}:{value}" for value in _strings(data.get(name))]
    tags += [f"task_categories:{value}" for value in _strings(data.get("task_categories"))]
    tags += [f"size_categories:{value}" for value in _strings(data.get("size_categories"))]
    pipeline = data.get("pipeline_tag")
    if isinstance(pipeline, str):
        tags.append(pipeline)
    return list(dict.fromkeys(tags))


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
