"""What `from_pretrained` needs beside the tensors: configurations, custom code, tokenizers, processors."""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping

from hfl_checkpoint import _configs
from hfl_core import ConfigError, new_digest

# Names in a checkpoint that are its own.
_TAKEN = {"manifest.json", "metadata.json"}


def model_folder(name: str) -> str:
    """Where a model's files are: the component called ``model`` at the root, others in a folder."""
    return "" if name == "model" else f"{name}/"


def companion_folder(name: str, models: List[str]) -> str:
    """Where the files of a tokenizer or a processor are: beside the model that it belongs to.

    With one model, beside that one. With several, ``teacher_tokenizer`` is beside ``teacher`` (the
    longest name of a model that fits), and any other beside the component called ``model``.

    Args:
        name: The component.
        models: The names of the models that are saved with it.

    Example:
        >>> companion_folder("teacher_tokenizer", ["model", "teacher"])
        'teacher/'
        >>> companion_folder("tokenizer", ["model", "teacher"])
        ''
    """
    if len(models) == 1:
        return model_folder(models[0])
    owners = [model for model in models if name.startswith(f"{model}_")]
    return model_folder(max(owners, key=len)) if owners else ""


def configuration(module: Any) -> Dict[str, bytes]:
    """The files with which `from_pretrained` recognises a model, for models that have them.

    Args:
        module: The model, without wrappers; it is not changed.

    Returns:
        Name to content: the configurations, and the code of a model that brings its own.
    """
    config: Any = getattr(module, "config", None)
    if not (hasattr(config, "to_json_string") and hasattr(config, "model_type")):
        return {}
    config = copy.deepcopy(config)
    config.architectures = [type(module).__name__]
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        for custom in (module, config):
            if getattr(custom, "_auto_class", None) is not None:
                _copy_code(custom, folder, config)
        files = _contents(Path(folder))
    files["config.json"] = _configs.cleaned(config.to_json_string()).encode()
    generation: Any = getattr(module, "generation_config", None)
    if hasattr(generation, "to_json_string"):
        files["generation_config.json"] = _configs.cleaned(generation.to_json_string()).encode()
    return files


def files_of(name: str, component: Any) -> Dict[str, bytes]:
    """The files that an object writes with ``save_pretrained``, cleaned of local paths and secrets.

    Args:
        name: The component, for messages.
        component: A tokenizer, a processor, an image processor, a feature extractor …

    Returns:
        Name to content.

    Raises:
        ConfigError: It writes nothing, or something that a checkpoint has no place for.
    """
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        try:
            component.save_pretrained(folder)
        except Exception as error:
            raise ConfigError(
                f"Component {name!r}, a {type(component).__name__}, cannot be saved: its "
                f"save_pretrained() fails ({error!r}).",
                hint="Leave it out, or save it once beside the run.",
            ) from error
        files = _contents(Path(folder))
    refused = [path for path in files if path in _TAKEN or path.startswith("state/")]
    if refused or not files:
        what = (
            f"writes {refused[0]}, which is the checkpoint's own" if refused else "writes no file"
        )
        raise ConfigError(
            f"Component {name!r}, a {type(component).__name__}, {what}.",
            hint="Leave it out, or save it once beside the run.",
        )
    return files


def fingerprint(files: Mapping[str, bytes]) -> Dict[str, str]:
    """Digests by which the files of two objects are compared; the version of a library is no difference."""
    found = {}
    for path, content in files.items():
        digest = new_digest()
        digest.update(_comparable(content) if _configs.is_configuration(path) else content)
        found[path] = digest.hexdigest()
    return found


def differences(saved: Mapping[str, str], live: Mapping[str, str]) -> List[str]:
    """Name the files that differ between two fingerprints."""
    return [path for path in sorted({*saved, *live}) if saved.get(path) != live.get(path)]


def _contents(folder: Path) -> Dict[str, bytes]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        if _configs.is_configuration(name):
            content = _configs.cleaned(content.decode("utf-8")).encode("utf-8")
        found[name] = content
    return found


def _comparable(content: bytes) -> bytes:
    document = json.loads(content)
    if isinstance(document, dict):
        document.pop("transformers_version", None)
    return json.dumps(document, sort_keys=True).encode()


def _copy_code(custom: Any, folder: str, config: Any) -> None:
    """Copy the code of a model that is not transformers' own, and refer to it in the configuration."""
    # Imported by the model's class already; this package does without transformers otherwise.
    modules: Any = sys.modules.get("transformers.dynamic_module_utils")
    if modules is not None:
        modules.custom_object_save(custom, folder, config=config)
