"""What the `datasets` library wrote into a schema about its columns, read without importing it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping

import pyarrow as pa

__all__ = ["Features", "features_of"]


@dataclass(frozen=True)
class Features:
    """The columns that are more than their Arrow type.

    Attributes:
        labels: Columns of class labels, with the names of the classes.
        images: Columns of images.
    """

    labels: Mapping[str, List[str]] = field(default_factory=dict)
    images: List[str] = field(default_factory=list)


def features_of(schema: pa.Schema) -> Features:
    """Find class labels and images in a schema.

    Args:
        schema: The schema; its metadata says it, and a structure of bytes and path called image is one.
    """
    described = _described(schema)
    labels: Dict[str, List[str]] = {}
    images: List[str] = []
    for item in schema:
        feature = described.get(item.name)
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            labels[item.name] = [str(name) for name in feature.get("names") or []]
        is_named = "image" in item.name.lower() and _is_bytes_and_path(item.type)
        is_image = isinstance(feature, dict) and feature.get("_type") == "Image"
        if is_image or (feature is None and is_named):
            images.append(item.name)
    return Features(labels, images)


def _described(schema: pa.Schema) -> Mapping[str, Any]:
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        found = json.loads(raw)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_bytes_and_path(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    return {kind.field(index).name for index in range(kind.num_fields)} == {"bytes", "path"}
