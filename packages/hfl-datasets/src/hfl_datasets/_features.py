"""What the `datasets` library calls features: the types of columns, and what numbers and bytes stand for."""

from __future__ import annotations

from typing import Any, Dict, List

import pyarrow as pa

from hfl_core.errors import ValidationError

__all__ = ["class_names", "embedded", "features_of", "fitted", "has_files"]


def features_of(schema: pa.Schema, features: Any = None) -> Any:
    """Return the features of a split: those that are known, or what its schema says.

    Args:
        schema: The schema of its rows.
        features: The features that the source brings along.

    Returns:
        `datasets.Features`.

    Raises:
        ValidationError: The library has no feature for a type.
    """
    import datasets

    if features is not None and set(features) == set(schema.names):
        return datasets.Features({name: features[name] for name in schema.names})
    try:
        return datasets.Features.from_arrow_schema(schema)
    except (NotImplementedError, ValueError, TypeError):
        for field in schema:
            try:
                datasets.Features.from_arrow_schema(pa.schema([field]))
            except (NotImplementedError, ValueError, TypeError) as error:
                raise ValidationError(
                    f"Column {field.name!r} is of type {field.type}, for which the datasets library has no feature.",
                    hint="Cast the column to a type of numbers, text, bytes, lists or records.",
                ) from error
        raise


def class_names(features: Any) -> Dict[str, List[str]]:
    """Return column to the names of its classes, for columns of labels."""
    return {
        name: list(feature.names)
        for name, feature in features.items()
        if type(feature).__name__ == "ClassLabel"
    }


def has_files(features: Any) -> bool:
    """Say whether a column holds images, sounds or other files."""
    return any(_holds_files(feature) for feature in features.values())


def _holds_files(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_holds_files, feature.values()))
    if isinstance(feature, (list, tuple)):
        return any(map(_holds_files, feature))
    inner = getattr(feature, "feature", None)
    return hasattr(feature, "embed_storage") or (inner is not None and _holds_files(inner))


def embedded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Put the content of files into the rows that only name them; their paths mean nothing elsewhere."""
    from datasets.table import embed_table_storage

    table = embed_table_storage(pa.Table.from_batches([batch]))
    return table.combine_chunks().to_batches()[0] if table.num_rows else batch


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring a batch to the types that the features have in Arrow."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [_storage(batch.column(index), field.type) for index, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _storage(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    if isinstance(kind, pa.ExtensionType):
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        return pa.ExtensionArray.from_storage(kind, storage.cast(kind.storage_type))
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if array.type.equals(kind) else array.cast(kind)
