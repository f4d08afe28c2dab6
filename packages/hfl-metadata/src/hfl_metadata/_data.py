"""The data, described by what it offers; the datasets library is not needed to ask."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Dict, Mapping, Sequence

from hfl_metadata._plain import Plain, type_name

# Under this address datasets remembers each file that it made a dataset from, with the commit.
_HUB_FILE = re.compile(r"^hf://datasets/(?P<name>[^@]+)@(?P<revision>[0-9a-f]{40})/")


@dataclasses.dataclass(frozen=True)
class DataSource:
    """What a run is trained on, as the user says it.

    Attributes:
        name: What the data is called: a repository, a path.
        revision: The commit, tag or version of it.
        splits: A dataset, or a mapping of splits to datasets; described, not copied.
        fingerprint: What tells this data from other data, if the datasets do not say it themselves.
        preprocessing: What is done to it, step by step: texts, or mappings with the settings.

    Example:
        >>> from hfl_metadata import DataSource, capture
        >>> source = DataSource("me/digits", revision="v2", preprocessing=["scale to 0..1"])
        >>> capture(data=source).data
        {'name': 'me/digits', 'revision': 'v2', 'preprocessing': ['scale to 0..1']}
    """

    name: str | None = None
    revision: str | None = None
    splits: Any = None
    fingerprint: str | None = None
    preprocessing: Sequence[Any] = ()


def describe_data(data: Any, plain: Plain) -> Any:
    """Describe what a run was trained on.

    Args:
        data: A `DataSource`, plain values, a mapping of splits, or a dataset.
        plain: Converts values and collects what does not fit.

    Returns:
        Plain values. A dataset becomes its class, its length and, where it has them, its
        fingerprint, columns, split, name and revision; its content stays where it is.
    """
    if isinstance(data, DataSource):
        return _describe_source(data, plain)
    if _is_splits(data):
        return _describe_splits(data, plain, "data")
    if _is_dataset(data):
        return _describe_dataset(data, plain, "data")
    return plain.convert(data, "data")


def _describe_source(source: DataSource, plain: Plain) -> Dict[str, Any]:
    described: Dict[str, Any] = {}
    for field in ("name", "revision", "fingerprint"):
        value = getattr(source, field)
        if value is not None:
            described[field] = plain.convert(value, f"data.{field}")
    if _is_splits(source.splits):
        described["splits"] = _describe_splits(source.splits, plain, "data.splits")
    elif _is_dataset(source.splits):
        described["splits"] = _describe_dataset(source.splits, plain, "data.splits")
    elif source.splits is not None:
        described["splits"] = plain.convert(source.splits, "data.splits")
    if source.preprocessing:
        steps = source.preprocessing
        described["preprocessing"] = plain.convert(
            [steps] if isinstance(steps, (str, Mapping)) else list(steps), "data.preprocessing"
        )
    return described


def _is_splits(data: Any) -> bool:
    return isinstance(data, Mapping) and any(_is_dataset(item) for item in data.values())


def _describe_splits(data: Mapping[Any, Any], plain: Plain, path: str) -> Dict[str, Any]:
    return {
        str(split): (
            _describe_dataset(item, plain, f"{path}.{split}")
            if _is_dataset(item)
            else plain.convert(item, f"{path}.{split}")
        )
        for split, item in data.items()
    }


def _describe_dataset(data: Any, plain: Plain, path: str) -> Dict[str, Any]:
    described: Dict[str, Any] = {"type": type_name(data)}
    for name, value in (
        *(("fingerprint", _get(data, "_fingerprint")), ("columns", _get(data, "column_names"))),
        *_of_info(_get(data, "info")),
        ("split", None if _get(data, "split") is None else str(_get(data, "split"))),
        ("length", _length(data)),
    ):
        if value is not None:
            described[name] = plain.convert(value, f"{path}.{name}")
    return described


def _of_info(info: Any) -> Any:
    """Give what datasets knows about where a dataset came from."""
    name = _get(info, "dataset_name") or _get(info, "builder_name")
    revision = None
    files = _get(info, "download_checksums")
    for address in files if isinstance(files, Mapping) else ():
        found = _HUB_FILE.match(str(address))
        if found:
            name, revision = found.group("name"), found.group("revision")
            break
    version = _get(info, "version")
    return (
        ("name", name),
        ("configuration", _get(info, "config_name")),
        ("version", None if version is None else str(version)),
        ("revision", revision),
    )


def _get(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001  # a property may do anything
        return None


def _is_dataset(value: Any) -> bool:
    # Lists and dictionaries have items too; a dataset has them and is not a plain value.
    if value is None or isinstance(value, (str, bytes, list, tuple, set, frozenset, Mapping)):
        return False
    return hasattr(value, "__getitem__") or hasattr(value, "__iter__")


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except Exception:  # noqa: BLE001  # a stream has none, and says so in its own way
        return None
