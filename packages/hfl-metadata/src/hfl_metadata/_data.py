"""The data, described by what it offers; the datasets library is not needed to ask."""

from __future__ import annotations

from typing import Any, Mapping

from hfl_metadata._plain import Plain, type_name


def describe_data(data: Any, plain: Plain) -> Any:
    """Describe what a run was trained on.

    Args:
        data: Plain values, a mapping of splits, or a dataset.
        plain: Converts values and collects what does not fit.

    Returns:
        Plain values. A dataset becomes its class, its length and, where it has them, its
        fingerprint and its columns; its content stays where it is.
    """
    if isinstance(data, Mapping) and any(_is_dataset(item) for item in data.values()):
        return {
            str(split): (
                describe_data(item, plain)
                if _is_dataset(item)
                else plain.convert(item, f"data.{split}")
            )
            for split, item in data.items()
        }
    if not _is_dataset(data):
        return plain.convert(data, "data")
    described = {"type": type_name(data)}
    for name, attribute in (("fingerprint", "_fingerprint"), ("columns", "column_names")):
        value = getattr(data, attribute, None)
        if value is not None:
            described[name] = plain.convert(value, f"data.{name}")
    length = _length(data)
    return described if length is None else {**described, "length": length}


def _is_dataset(value: Any) -> bool:
    # Lists and dictionaries have items too; a dataset has them and is not a plain value.
    if isinstance(value, (str, bytes, list, tuple, set, frozenset, Mapping)):
        return False
    return hasattr(value, "__getitem__") or hasattr(value, "__iter__")


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):  # a stream has none
        return None
