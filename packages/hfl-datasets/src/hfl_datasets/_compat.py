"""The only place that knows that versions of pyarrow and datasets differ."""

from __future__ import annotations

import inspect
import json
from typing import Any, Dict, List

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["parquet_options", "portable_schema"]

# What `datasets` 4.4 and newer uses, so that both cut the same rows at the same places.
_CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


def parquet_options(schema: pa.Schema) -> Dict[str, Any]:
    """Choose how Parquet files are written.

    Content-defined chunking (pyarrow 21 and newer) puts page boundaries where the content says, not where the
    count of rows does: a row that is inserted changes the pages around it, and the Hub has all others already.

    Args:
        schema: The columns.

    Returns:
        Arguments for `pyarrow.parquet.ParquetWriter`.
    """
    known = inspect.signature(pq.ParquetWriter.__init__).parameters
    options: Dict[str, Any] = {"compression": "snappy", "use_dictionary": _repeating(schema)}
    if "use_content_defined_chunking" in known:
        options["use_content_defined_chunking"] = _CHUNKING
    if "write_page_index" in known:
        options["write_page_index"] = True
    return options


def _repeating(schema: pa.Schema) -> List[str]:
    """Name the columns whose values may repeat. A dictionary of floats or of files is thrown away again."""
    return [
        field.name
        for field in schema
        if pa.types.is_integer(field.type)
        or pa.types.is_string(field.type)
        or pa.types.is_large_string(field.type)
        or pa.types.is_temporal(field.type)
    ]


def portable_schema(features: Any) -> pa.Schema:
    """Return the Arrow schema of features, with what `datasets` 3 and newer can all read about them.

    `datasets` 4 names lists `List`, which older ones do not know; it still reads what they wrote.

    Args:
        features: Features of the `datasets` library.

    Returns:
        The schema to write Parquet files with.
    """
    schema = features.arrow_schema
    metadata = {
        "huggingface": json.dumps({"info": {"features": _portable(features.to_dict())}}).encode()
    }
    return schema.with_metadata(metadata)


def _portable(feature: Any) -> Any:
    if isinstance(feature, list):
        return [_portable(item) for item in feature]
    if not isinstance(feature, dict):
        return feature
    if feature.get("_type") == "List" and "feature" in feature:
        inner = _portable(feature["feature"])
        is_struct = isinstance(inner, dict) and not isinstance(inner.get("_type"), str)
        if is_struct or isinstance(inner, list):
            # The old `Sequence` turns a record in a list into a record of lists, so it stays a plain list.
            return [inner]
        return {**feature, "feature": inner, "_type": "Sequence"}
    return {key: _portable(value) for key, value in feature.items()}
