"""What identifies the base of an adapter: its name and commit where they are known, and its content."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Collection, Dict, Iterator, Tuple

import torch
from torch import nn

from hfl_checkpoint import _configs, _modules
from hfl_checkpoint._tensors import byte_size, bytes_of
from hfl_core import new_digest

# Up to here every byte of a base is digested, which takes part of a second. Of larger ones, parts of
# each tensor are: a base that was trained further differs in all of them.
_WHOLE_BYTES = 1 << 30
_SAMPLE = 4096

# What PEFT puts between a layer's name and the name of its tensor.
_INSERTED = {"base_layer", "original_module"}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a base comes from; a folder on this machine is no origin for others."""

    name: str | None
    commit: str | None


_digests: weakref.WeakKeyDictionary[nn.Module, Tuple[Any, Dict[str, Any]]] = (
    weakref.WeakKeyDictionary()
)


def origin(inner: Any) -> Origin:
    """Tell from where the base of a PEFT model was loaded."""
    config = getattr(inner.get_base_model(), "config", None)
    names = [item.base_model_name_or_path for item in inner.peft_config.values()]
    names.append(getattr(config, "_name_or_path", None))
    name = next((str(item) for item in names if item and not _configs.is_local(str(item))), None)
    commit = getattr(config, "_commit_hash", None)
    return Origin(name, str(commit) if commit else None)


def identify(inner: Any, owned: Collection[str], apart: Collection[str]) -> Dict[str, Any]:
    """Describe the base of a PEFT model so that another one is recognised as another.

    Args:
        inner: The PEFT model, without wrappers.
        owned: The names of its tensors that belong to adapters.
        apart: The names of tensors that are saved with the adapters, so need not be the same.

    Returns:
        ``name`` and ``commit`` where they are known, ``structure`` (a digest of names, shapes and data
        types) and ``content`` (a digest of the values; None when they have no memory yet).
    """
    tensors = dict(_base_tensors(inner, {*owned, *apart}))
    marks = tuple((name, _mark(tensor)) for name, tensor in tensors.items())
    known = _digests.get(inner)
    if known is None or known[0] != marks:
        known = (marks, _digest(tensors))
        _digests[inner] = known
    return {**dataclasses.asdict(origin(inner)), **known[1]}


def describe(base: Dict[str, Any]) -> str:
    """Name a base in words."""
    name = base["name"] or "a base without a name on the Hub"
    commit = f" at {base['commit'][:12]}" if base["commit"] else ""
    content = f" with content {base['content'][:8]}" if base["content"] else ""
    return f"{name}{commit} (structure {base['structure'][:8]}{content})"


def _base_tensors(inner: Any, excluded: Collection[str]) -> Iterator[Tuple[str, torch.Tensor]]:
    parameters = dict(inner.named_parameters())
    canonical = _modules.strip_wrappers(inner, parameters)
    found = {}
    for key, parameter in parameters.items():
        if canonical[key] not in excluded:
            name = ".".join(part for part in canonical[key].split(".") if part not in _INSERTED)
            found[name] = parameter.detach()
    yield from sorted(found.items())


def _mark(tensor: torch.Tensor) -> Tuple[Any, ...]:
    """What changes when somebody writes to a tensor through torch, or puts another in its place."""
    version = 0 if tensor.is_inference() else tensor._version
    return (tensor.data_ptr(), version, tensor.shape, tensor.dtype)


def _digest(tensors: Dict[str, torch.Tensor]) -> Dict[str, Any]:
    structure, content = new_digest(), new_digest()
    total = sum(map(byte_size, tensors.values()))
    for name, tensor in tensors.items():
        structure.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        if tensor.device.type != "meta" and tensor.numel():
            content.update(bytes_of(tensor if total <= _WHOLE_BYTES else _sample(tensor)))
    has_memory = all(tensor.device.type != "meta" for tensor in tensors.values())
    return {
        "structure": structure.hexdigest(),
        "content": content.hexdigest() if has_memory else None,
    }


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.reshape(-1)
    stride = max(1, flat.numel() // _SAMPLE)
    return torch.cat([flat[:_SAMPLE], flat[::stride], flat[-_SAMPLE:]])
