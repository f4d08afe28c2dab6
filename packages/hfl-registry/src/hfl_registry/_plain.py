"""Plain ``nn.Module`` classes: a configuration from the constructor, and classes that transformers loads."""

from __future__ import annotations

import inspect
import json
import keyword
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from hfl_registry._code._bundle import CodeBundle
from hfl_registry._jsonable import problems_in
from hfl_registry.errors import ModelValidationError

__all__ = ["arguments_of", "is_plain", "model_type_of", "with_wrapper"]

_TEMPLATE = '''"""Lets transformers load {name}, a plain torch module, by its configuration."""

import torch
from transformers import PretrainedConfig, PreTrainedModel

from .{module} import {name}


class {name}Config(PretrainedConfig):
    """The arguments of {name}."""

    model_type = {model_type!r}

    def __init__(self, **kwargs):
        defaults = {defaults}
        for argument, value in defaults.items():
            setattr(self, argument, kwargs.pop(argument, value))
        super().__init__(**kwargs)


class {name}Model(PreTrainedModel):
    """{name}, and nothing more: what it is called with and returns is its own."""

    config_class = {name}Config
    # Its weights are stored by the names that they have in {name}, without this prefix.
    base_model_prefix = "plain_module"
    _tied_weights_keys = {tied}

    def __init__(self, config):
        super().__init__(config)
        # On the CPU even where transformers wants it without storage: what the constructor computes
        # and the file does not hold has to be there.
        with torch.device("cpu"):
            self.plain_module = {name}(**{{name: getattr(config, name) for name in {arguments!r}}})
        self._computed = {{
            name: buffer.clone()
            for name, buffer in self.plain_module.named_buffers()
            if name not in self.plain_module.state_dict()
        }}
        self.post_init()

    def _init_weights(self, module):
        pass  # the constructor did

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        for name, value in model._computed.items():
            owner, _, last = name.rpartition(".")
            parent = model.plain_module.get_submodule(owner)
            parent._buffers[last] = value.to(parent._buffers[last].device)
        for copy, first in (cls._tied_weights_keys or {{}}).items():
            owner, _, last = copy.rpartition(".")
            setattr(model.get_submodule(owner), last, model.get_parameter(first))
        return loaded

    def forward(self, *args, **kwargs):
        return self.plain_module(*args, **kwargs)
'''


def is_plain(cls: Any) -> bool:
    """Say whether a class is a module without a configuration of transformers'."""
    import torch

    names = {parent.__name__ for parent in cls.__mro__}
    return issubclass(cls, torch.nn.Module) and "PreTrainedModel" not in names


def model_type_of(cls: Any) -> str:
    """Make the name of a model type from a class's: ``DigitNet`` is ``digit-net``."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", cls.__name__)
    return "-".join(word.lower() for word in words) or cls.__name__.lower()


def arguments_of(module: Any, given: Mapping[str, Any] | None = None) -> Dict[str, Any]:
    """Find out what a module was made with.

    Args:
        module: The module.
        given: Arguments by name; they win.

    Returns:
        Name to value. They come from what `PyTorchModelHubMixin` recorded, or from the attributes that
        the constructor keeps under their own names.

    Raises:
        ModelValidationError: An argument is not to be found, or is nothing that JSON holds.
    """
    cls = type(module)
    recorded = {**(getattr(module, "_hub_mixin_config", None) or {}), **(given or {})}
    found: Dict[str, Any] = {}
    problems: List[str] = []
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in recorded:
            found[name] = recorded[name]
        elif hasattr(module, name) and not _is_built(getattr(module, name)):
            found[name] = getattr(module, name)
        else:
            problems.append(
                f"{_place(cls)}: nothing says what {name!r} was (keep it: self.{name} = {name}; "
                f"or pass config={{{name!r}: …}})"
            )
    problems += problems_in(found, cls.__name__)
    if problems:
        raise ModelValidationError(cls.__name__, problems)
    return found


def _is_built(value: Any) -> bool:
    import torch

    return isinstance(value, (torch.nn.Module, torch.Tensor))


def _place(cls: Any) -> str:
    code = getattr(cls.__init__, "__code__", None)
    if code is None:
        return str(cls.__name__)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def with_wrapper(
    code: CodeBundle, module: Any, model_type: str, arguments: Mapping[str, Any]
) -> Tuple[CodeBundle, Dict[str, str]]:
    """Add the classes that transformers loads to the code of a plain module.

    Returns:
        The code, and Auto class to place.
    """
    cls = type(module)
    place = code.places[cls].rpartition(".")[0]
    name = f"hub_{re.sub(r'[^0-9a-zA-Z]+', '_', model_type)}"
    while f"{name}.py" in code.files or keyword.iskeyword(name):
        name += "_"
    ties = {f"plain_module.{copy}": f"plain_module.{first}" for copy, first in tied(module).items()}
    text = _TEMPLATE.format(
        name=cls.__name__,
        module=place,
        model_type=model_type,
        defaults=repr(_plain(arguments)),
        arguments=tuple(arguments),
        tied=repr(ties) if ties else "None",
    )
    others = sorted(each[:-3] for each in code.files if each != f"{place}.py")
    if others:
        text += "\n\nif False:  # transformers' loader brings along what it reads here\n"
        text += "".join(f"    from .{other} import __name__\n" for other in others)
    files = {**code.files, f"{name}.py": text.encode("utf-8")}
    places = {
        "AutoConfig": f"{name}.{cls.__name__}Config",
        "AutoModel": f"{name}.{cls.__name__}Model",
    }
    from importlib.metadata import version

    needed = {*code.requirements, f"transformers=={version('transformers')}"}
    return CodeBundle(files, code.places, tuple(sorted(needed))), places


def tied(module: Any) -> Dict[str, str]:
    """Map each further name of a tensor to its first one."""
    first: Dict[Any, str] = {}
    found: Dict[str, str] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if id(value) in first:
            found[name] = first[id(value)]
        else:
            first[id(value)] = name
    return found


def _plain(arguments: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(arguments)))
