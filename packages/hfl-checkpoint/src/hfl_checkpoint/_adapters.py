"""PEFT models: what was trained is saved as PEFT itself writes it, and the base by what identifies it.

model                   the adapter called "default": adapter_model.safetensors, adapter_config.json
model.adapter.<name>    every other adapter, in a folder of its own
model.rest              what no adapter's file has and training changes: buffers, other trainable
                        parameters, the encoder behind a prompt
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, List, Mapping, Set, Tuple

import torch
from torch import nn

from hfl_checkpoint import _base, _configs, _modules
from hfl_core import ConfigError

DEFAULT = "default"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"

# PEFT names a folder after an adapter.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

# Where PEFT keeps what belongs to one adapter: under the adapter's name in one of these.
_HOLDERS = ("ModuleDict", "ParameterDict", "BufferDict")

# Differences between the configurations of two adapters that do not change what they compute.
_UNIMPORTANT = {
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "auto_mapping",
}


@dataclasses.dataclass(frozen=True)
class Parts:
    """The tensors of a PEFT model that a checkpoint holds; they are those of the live model.

    Attributes:
        adapters: Adapter to what its file holds, under PEFT's names.
        rest: Further tensors, under their names in the model.
    """

    adapters: Dict[str, Dict[str, Any]]
    rest: Dict[str, torch.Tensor]


def is_peft(module: Any) -> bool:
    """Tell whether a model, wrapped or not, is one of PEFT's."""
    peft: Any = sys.modules.get("peft")  # who has such a model has imported it
    return peft is not None and isinstance(_modules.unwrap(module), peft.PeftModel)


def parts(name: str, module: nn.Module) -> Parts:
    """Take a PEFT model apart into what a checkpoint holds of it, without copying.

    Args:
        name: The component, for messages.
        module: The model, wrapped or not.

    Raises:
        ConfigError: An adapter has a name that a folder cannot have.
    """
    inner: Any = _modules.unwrap(module)
    refused = [adapter for adapter in inner.peft_config if not _NAME.fullmatch(adapter)]
    if refused:
        raise ConfigError(
            f"Adapter {refused[0]!r} of {name!r} has a name that its folder cannot have.",
            hint="Use letters, digits, underscores and dashes.",
        )
    state = inner.state_dict()
    canonical = _modules.strip_wrappers(inner, state)
    state = {canonical[key]: value for key, value in state.items()}
    owners = _owners(inner)
    adapters = {
        adapter: _adapter_state(
            inner,
            {key: value for key, value in state.items() if owners.get(key, adapter) == adapter},
            adapter,
        )
        for adapter in inner.peft_config
    }
    covered = {
        _place(value)
        for tensors in adapters.values()
        for value in tensors.values()
        if isinstance(value, torch.Tensor)
    }
    trainable = {id(p) for p in inner.parameters() if p.requires_grad}
    live = inner.state_dict(keep_vars=True)
    buffers = {id(buffer) for buffer in inner.buffers()}
    rest = {
        canonical[key]: value.detach()
        for key, value in live.items()
        if isinstance(value, torch.Tensor)
        and (canonical[key] in owners or id(value) in trainable or id(value) in buffers)
        and _place(value) not in covered
    }
    return Parts(adapters, rest)


def configurations(module: nn.Module) -> Dict[str, Dict[str, Any]]:
    """The configuration of each adapter, as PEFT writes it, by the adapter's name."""
    inner: Any = _modules.unwrap(module)
    base = _base.origin(inner)
    found = {}
    for adapter, live in inner.peft_config.items():
        config = copy.deepcopy(live)
        config.inference_mode = True  # as a saved adapter is read by those who do not train it
        if not config.base_model_name_or_path:
            config.base_model_name_or_path = base.name
        if config.revision is None and base.name is not None:
            config.revision = base.commit
        options = {}
        if config.task_type is None:
            original = type(inner.get_base_model())
            options["auto_mapping_dict"] = {
                "base_model_class": original.__name__,
                "parent_library": original.__module__,
            }
        with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
            config.save_pretrained(folder, **options)
            text = (Path(folder) / CONFIG).read_text(encoding="utf-8")
        document = _configs.cleaned_document(json.loads(text))
        document.setdefault("base_model_name_or_path", None)  # PEFT wants the key
        found[adapter] = document
    return found


def configuration_differences(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    """Say in what two adapters' configurations differ that decides what they compute."""
    return [
        f"{key} was {saved.get(key)!r}, and is {live.get(key)!r}"
        for key in sorted({*saved, *live} - _UNIMPORTANT)
        if _sorted(saved.get(key)) != _sorted(live.get(key))
    ]


def in_memory_of(tensor: torch.Tensor, module: nn.Module) -> bool:
    """Tell whether a tensor is the model's own memory, not something that was computed for a file."""
    storages = {
        item.untyped_storage().data_ptr() for item in (*module.parameters(), *module.buffers())
    }
    return tensor.untyped_storage().data_ptr() in storages


def owned(module: nn.Module) -> Set[str]:
    """The names of a PEFT model's tensors that belong to an adapter, not to the base."""
    return set(_owners(module))


def _owners(inner: Any) -> Dict[str, str]:
    """Map the names of tensors that belong to one adapter to the adapter."""
    adapters = set(inner.peft_config)
    prefixes: Dict[str, str] = {}
    for path, holder in inner.named_modules(remove_duplicate=False):
        if type(holder).__name__ not in _HOLDERS:
            continue
        keys = {*holder._modules, *holder._parameters, *holder._buffers}
        for adapter in keys & adapters:
            prefixes[f"{path}.{adapter}"] = adapter
    names = inner.state_dict(keep_vars=True)
    canonical = _modules.strip_wrappers(inner, names)
    found = {}
    for key in names:
        parts_of_key = key.split(".")
        for end in range(1, len(parts_of_key) + 1):
            adapter = prefixes.get(".".join(parts_of_key[:end]))
            if adapter is not None:
                found[canonical[key]] = adapter
                break
    return found


def _adapter_state(inner: Any, state: Dict[str, Any], adapter: str) -> Dict[str, Any]:
    """What PEFT writes for an adapter.

    Embeddings are written when the adapter sits on them. PEFT also asks the Hub whether their size was
    changed; a save does not go to the network, and trained embeddings are in the rest.
    """
    peft: Any = sys.modules["peft"]
    config = inner.peft_config[adapter]
    targets = getattr(config, "target_modules", None)
    names = peft.utils.constants.EMBEDDING_LAYER_NAMES
    on_embeddings = not isinstance(targets, str) and any(name in (targets or ()) for name in names)
    if getattr(config, "trainable_token_indices", None) is not None:
        on_embeddings = False
    device = next(inner.parameters()).device
    devices = [device] if device.type == "cuda" else []
    # A prompt's encoder computes what is written, and may have dropout.
    with torch.random.fork_rng(devices=devices), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = peft.get_peft_model_state_dict(
            inner,
            state_dict=state,
            adapter_name=adapter,
            save_embedding_layers="auto" if on_embeddings else False,
        )
    seen: Set[Tuple[Any, ...]] = set()
    own: Dict[str, Any] = {}
    for key, value in found.items():
        is_tensor = isinstance(value, torch.Tensor)
        # Files of PEFT hold every tensor under its own name, shared or not.
        own[key] = value.clone() if is_tensor and _place(value) in seen else value
        if is_tensor:
            seen.add(_place(value))
    return own


def _place(tensor: torch.Tensor) -> Tuple[Any, ...]:
    if tensor.numel() == 0 or tensor.device.type == "meta":
        return (id(tensor),)
    return (tensor.device, tensor.data_ptr())


def _sorted(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, list) else value
