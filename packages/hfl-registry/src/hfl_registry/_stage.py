"""The files of a model as they go into a repository, written to a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from hfl_registry._autos import is_fast
from hfl_registry._code._bundle import CodeBundle, bundle
from hfl_registry._plain import arguments_of, is_plain, model_type_of, tied, with_wrapper
from hfl_registry._registrations import Registration
from hfl_registry._weights import write_weights

__all__ = ["Staged", "stage"]

REQUIREMENTS = "requirements.txt"


@dataclasses.dataclass(frozen=True)
class Staged:
    """A folder that is ready to be published.

    Attributes:
        folder: Where it is.
        auto_class: The Auto class that loads the model.
        config: The content of ``config.json``.
        code: The code that goes along; empty where the libraries have it all.
        prefix: What the loaded model's tensors are called beside the live one's.
    """

    folder: Path
    auto_class: str
    config: Mapping[str, Any]
    code: CodeBundle
    prefix: str = ""

    @property
    def has_code(self) -> bool:
        """Whether loading it needs ``trust_remote_code=True``."""
        return bool(self.code.files)

    @property
    def files(self) -> Tuple[str, ...]:
        """The files, by name."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return tuple(sorted(path.relative_to(self.folder).as_posix() for path in found))


def stage(
    folder: Path,
    model: Any,
    auto_class: str,
    registration: Registration | None,
    companions: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None = None,
    max_shard_size: str | int = "5GB",
) -> Staged:
    """Write a model, what belongs to it, and its code.

    Args:
        folder: An empty folder.
        model: The model.
        auto_class: The Auto class that is to load it.
        registration: Its classes, where they are not transformers' own.
        companions: ``tokenizer``, ``processor`` and ``image_processor``, those that there are.
        config: For a plain module, the arguments that its constructor got.
        max_shard_size: The size of a file of weights.

    Raises:
        UnportableCodeError: Its code cannot travel.
        ModelValidationError: Its configuration cannot be written.
    """
    classes = custom_classes(model, registration, companions)
    code = CodeBundle({}, {})
    if classes:
        code = bundle(
            classes,
            requirements=() if registration is None else registration.requirements,
            files=() if registration is None else registration.data_files,
            name=_model_type(model, registration),
        )
    if is_plain(type(model)):
        code = _write_plain(folder, model, code, registration, config, max_shard_size)
    else:
        _write_model(folder, model, max_shard_size)
    with _plainly_saved(*companions.values()):
        for companion in companions.values():
            companion.save_pretrained(str(folder))
    for name, content in code.files.items():
        (folder / name).write_bytes(content)
    if code.requirements:
        lines = "".join(f"{line}\n" for line in code.requirements)
        (folder / REQUIREMENTS).write_text(lines, encoding="utf-8")
    if not is_plain(type(model)):
        _map_models(folder, model, auto_class, registration, code)
    for companion in companions.values():
        _map_companion(folder, companion, code)
    document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    prefix = "plain_module." if is_plain(type(model)) else ""
    return Staged(folder, auto_class, document, code, prefix)


def _write_model(folder: Path, model: Any, max_shard_size: str | int) -> None:
    options: Dict[str, Any] = {}
    state = model.state_dict()
    if any("_orig_mod." in name for name in state):  # a compiled part of it
        options["state_dict"] = {key.replace("_orig_mod.", ""): v for key, v in state.items()}
    del state
    with _plainly_saved(model):
        model.save_pretrained(str(folder), max_shard_size=max_shard_size, **options)


def _write_plain(
    folder: Path,
    model: Any,
    code: CodeBundle,
    registration: Registration | None,
    given: Mapping[str, Any] | None,
    max_shard_size: str | int,
) -> CodeBundle:
    arguments = arguments_of(model, given)
    model_type = _model_type(model, registration)
    code, places = with_wrapper(code, model, model_type, arguments)
    write_weights(model, folder, max_shard_size)
    document = {
        **arguments,
        "model_type": model_type,
        "architectures": [f"{type(model).__name__}Model"],
        "auto_map": places,
        "tie_word_embeddings": bool(tied(model)),
    }
    (folder / "config.json").write_text(_json(document), encoding="utf-8")
    return code


def _model_type(model: Any, registration: Registration | None) -> str:
    if registration is not None:
        return registration.model_type
    stated = getattr(getattr(model, "config", None), "model_type", None)
    return str(stated or model_type_of(type(model)))


def custom_classes(
    model: Any, registration: Registration | None, companions: Mapping[str, Any]
) -> Tuple[Any, ...]:
    """Return the classes of a model that are not a library's own."""
    found = [type(model), *(type(each) for each in companions.values())]
    if not is_plain(type(model)):
        found.insert(0, type(model.config))
    if registration is not None:
        found += registration.classes
    return tuple(dict.fromkeys(cls for cls in found if not _is_library(cls)))


def _is_library(cls: Any) -> bool:
    return cls.__module__.partition(".")[0] in ("transformers", "tokenizers", "peft")


@contextlib.contextmanager
def _plainly_saved(*objects: Any) -> Iterator[None]:
    """Keep save_pretrained from copying code: it misses files, and fails on subpackages."""
    hidden: List[Any] = []
    parts = [part for each in objects for part in (each, getattr(each, "config", None))]
    for cls in dict.fromkeys(type(part) for part in parts if part is not None):
        if getattr(cls, "_auto_class", None) is not None:
            hidden.append((cls, vars(cls).get("_auto_class")))
            cls._auto_class = None
    try:
        yield
    finally:
        for cls, before in hidden:
            if before is None:
                del cls._auto_class  # it is a parent's
            else:
                cls._auto_class = before


def _map_models(
    folder: Path, model: Any, auto_class: str, registration: Registration | None, code: CodeBundle
) -> None:
    """Say in the configurations which class is where; whatever they said before goes."""
    models = {auto_class: type(model)} if registration is None else dict(registration.models)
    mapped = {"AutoConfig": type(model.config), **models}
    places = {name: code.places[cls] for name, cls in mapped.items() if cls in code.places}
    _edit(folder / "config.json", places)


def _map_companion(folder: Path, companion: Any, code: CodeBundle) -> None:
    place = code.places.get(type(companion))
    names = {"AutoTokenizer": "tokenizer_config.json", "AutoProcessor": "processor_config.json"}
    name = _auto_name(companion)
    if name == "AutoTokenizer":
        pair = [None, place] if is_fast(type(companion)) else [place, None]
        _edit(folder / names[name], {} if place is None else {name: pair})
        return
    for path in (folder / "processor_config.json", folder / "preprocessor_config.json"):
        if path.exists():
            _edit(path, {} if place is None else {name: place})


def _auto_name(companion: Any) -> str:
    names = {cls.__name__ for cls in type(companion).__mro__}
    if "PreTrainedTokenizerBase" in names:
        return "AutoTokenizer"
    return "AutoProcessor" if "ProcessorMixin" in names else "AutoImageProcessor"


def _edit(path: Path, places: Mapping[str, Any]) -> None:
    document: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    document.pop("auto_map", None)
    document.pop("_name_or_path", None)
    if places:
        document["auto_map"] = dict(places)
    path.write_text(_json(document), encoding="utf-8")


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
