"""One Arrow type for values that came as several."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

import pyarrow as pa

__all__ = ["fit", "merge_schemas", "merge_types", "type_name"]


def merge_types(
    one: pa.DataType, other: pa.DataType, *, to_text: bool = False
) -> Optional[pa.DataType]:
    """Find the type that holds the values of both.

    Args:
        one: A type.
        other: Another.
        to_text: Whether text is the way out where nothing else is, as in a CSV file, in which everything was text.

    Returns:
        The type; None stands for "there is none".
    """
    if one.equals(other):
        return one
    has_null = pa.types.is_null(one) or pa.types.is_null(other)
    if to_text and not has_null and (pa.types.is_boolean(one) or pa.types.is_boolean(other)):
        return pa.string()  # Arrow would turn true into 1, and what was written would be lost
    try:
        merged = pa.unify_schemas(
            [pa.schema([("x", one)]), pa.schema([("x", other)])], promote_options="permissive"
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string() if to_text else None
    return merged.field("x").type


def merge_schemas(
    schemas: Iterable[pa.Schema], *, to_text: bool = False
) -> Tuple[Optional[pa.Schema], Dict[str, List[pa.DataType]]]:
    """Merge schemas column by column.

    Args:
        schemas: The schemas; a column that one lacks is taken from the others.
        to_text: See `merge_types`.

    Returns:
        The schema, without the columns that cannot be merged, and those with the types that clash.
    """
    fields: Dict[str, pa.Field] = {}
    clashes: Dict[str, List[pa.DataType]] = {}
    given = list(schemas)
    for schema in given:
        for field in schema:
            known = fields.get(field.name)
            if known is None:
                fields[field.name] = field
                continue
            merged = merge_types(known.type, field.type, to_text=to_text)
            if merged is None:
                clashes.setdefault(field.name, [known.type]).append(field.type)
                continue
            fields[field.name] = pa.field(
                field.name, merged, known.nullable or field.nullable, known.metadata
            )
    if not fields:
        return None, clashes
    merged_schema = pa.schema([field for name, field in fields.items() if name not in clashes])
    # What the `datasets` library wrote about columns holds for exactly those columns.
    if all(schema.equals(merged_schema) for schema in given):
        merged_schema = merged_schema.with_metadata(given[0].metadata)
    return merged_schema, clashes


def fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring a batch into a schema: same columns, order and types; a column that it lacks becomes null.

    Args:
        batch: The batch.
        schema: The schema that it shall have.

    Returns:
        The same batch where nothing has to be done.

    Raises:
        ArrowInvalid: A value cannot be held by its column's type.
    """
    if batch.schema.equals(schema):
        return (
            batch if batch.schema.equals(schema, check_metadata=True) else _labelled(batch, schema)
        )
    columns = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.nulls(batch.num_rows, field.type))
        else:
            column = batch.column(index)
            columns.append(column if column.type.equals(field.type) else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _labelled(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def type_name(kind: pa.DataType) -> str:
    """Name a type as people do, no longer than fits into a sentence."""
    text = str(kind)
    return text if len(text) <= 80 else f"{text[:77]}..."
