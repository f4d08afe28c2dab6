"""From plain values to a record, whatever version of the layout wrote them."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from hfl_core import ValidationError
from hfl_metadata import _facts

SCHEMA = 2
"""The version of the layout. Any change of the fields raises it; a reader knows all older ones.

1: no origins, lock files, backends, launcher, seeds, durations and problems; less about the rest.
"""

_RECORD = "the record"
_Reader = Callable[[Any, str], Any]


def _object(part: Any, **inside: _Reader) -> _Reader:
    """Make a reader of an object, some fields of which are more than plain values."""

    def read(values: Any, where: str) -> Any:
        if not isinstance(values, Mapping):
            raise ValidationError(f"In this metadata, {where} is missing or not an object.")
        fields = {
            str(name): inside[name](value, _path(where, name)) if name in inside else value
            for name, value in values.items()
        }
        try:
            return part(**fields)
        except TypeError as error:
            raise ValidationError(
                f"In this metadata, {where} has other fields: {error}."
            ) from error

    return read


def _path(where: str, name: str) -> str:
    return name if where == _RECORD else f"{where}.{name}"


def _list(part: Any) -> _Reader:
    read_item = _object(part)

    def read(values: Any, where: str) -> List[Any]:
        return [
            read_item(item, f"{where}[{index}]")
            for index, item in enumerate(_a(list, values, where))
        ]

    return read


def _mapping(part: Any) -> _Reader:
    read_item = _object(part)

    def read(values: Any, where: str) -> Dict[str, Any]:
        items = _a(dict, values, where).items()
        return {name: read_item(item, f"{where}.{name}") for name, item in items}

    return read


def _or_none(reader: _Reader) -> _Reader:
    return lambda value, where: None if value is None else reader(value, where)


def _plain(kind: type) -> _Reader:
    return lambda value, where: _a(kind, value, where)


_WORDS: Dict[type, str] = {str: "a text", list: "a list", dict: "an object"}


def _a(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValidationError(f"In this metadata, {where} is not {_WORDS[kind]}.")
    return value


_PLAIN_MODEL = {"modules": _list(_facts.ModuleInfo), "dtypes": _plain(dict)}
_FIELDS: Dict[str, _Reader] = {
    "captured_at": _plain(str),
    "git": _object(_facts.GitInfo, submodules=_list(_facts.SubmoduleInfo)),
    "python": _object(_facts.PythonInfo),
    "packages": _plain(dict),
    "platform": _object(_facts.PlatformInfo),
    "cpu": _object(_facts.CpuInfo, affinity=_or_none(_plain(list))),
    "memory": _object(_facts.MemoryInfo),
    "gpus": _list(_facts.GpuInfo),
    "command": _plain(list),
    "model": _or_none(_object(_facts.ModelInfo, **_PLAIN_MODEL)),
    "hyperparameters": _plain(dict),
    "extra": _plain(dict),
    "omissions": _list(_facts.Omission),
    "origins": _mapping(_facts.PackageOrigin),
    "lock_files": _list(_facts.LockFileInfo),
    "backends": _object(_facts.BackendInfo),
    "launcher": _object(_facts.LauncherInfo, details=_plain(dict)),
    "seeds": _plain(dict),
    "durations": _or_none(_object(_facts.DurationInfo)),
    "problems": _plain(dict),
}


def checked(record: Any, values: Any) -> Any:
    """Build a record.

    Args:
        record: The class.
        values: What a record was written as.

    Returns:
        The record, of the newest schema.

    Raises:
        ValidationError: It is not a record, or of a newer schema.
    """
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise ValidationError(
            "This is not the metadata of a run: it has no schema version.",
            hint="Pass the content of a checkpoint's metadata.json.",
        )
    if schema > SCHEMA:
        raise ValidationError(
            f"This metadata has schema {schema}; this version reads up to {SCHEMA}.",
            hint="Upgrade hfl-metadata.",
        )
    # What an older schema did not know is not there, and has a default.
    return _object(record, **_FIELDS)({**values, "schema": SCHEMA}, _RECORD)
