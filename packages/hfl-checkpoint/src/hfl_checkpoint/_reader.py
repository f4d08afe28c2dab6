"""Reading a checkpoint's components back into states."""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping

import psutil

from hfl_checkpoint import _optimizers
from hfl_checkpoint._components import KINDS, OPTIMIZER, PEFT
from hfl_checkpoint._compression import Packing, read_compressed
from hfl_checkpoint._decode import decode
from hfl_checkpoint._tensors import read_tensors, unpack
from hfl_checkpoint.errors import (
    CheckpointDamagedError,
    CheckpointError,
    UnsupportedFormatError,
)
from hfl_core import HflError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from hfl_checkpoint._manifest import ComponentEntry, Manifest


@dataclasses.dataclass(frozen=True)
class Saved:
    """A component as it was saved.

    Attributes:
        name: Its name.
        kind: One of `hfl_checkpoint._components.KINDS`.
        class_name: The class that was saved.
        state: The state; tensors are mapped from the files.
        document: The rest of what was recorded with it.
    """

    name: str
    kind: str
    class_name: str
    state: Any
    document: Mapping[str, Any]

    def as_state_dict(self) -> Any:
        """The state in the form that the live object's ``load_state_dict`` takes."""
        return _optimizers.to_torch(self.state) if self.kind == OPTIMIZER else self.state


def read_components(
    directory: Path,
    manifest: Manifest,
    names: Iterable[str],
    *,
    map_location: str | torch.device | None = None,
    rank: int = 0,
) -> Dict[str, Saved]:
    """Read components without touching a live object.

    Args:
        directory: The checkpoint; it was verified.
        manifest: Its manifest.
        names: Which components; all of them are there.
        map_location: A device to copy the tensors to; None leaves them mapped from the files.
        rank: Whose, where every process has saved one of its own.

    Returns:
        Name to component.

    Raises:
        CheckpointDamagedError: A file is malformed.
        UnknownTypeError: A registered type or an enum is not there to be rebuilt.
    """
    sizes = {item.path: item.content_size for item in manifest.files}
    found = {}
    for name in names:
        entry = manifest.components[name].of_rank(rank)
        if entry.kind not in KINDS:
            raise UnsupportedFormatError(
                str(directory), found=f"1 with a component of kind {entry.kind}", supported=1
            )
        found[name] = _read(directory, name, entry, map_location, sizes)
        if entry.kind == PEFT:
            found[name] = _with_parts(directory, manifest, found[name], map_location, sizes)
    return found


def _with_parts(
    directory: Path,
    manifest: Manifest,
    main: Saved,
    map_location: str | torch.device | None,
    sizes: Mapping[str, int | None],
) -> Saved:
    """Put the adapters of a PEFT model and the rest of it together again."""
    try:
        parts = {
            item: _read(directory, item, manifest.components[item], map_location, sizes).state
            for item in [*main.document["adapters"].values(), main.document["rest"]]
            if item != main.name
        }
        adapters = {
            adapter: main.state if item == main.name else parts[item]
            for adapter, item in main.document["adapters"].items()
        }
        state = {"adapters": adapters, "rest": parts[main.document["rest"]]}
    except (KeyError, AttributeError, TypeError) as error:
        raise CheckpointDamagedError(
            directory.name, [f"a part of {main.name!r} is missing ({error!r})"]
        ) from error
    return dataclasses.replace(main, state=state)


def _read(
    directory: Path,
    name: str,
    entry: ComponentEntry,
    map_location: str | torch.device | None,
    content_sizes: Mapping[str, int | None] = MappingProxyType({}),
) -> Saved:
    stored: Dict[str, torch.Tensor] = {}
    document: Dict[str, Any] = {}
    try:
        for path in entry.files:
            if path.endswith(".safetensors"):
                stored.update(read_tensors(directory / path))
        if entry.document is not None:
            document = json.loads((directory / entry.document).read_bytes())
        stored.update(_decompressed(directory, document, content_sizes))
        if map_location is not None:
            stored = {key: value.to(map_location) for key, value in stored.items()}
        tensors = unpack(stored, document["layout"])
        state = decode(document["state"], tensors, name=name)
        if entry.kind == OPTIMIZER:
            _optimizers.to_torch(state)  # raises when it is none
    except CheckpointDamagedError as error:
        raise CheckpointDamagedError(directory.name, [f"{name}: {error.problems[0]}"]) from error
    except (HflError, MemoryError):
        raise
    except Exception as error:
        # The readers of the formats raise what they like, each a class of its own.
        raise CheckpointDamagedError(
            directory.name, [f"the state of {name!r} is malformed ({error!r})"]
        ) from error
    return Saved(name, entry.kind, entry.class_name, state, document)


def _decompressed(
    directory: Path, document: Mapping[str, Any], content_sizes: Mapping[str, int | None]
) -> Dict[str, torch.Tensor]:
    stored: Dict[str, torch.Tensor] = {}
    for path, description in document.get("compressed", {}).items():
        packing = Packing.from_json(description)
        promised = content_sizes.get(path)
        if packing.content_size != promised:
            raise ValueError(f"{path} holds {packing.content_size} bytes instead of {promised}")
        available = psutil.virtual_memory().available
        if packing.content_size > available:
            raise CheckpointError(
                f"{path} of checkpoint {directory.name!r} has {packing.content_size:,} bytes when it is "
                f"decompressed, and {available:,} bytes of memory are available.",
                hint="Load it where there is more memory, or load only=… the other components.",
            )
        stored.update(
            read_compressed(
                directory / path, packing, document["digests"], checkpoint=directory.name
            )
        )
    return stored
