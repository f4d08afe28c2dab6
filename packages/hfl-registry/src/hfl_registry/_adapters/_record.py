"""What is written beside adapters so that one call brings back the model they were trained in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Mapping

from hfl_core.errors import ValidationError

__all__ = ["AdapterEntry", "AdapterRecord", "BasePin"]

RECORD = "hfl_adapter.json"
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class BasePin:
    """Which model the adapters belong on, so exactly that anybody finds the same.

    Attributes:
        name: The repository, or the last part of a local folder's path.
        commit: The commit of the repository; None for a local folder.
        digest: ``"sha256:…"`` over the folder's weights, configuration and code; None for a
            repository.
        license: What the base's card says; None when it says nothing.

    Example:
        >>> BasePin("lab/encoder", commit="c" * 40).is_on_hub
        True
    """

    name: str
    commit: str | None = None
    digest: str | None = None
    license: str | None = None

    @property
    def is_on_hub(self) -> bool:
        """Whether the base is a repository that others can load from."""
        return self.commit is not None


@dataclasses.dataclass(frozen=True)
class AdapterEntry:
    """One adapter of the published ones.

    Attributes:
        folder: Where it is in the repository; empty for the root.
        kind: ``"LORA"``, ``"IA3"`` and so on, as peft calls it.
        tensors: How many tensors it has.
        digest: ``"sha256:…"`` of its tensors' file.
        dtypes: The data types of its tensors, sorted.
    """

    folder: str
    kind: str
    tensors: int
    digest: str
    dtypes: tuple[str, ...] = ()

    @property
    def is_half(self) -> bool:
        """Whether all of it is in 16 bits, and has to stay so when it is loaded."""
        return bool(self.dtypes) and set(self.dtypes) <= {"bfloat16", "float16"}


@dataclasses.dataclass(frozen=True)
class AdapterRecord:
    """Everything that is needed besides the adapters' own files.

    Attributes:
        base: The model that they belong on.
        base_class: The base's class as ``module:name``.
        base_dtype: The data type that the base had.
        base_vocabulary: Rows of the input embedding that the base has; None where it has none.
        vocabulary: Rows that it had during training; differs where tokens were added.
        adapters: The adapters by name.
        active: The names of those that were active.
        libraries: Versions of what wrote them.
    """

    base: BasePin
    base_class: str
    base_dtype: str
    base_vocabulary: int | None
    vocabulary: int | None
    adapters: Mapping[str, AdapterEntry]
    active: tuple[str, ...]
    libraries: Mapping[str, str]

    @property
    def is_resized(self) -> bool:
        """Whether the base gets another number of tokens before the adapters go onto it."""
        return self.vocabulary is not None and self.vocabulary != self.base_vocabulary

    def write(self, folder: Path) -> None:
        """Write the record into a folder."""
        text = json.dumps({"format": _FORMAT, **dataclasses.asdict(self)}, indent=2)
        (folder / RECORD).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> AdapterRecord | None:
        """Read the record of a folder; None when it has none.

        Raises:
            ValidationError: It is not one, or of a newer format.
        """
        path = folder / RECORD
        if not path.is_file():
            return None
        try:
            return cls._from(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValidationError(f"{RECORD} is not a record of adapters: {error}.") from error

    @classmethod
    def _from(cls, values: Mapping[str, Any]) -> AdapterRecord:
        if values["format"] != _FORMAT:
            raise ValueError(f"its format is {values['format']}, and {_FORMAT} is known here")
        entries = {
            str(name): AdapterEntry(**{**entry, "dtypes": tuple(entry["dtypes"])})
            for name, entry in values["adapters"].items()
        }
        for name, entry in entries.items():
            _check_folder(name, entry.folder)
        known = {field.name for field in dataclasses.fields(cls)}
        rest = {name: value for name, value in values.items() if name in known}
        return cls(
            **{
                **rest,
                "base": BasePin(**values["base"]),
                "adapters": entries,
                "active": tuple(values["active"]),
            }
        )


def _check_folder(name: str, folder: str) -> None:
    # It is joined to a path, and it comes from somebody else's repository.
    if folder.startswith(("/", "\\")) or ".." in Path(folder).parts or ":" in folder:
        raise ValueError(f"the folder of adapter {name!r} is {folder!r}")
