"""Which tensors go into which file: apart by whether they change, and never more than a given size.

A tensor that training does not change lies beside others of its kind, so that their file stays the same
to the byte from one checkpoint to the next and need not be written again.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Collection, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from hfl_checkpoint._tensors import Packed, byte_size

if TYPE_CHECKING:
    import torch

    from hfl_checkpoint._reuse import TensorFile

# As in transformers.
DEFAULT_SIZE = "5GB"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of tensors that is going to be.

    Attributes:
        path: Relative to the checkpoint.
        keys: What it holds.
        is_frozen: Whether training is not expected to change any of it.
        level: How it is compressed, or None.
        same_as: The file of an earlier checkpoint that was found to hold the same, if one was.
    """

    path: str
    keys: Tuple[str, ...]
    is_frozen: bool = False
    level: str | None = None
    same_as: TensorFile | None = None


def plan_shards(
    packed: Packed, frozen: Collection[str], *, stem: str, suffix: str, max_size: int
) -> Tuple[Shard, ...]:
    """Divide a component's tensors into files.

    Frozen ones come first; in each of the two parts the order is that of the state, and a file is
    filled until the next tensor would make it too large (a larger tensor has a file to itself), as
    in transformers.

    Args:
        packed: The tensors.
        frozen: Keys, as `pack` was given them, of those that training is not expected to change.
        stem: What the files' names begin with: ``"model"``.
        suffix: What they end with: ``".safetensors"``.
        max_size: Bytes of tensors in a file.

    Returns:
        The files; one, called by stem and suffix, unless there have to be several.
    """
    unchanging = _frozen_keys(packed, frozen)
    parts = [
        (files, is_frozen)
        for is_frozen in (True, False)
        for files in _fill(
            {key: t for key, t in packed.stored.items() if (key in unchanging) == is_frozen},
            max_size,
        )
    ] or [([], False)]
    count = len(parts)
    return tuple(
        Shard(
            f"{stem}{suffix}" if count == 1 else f"{stem}-{number:05d}-of-{count:05d}{suffix}",
            tuple(keys),
            is_frozen,
        )
        for number, (keys, is_frozen) in enumerate(parts, start=1)
    )


def index_of(shards: Sequence[Shard], packed: Packed) -> bytes:
    """Write the index by which transformers finds the tensors of a model in several files.

    https://huggingface.co/docs/safetensors/index#format, and `transformers.PreTrainedModel.save_pretrained`.
    """
    files = {key: shard.path.rsplit("/", 1)[-1] for shard in shards for key in shard.keys}
    document = {
        "metadata": {"total_size": sum(map(byte_size, packed.stored.values()))},
        "weight_map": files,
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _frozen_keys(packed: Packed, frozen: Collection[str]) -> FrozenSet[str]:
    """The keys of what is written that stands for frozen tensors only."""
    standing: Dict[str, List[str]] = {
        key: [] if "hidden" in packed.layout.get(key, {}) else [key] for key in packed.stored
    }
    for key, entry in packed.layout.items():
        if "of" in entry:
            standing[entry["of"]].append(key)
    return frozenset(
        key for key, members in standing.items() if all(member in frozen for member in members)
    )


def _fill(tensors: Mapping[str, torch.Tensor], max_size: int) -> List[List[str]]:
    files: List[List[str]] = []
    room = 0
    for key, tensor in tensors.items():
        size = byte_size(tensor)
        if not files or size > room:
            files.append([])
            room = max_size
        files[-1].append(key)
        room -= size
    return files
