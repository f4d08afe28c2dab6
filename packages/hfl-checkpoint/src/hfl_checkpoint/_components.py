"""What a checkpoint saves: models, optimizers, anything with a state dict, and plain mappings."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Tuple

from torch import nn
from torch.optim import Optimizer

from hfl_checkpoint import _codec, _modules, _optimizers
from hfl_core import ConfigError

MODEL, OPTIMIZER, STATEFUL, MAPPING = "model", "optimizer", "stateful", "mapping"

# Names become file names; a number at the end would look like a rank.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = {"manifest", "metadata", "state"}


@dataclasses.dataclass(frozen=True)
class Captured:
    """A component's state at one moment.

    Attributes:
        name: The name under which it was passed.
        kind: ``"model"``, ``"optimizer"``, ``"stateful"`` or ``"mapping"``.
        class_name: The class, as ``module.QualifiedName``.
        state: The tree and the tensors; tensors still are those of the live object.
        extra: Facts about the state that a restore compares.
        files: Further files by their path in the checkpoint (a model's configuration).
        per_rank: Whether every rank has one of its own.
        frozen: Keys of the tensors that training is not expected to change.
    """

    name: str
    kind: str
    class_name: str
    state: _codec.Encoded
    extra: Dict[str, Any]
    files: Dict[str, bytes]
    per_rank: bool
    frozen: FrozenSet[str] = frozenset()


def kind_of(name: str, component: Any) -> str:
    """Tell how a component is saved.

    Args:
        name: Its name.
        component: The object.

    Raises:
        ConfigError: The name cannot be a file's, or the object has no state.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise ConfigError(
            f"A component cannot be called {name!r}.",
            hint="Use letters, digits and underscores, and none of: "
            + ", ".join(sorted(_RESERVED))
            + ".",
        )
    if isinstance(component, nn.Module):
        return MODEL
    if isinstance(component, Optimizer):
        return OPTIMIZER
    if hasattr(component, "state_dict") and hasattr(component, "load_state_dict"):
        return STATEFUL
    if isinstance(component, Mapping):
        return MAPPING
    raise ConfigError(
        f"Component {name!r} is a {type(component).__name__}, which has no state to save.",
        hint="Pass a model, an optimizer, an object with state_dict() and load_state_dict(), or a dict.",
    )


def kinds_of(components: Mapping[str, Any]) -> Dict[str, str]:
    """Tell how each component is saved, and refuse a set of them that cannot be."""
    if not components:
        raise ConfigError(
            "There is nothing to save or restore: no component was given.",
            hint="Pass them by name: save(step, model=model, optimizer=optimizer).",
        )
    return {name: kind_of(name, component) for name, component in components.items()}


def parameter_names(components: Mapping[str, Any]) -> Dict[int, str]:
    """Map the ``id`` of every parameter of the models among the components to its name."""
    names: Dict[int, str] = {}
    for component, module in components.items():
        if isinstance(module, nn.Module):
            for name, parameter in _modules.named_parameters(component, module):
                names.setdefault(id(parameter), name)
    return names


def capture(components: Mapping[str, Any]) -> List[Captured]:
    """Read the state of every component, without copying tensors.

    Args:
        components: Name to object.

    Returns:
        One entry for each, in the same order.

    Raises:
        ConfigError: A component has no state, or a name cannot be used.
        UnknownTypeError: A state holds a value that cannot be written.
    """
    kinds = kinds_of(components)
    names = parameter_names(components)
    return [
        _CAPTURES[kinds[name]](name, component, names) for name, component in components.items()
    ]


def class_name(component: Any) -> str:
    """The class of a component, as it is recorded and compared."""
    cls = type(_modules.unwrap(component) if isinstance(component, nn.Module) else component)
    return f"{cls.__module__}.{cls.__qualname__}"


def _capture_model(name: str, module: nn.Module, _: Mapping[int, str]) -> Captured:
    state: Any = module.state_dict()
    canonical = _modules.strip_wrappers(module, state)
    renamed: Any = OrderedDict((canonical[key], value) for key, value in state.items())
    renamed._metadata = _modules.canonical_versions(module, state)
    folder = model_folder(name)
    files = {folder + path: data for path, data in _configuration(_modules.unwrap(module)).items()}
    return Captured(
        name,
        MODEL,
        class_name(module),
        _codec.encode(renamed, name=name),
        {},
        files,
        False,
        frozenset(map(_codec.escape, _modules.frozen_parameters(module))),
    )


def model_folder(name: str) -> str:
    """Where a model's files are: the component called ``model`` at the root, others in a folder."""
    return "" if name == "model" else f"{name}/"


def _configuration(module: nn.Module) -> Dict[str, bytes]:
    """The files with which `from_pretrained` recognises a model, for models that have them."""
    files = {}
    config: Any = getattr(module, "config", None)
    if hasattr(config, "to_json_string") and hasattr(config, "model_type"):
        config = copy.deepcopy(config)
        config.architectures = [type(module).__name__]
        files["config.json"] = _without_local_paths(config.to_json_string()).encode()
        generation: Any = getattr(module, "generation_config", None)
        if hasattr(generation, "to_json_string"):
            files["generation_config.json"] = generation.to_json_string().encode()
    return files


def _without_local_paths(text: str) -> str:
    """Leave out where a model was loaded from, unless it is a name on the Hub: it tells who trains."""

    def kept(items: List[Tuple[str, Any]]) -> Dict[str, Any]:
        return {
            key: value
            for key, value in items
            if key != "_name_or_path" or not (isinstance(value, str) and _is_local(value))
        }

    return json.dumps(json.loads(text, object_pairs_hook=kept), indent=2) + "\n"


def _is_local(name: str) -> bool:
    path = Path(name)
    return name.startswith((".", "~")) or "\\" in name or path.is_absolute() or path.exists()


def _capture_optimizer(name: str, optimizer: Optimizer, names: Mapping[int, str]) -> Captured:
    state, parameters = _optimizers.by_name(optimizer, names)
    return Captured(
        name,
        OPTIMIZER,
        class_name(optimizer),
        _codec.encode(state, name=name),
        {"parameters": parameters},
        {},
        False,
    )


def _capture_stateful(name: str, component: Any, _: Mapping[int, str]) -> Captured:
    state = component.state_dict()
    return Captured(
        name,
        STATEFUL,
        class_name(component),
        _codec.encode(state, name=name),
        {},
        {},
        bool(getattr(component, "per_rank", False)),
    )


def _capture_mapping(name: str, component: Mapping[str, Any], _: Mapping[int, str]) -> Captured:
    return Captured(
        name,
        MAPPING,
        class_name(component),
        _codec.encode(dict(component), name=name),
        {},
        {},
        False,
    )


_CAPTURES: Dict[str, Callable[[str, Any, Mapping[int, str]], Captured]] = {
    MODEL: _capture_model,
    OPTIMIZER: _capture_optimizer,
    STATEFUL: _capture_stateful,
    MAPPING: _capture_mapping,
}
