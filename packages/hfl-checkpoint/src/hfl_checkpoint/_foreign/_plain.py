"""Weights: safetensors and torch files, whole or sharded, with what lies beside them."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import Any, Dict, List, Mapping

import torch

from hfl_checkpoint import _configs, _modules
from hfl_checkpoint._foreign import _pickles
from hfl_checkpoint._foreign._result import Draft
from hfl_checkpoint._tensors import read_tensors
from hfl_checkpoint.errors import CheckpointDamagedError

# What `from_pretrained` reads beside the weights.
_BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
)


def read_safetensors(path: Path) -> Draft:
    """Read a file of weights."""
    draft = Draft("safetensors")
    draft.add("model", "model", canonical(_tensors(path)))
    return draft


def read_folder(path: Path, *, trust_pickle: bool) -> Draft:
    """Read a folder that `save_pretrained` wrote."""
    draft = Draft("safetensors")
    add_models(draft, path, trust_pickle=trust_pickle)
    draft.files = beside(path)
    return draft


def has_model(path: Path) -> bool:
    """Tell whether a folder holds weights."""
    return any(_weights(path, stem) for stem in ("model", "pytorch_model", "adapter_model"))


def add_models(draft: Draft, path: Path, *, trust_pickle: bool) -> None:
    """Read the weights of a folder: one model, or several that are numbered."""
    for stem in ("model", "pytorch_model"):
        number = 0
        while True:
            suffix = f"_{number}" if number else ""
            files = _weights(path, stem + suffix)
            if not files:
                break
            draft.add(f"model{suffix}", "model", canonical(_read_all(draft, files, trust_pickle)))
            number += 1
    files = _weights(path, "adapter_model")
    if files:
        draft.add("adapter", "mapping", _read_all(draft, files, trust_pickle))


def beside(path: Path) -> Dict[str, bytes]:
    """Read the configurations and tokenizer files of a folder, without what is private in them."""
    found = {}
    for name in _BESIDE:
        file = path / name
        if file.is_file() and _stays_inside(file):
            content = file.read_bytes()
            if _configs.is_configuration(name):
                try:
                    content = _configs.cleaned(content.decode("utf-8")).encode("utf-8")
                except ValueError as error:
                    raise CheckpointDamagedError(
                        path.name, [f"{name} is not valid JSON"]
                    ) from error
            found[name] = content
    return found


def _stays_inside(file: Path) -> bool:
    """Whether a file is in its folder; the cache of the Hub keeps the contents beside its folders."""
    target, folder = file.resolve(), file.parent.resolve()
    return folder in target.parents or folder.parent.parent / "blobs" == target.parent


def canonical(state: Mapping[str, Any]) -> Any:
    """A model's state under names without the marks of wrappers.

    ``module.`` is one when every name begins with it: the whole model was wrapped in DDP.
    """
    names = {
        key: ".".join(part for part in key.split(".") if part not in _modules.WRAPPER_PARTS)
        for key in state
    }
    while names and all(name.startswith("module.") for name in names.values()):
        names = {key: name[len("module.") :] for key, name in names.items()}
    if len(set(names.values())) < len(names):
        names = {key: key for key in state}
    found: Any = OrderedDict((names[key], value) for key, value in state.items())
    if hasattr(state, "_metadata"):
        found._metadata = state._metadata
    return found


def is_model_state(value: Any) -> bool:
    """Tell whether a value looks like a model's state dict: names of parameters to tensors."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(key, str) for key in value)
        and all(
            isinstance(item, torch.Tensor) or key.endswith("_extra_state")
            for key, item in value.items()
        )
    )


def _weights(path: Path, stem: str) -> List[Path]:
    """The files of one model: a single one, or the shards that an index lists."""
    for suffix in (".safetensors", ".bin"):
        single, index = path / f"{stem}{suffix}", path / f"{stem}{suffix}.index.json"
        if single.is_file():
            return [single]
        if index.is_file():
            return _shards(path, index)
    return []


def _shards(path: Path, index: Path) -> List[Path]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointDamagedError(path.name, [f"{index.name} is malformed"]) from error
    for name in names:
        if len(PurePosixPath(str(name)).parts) != 1 or not (path / name).is_file():
            raise CheckpointDamagedError(
                path.name, [f"{index.name} names {name!r}, which is not there"]
            )
    return [path / name for name in names]


def _read_all(draft: Draft, files: List[Path], trust_pickle: bool) -> Dict[str, Any]:
    state: Dict[str, Any] = {}
    for file in files:
        if file.suffix == ".safetensors":
            state.update(_tensors(file))
            continue
        read = _pickles.read(file, trust_pickle=trust_pickle)
        draft.skipped += [f"{file.name}{text}" for text in read.skipped]
        if not isinstance(read.value, Mapping):
            raise CheckpointDamagedError(file.parent.name, [f"{file.name} holds no state dict"])
        state.update(read.value)
    return state


def _tensors(path: Path) -> Dict[str, torch.Tensor]:
    try:
        return read_tensors(path)
    except Exception as error:
        # Its reader raises classes of its own.
        raise CheckpointDamagedError(path.parent.name, [f"{path.name}: {error}"]) from error
