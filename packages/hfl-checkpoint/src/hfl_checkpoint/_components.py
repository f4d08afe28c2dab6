"""What a checkpoint saves: models, optimizers, anything with a state dict, and plain mappings."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Mapping

from torch import nn
from torch.optim import Optimizer

from hfl_checkpoint import _adapters, _base, _codec, _modules, _optimizers, _pretrained
from hfl_checkpoint._shapes import require_complete
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._protocol import TrainingStateLike

MODEL, OPTIMIZER, STATEFUL, MAPPING = "model", "optimizer", "stateful", "mapping"
PRETRAINED, PEFT, PART = "pretrained", "peft", "part"

# Names become file names, of 255 bytes at most with what is added to them; a number at the end would look
# like a rank.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
# Some are files of a checkpoint, the others arguments that stand beside components in the manager's calls.
RESERVED = {
    *("manifest", "metadata", "state"),
    *("epoch", "metrics", "reason", "which", "strict", "allow_missing", "map_location"),
}


@dataclasses.dataclass(frozen=True)
class Captured:
    """A component's state at one moment.

    Attributes:
        name: The name under which it was passed.
        kind: ``"model"``, ``"optimizer"``, ``"stateful"``, ``"mapping"``, ``"pretrained"``, ``"peft"``, or
            ``"part"`` of a component whose name is before the first dot of this one's.
        class_name: The class, as ``module.QualifiedName``.
        state: The tree and the tensors; tensors still are those of the live object.
        extra: Facts about the state that a restore compares.
        files: Further files by their path in the checkpoint (a model's configuration).
        per_rank: Whether every rank has one of its own.
        tensor_file: The file of its tensors, where it is not the usual one.
        frozen: Keys of the tensors that training is not expected to change.
        rank: Whose it is, where every rank has one of its own.
    """

    name: str
    kind: str
    class_name: str
    state: _codec.Encoded
    extra: Dict[str, Any]
    files: Dict[str, bytes]
    per_rank: bool
    tensor_file: str | None = None
    frozen: FrozenSet[str] = frozenset()
    rank: int = 0

    @property
    def tensors(self) -> str:
        """The file of its tensors, in the checkpoint, unless there are several."""
        if self.tensor_file is not None:
            return self.tensor_file
        if self.kind == MODEL:
            return f"{_pretrained.model_folder(self.name)}model.safetensors"
        return f"{self.base}.safetensors"

    @property
    def base(self) -> str:
        """What the names of its own files below ``state/`` begin with."""
        return f"state/{self.name}-{self.rank:05d}" if self.per_rank else f"state/{self.name}"


def require_name(name: str) -> None:
    """Refuse a name that cannot be a file's, or that the manager's calls give a meaning of its own.

    Raises:
        ConfigError: It is one.
    """
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f"A component cannot be called {name!r}.",
            hint="Use letters, digits and underscores, 200 at most, and none of: "
            + ", ".join(sorted(RESERVED))
            + ".",
        )


def kind_of(name: str, component: Any) -> str:
    """Tell how a component is saved.

    Args:
        name: Its name.
        component: The object.

    Raises:
        ConfigError: The name cannot be a file's, or the object has no state.
    """
    require_name(name)
    if isinstance(component, nn.Module):
        return PEFT if _adapters.is_peft(component) else MODEL
    if isinstance(component, Optimizer):
        return OPTIMIZER
    if hasattr(component, "state_dict") and hasattr(component, "load_state_dict"):
        return STATEFUL
    if isinstance(component, Mapping) and not _is_pretrained(component):
        return MAPPING
    if _is_pretrained(component):
        return PRETRAINED
    raise ConfigError(
        f"Component {name!r} is of type {type(component).__name__}, which has no state to save.",
        hint="Pass a model, an optimizer, an object with state_dict() and load_state_dict(), a tokenizer "
        "or a processor with save_pretrained(), or a dict.",
    )


def _is_pretrained(component: Any) -> bool:
    return callable(getattr(component, "save_pretrained", None)) and not isinstance(component, type)


def kinds_of(components: Mapping[str, Any]) -> Dict[str, str]:
    """Tell how each component is saved, and refuse a set of them that cannot be."""
    if not components:
        raise ConfigError(
            "There is nothing to save or restore: no component was given.",
            hint="Pass them by name: save(step, model=model, optimizer=optimizer).",
        )
    return {name: kind_of(name, component) for name, component in components.items()}


def components_of(state: TrainingStateLike) -> Dict[str, Any]:
    """Ask a training state for its components; none may be called like an argument of the call they go to."""
    found = dict(state.components())
    for name in found:
        require_name(name)
    return found


def parameter_names(components: Mapping[str, Any]) -> Dict[int, str]:
    """Map the ``id`` of every parameter of the models among the components to its name."""
    names: Dict[int, str] = {}
    for component, module in components.items():
        if isinstance(module, nn.Module):
            for name, parameter in _modules.named_parameters(component, module):
                names.setdefault(id(parameter), name)
    return names


def is_per_rank(component: Any) -> bool:
    """Whether every process has a state of its own of this component."""
    return (
        bool(getattr(component, "per_rank", False))
        and not isinstance(component, (nn.Module, Optimizer))
        and hasattr(component, "state_dict")
    )


def capture(components: Mapping[str, Any], *, rank: int = 0) -> List[Captured]:
    """Read the state of every component, without copying tensors.

    Args:
        components: Name to object.
        rank: This process. One other than 0 reads only what every process has of its own.

    Returns:
        One entry for each, in the same order.

    Raises:
        ConfigError: A component has no state, or a name cannot be used.
        UnknownTypeError: A state holds a value that cannot be written.
    """
    kinds = kinds_of(components)
    names = parameter_names(components)
    models = [name for name, kind in kinds.items() if kind in (MODEL, PEFT)]
    captured: List[Captured] = []
    for name, component in components.items():
        if rank and not is_per_rank(component):
            continue
        if kinds[name] == PRETRAINED:
            captured.append(_capture_pretrained(name, component, models))
        elif kinds[name] == PEFT:
            captured.extend(_capture_peft(name, component))
        else:
            captured.append(_CAPTURES[kinds[name]](name, component, names))
    return [dataclasses.replace(item, rank=rank) for item in _without_twice_written(captured)]


def _without_twice_written(captured: List[Captured]) -> List[Captured]:
    """A processor brings its tokenizer's files: what is written already is not written again."""
    written: Dict[str, Captured] = {}
    found = []
    for item in captured:
        own = {}
        for path, content in item.files.items():
            other = written.setdefault(path, item)
            if other is item:
                own[path] = content
            elif other.files[path] != content:
                raise ConfigError(
                    f"{path} of {item.name!r} and of {other.name!r} are not the same, and have one place.",
                    hint="Save one of the two, or name it after another model: "
                    "teacher_tokenizer= is saved beside teacher=.",
                )
        found.append(dataclasses.replace(item, files=own))
    return found


def class_name(component: Any) -> str:
    """The class of a component, as it is recorded and compared."""
    cls = type(_modules.unwrap(component) if isinstance(component, nn.Module) else component)
    return f"{cls.__module__}.{cls.__qualname__}"


def _capture_model(name: str, module: nn.Module, _: Mapping[int, str]) -> Captured:
    state: Any = module.state_dict()
    require_complete(name, module, state)
    canonical = _modules.strip_wrappers(module, state)
    renamed: Any = OrderedDict((canonical[key], value) for key, value in state.items())
    renamed._metadata = _modules.canonical_versions(module, state)
    configuration = _pretrained.configuration(_modules.unwrap(module))
    files = {_pretrained.model_folder(name) + path: data for path, data in configuration.items()}
    return Captured(
        name,
        MODEL,
        class_name(module),
        _codec.encode(renamed, name=name),
        {},
        files,
        False,
        frozen=frozenset(map(_codec.escape, _modules.frozen_parameters(module))),
    )


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
        is_per_rank(component),
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


def _capture_peft(name: str, module: nn.Module) -> List[Captured]:
    inner: Any = _modules.unwrap(module)
    require_complete(name, inner, inner.state_dict())
    parts = _adapters.parts(name, module)
    configurations = _adapters.configurations(module)
    base = _base.identify(inner, _adapters.owned(inner), parts.rest)
    folder = _pretrained.model_folder(name)
    names = {adapter: f"{name}.adapter.{adapter}" for adapter in parts.adapters}
    if _adapters.DEFAULT in names:
        names[_adapters.DEFAULT] = name
    extra = {
        "adapters": names,
        "rest": f"{name}.rest",
        "base": base,
        "configurations": configurations,
    }
    whole = class_name(module)

    def part(item: str, state: Any, file: str | None, files: Mapping[str, bytes]) -> Captured:
        kind = PEFT if item == name else PART
        encoded = _codec.encode(state, name=item)
        own = extra if item == name else {}
        return Captured(item, kind, whole, encoded, own, dict(files), False, file)

    found = [part(f"{name}.rest", parts.rest, None, {})]
    if name not in names.values():
        found.append(part(name, {}, None, {}))
    for adapter, item in names.items():
        place = folder if adapter == _adapters.DEFAULT else f"{folder}{adapter}/"
        text = json.dumps(configurations[adapter], indent=2, sort_keys=True) + "\n"
        files = {place + _adapters.CONFIG: text.encode()}
        found.append(part(item, parts.adapters[adapter], place + _adapters.WEIGHTS, files))
    return found


def _capture_pretrained(name: str, component: Any, models: List[str]) -> Captured:
    folder = _pretrained.companion_folder(name, models)
    files = _pretrained.files_of(name, component)
    state = {"folder": folder, "files": _pretrained.fingerprint(files)}
    return Captured(
        name,
        PRETRAINED,
        class_name(component),
        _codec.encode(state, name=name),
        {},
        {folder + path: content for path, content in files.items()},
        False,
    )


_CAPTURES: Dict[str, Callable[[str, Any, Mapping[int, str]], Captured]] = {
    MODEL: _capture_model,
    OPTIMIZER: _capture_optimizer,
    STATEFUL: _capture_stateful,
    MAPPING: _capture_mapping,
}

# What a manifest may hold; a reader refuses what it does not know.
KINDS = {*_CAPTURES, PRETRAINED, PEFT, PART}
