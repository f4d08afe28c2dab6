"""Reading a checkpoint's components back into states."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping

from hfl_checkpoint import _optimizers
from hfl_checkpoint._components import OPTIMIZER
from hfl_checkpoint._decode import decode
from hfl_checkpoint._tensors import read_tensors, unpack
from hfl_checkpoint.errors import CheckpointDamagedError, UnknownTypeError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from hfl_checkpoint._manifest import ComponentEntry, Manifest


@dataclasses.dataclass(frozen=True)
class Saved:
    """A component as it was saved.

    Attributes:
        name: Its name.
        kind: ``"model"``, ``"optimizer"``, ``"stateful"`` or ``"mapping"``.
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
) -> Dict[str, Saved]:
    """Read components without touching a live object.

    Args:
        directory: The checkpoint; it was verified.
        manifest: Its manifest.
        names: Which components; all of them are there.
        map_location: A device to copy the tensors to; None leaves them mapped from the files.

    Returns:
        Name to component.

    Raises:
        CheckpointDamagedError: A file is malformed.
        UnknownTypeError: A registered type or an enum is not there to be rebuilt.
    """
    return {name: _read(directory, name, manifest.components[name], map_location) for name in names}


def _read(
    directory: Path, name: str, entry: ComponentEntry, map_location: str | torch.device | None
) -> Saved:
    stored: Dict[str, torch.Tensor] = {}
    document: Dict[str, Any] = {}
    try:
        for path in entry.files:
            if path.endswith(".safetensors"):
                stored.update(read_tensors(directory / path))
            elif path.startswith("state/"):
                document = json.loads((directory / path).read_bytes())
        if map_location is not None:
            stored = {key: value.to(map_location) for key, value in stored.items()}
        tensors = unpack(stored, document["layout"])
        state = decode(document["state"], tensors)
    except CheckpointDamagedError as error:
        raise CheckpointDamagedError(directory.name, [f"{name}: {error.problems[0]}"]) from error
    except (UnknownTypeError, MemoryError):
        raise
    except Exception as error:
        # The readers of the formats raise what they like, each a class of its own.
        raise CheckpointDamagedError(
            directory.name, [f"the state of {name!r} is malformed ({error!r})"]
        ) from error
    return Saved(name, entry.kind, entry.class_name, state, document)
