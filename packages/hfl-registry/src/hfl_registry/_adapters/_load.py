"""Bring a model with its adapters back: the pinned base, its tokens, the adapters, all compared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from hfl_core.errors import ConfigError, NotFoundError, ValidationError
from hfl_registry import _compat
from hfl_registry._adapters._inspect import peft, rows_of
from hfl_registry._adapters._mismatch import mismatches_named
from hfl_registry._adapters._pin import digest_of_model
from hfl_registry._adapters._prompts import PROMPT_KINDS, trainable_prompt
from hfl_registry._adapters._record import RECORD, AdapterEntry, AdapterRecord, BasePin
from hfl_registry._adapters._write import CONFIG, WEIGHTS
from hfl_registry.errors import AdapterMismatchError, UnpinnedBaseError

if TYPE_CHECKING:
    from hfl_repo import RepoManager

__all__ = [
    "attach_adapters",
    "base_folder",
    "holds_adapters",
    "load_adapters",
    "load_base",
    "load_published",
]

_OF_ADAPTERS = ("base", "base_revision", "adapters", "is_trainable")


def holds_adapters(folder: Path) -> bool:
    """Whether a folder holds adapters rather than a whole model."""
    if (folder / "config.json").is_file():
        return False
    return (folder / CONFIG).is_file() or (folder / RECORD).is_file()


def load_published(
    folder: Path,
    repos: Callable[[str], RepoManager],
    options: Mapping[str, Any],
    *,
    trust_remote_code: bool,
) -> Any:
    """Load adapters with options of two kinds: for them, and for their base's ``from_pretrained``."""
    given = {name: options[name] for name in _OF_ADAPTERS if name in options}
    rest = {name: value for name, value in options.items() if name not in _OF_ADAPTERS}
    return load_adapters(
        folder, repos=repos, trust_remote_code=trust_remote_code, base_options=rest, **given
    )


def load_adapters(
    folder: Path,
    *,
    repos: Callable[[str], RepoManager],
    base: Any = None,
    base_revision: str | None = None,
    adapters: Sequence[str] | None = None,
    is_trainable: bool = False,
    trust_remote_code: bool = False,
    base_options: Mapping[str, Any] | None = None,
) -> Any:
    """Load what `write_adapters` wrote, or adapters that peft wrote itself.

    Args:
        folder: The folder.
        repos: Makes a manager for a repository.
        base: Another place of the base: a repository, a folder, or a live model, which is changed.
        base_revision: Another revision of the base than the pinned one.
        adapters: Which adapters; all if None.
        is_trainable: Whether to go on training them.
        trust_remote_code: Whether code of the base's repository may run.
        base_options: More arguments for the base's ``from_pretrained``.

    Returns:
        The ``PeftModel``, for evaluation unless it is to be trained.

    Raises:
        UnpinnedBaseError: The adapters do not say where their base is.
        AdapterMismatchError: They do not fit the base.
        ConfigError: There is no adapter of such a name.
    """
    record = AdapterRecord.read(folder) or _foreign_record(folder)
    options = dict(base_options or {})
    if base is None or isinstance(base, (str, os.PathLike)):
        place = base_folder(record, repos, base=base, base_revision=base_revision)
        if trust_remote_code:
            options["trust_remote_code"] = True
        base = load_base(place, record.base_class, record.base_dtype, options)
    return attach_adapters(base, folder, record, adapters=adapters, is_trainable=is_trainable)


def base_folder(
    record: AdapterRecord,
    repos: Callable[[str], RepoManager],
    *,
    base: str | os.PathLike[str] | None = None,
    base_revision: str | None = None,
) -> Path:
    """Find the base's folder, and fetch it where it is a repository.

    Raises:
        UnpinnedBaseError: It is pinned by its content, and no folder was given.
        AdapterMismatchError: The content of the folder that was given is another.
        RepoNotFoundError: There is no such repository.
        RevisionNotFoundError: It has no such revision.
    """
    pin = record.base
    if base is not None and Path(base).is_dir():
        _check_digest(pin, Path(base))
        return Path(base)
    name = pin.name if base is None else os.fspath(base)
    if base is None and not pin.is_on_hub:
        reason = (
            f"it is pinned by its content, {pin.digest}"
            if pin.digest
            else "its commit is not known"
        )
        raise UnpinnedBaseError(
            pin.name, reason=reason, hint="Pass it yourself: load(…, base=the folder with it)"
        )
    if base is not None and "/" not in name:
        raise NotFoundError(f"There is no folder {name!r} with a base model.")
    revision = base_revision or (pin.commit if name == pin.name else None)
    return repos(name).download(revision=revision)


def load_base(folder: Path, base_class: str, dtype: str, options: Mapping[str, Any]) -> Any:
    """Load a base model as the class that it had, in the data type that it had.

    Raises:
        AdapterMismatchError: Its class is not known here.
    """
    cls = _class_for(folder, base_class)
    given = dict(options)
    is_quantized = "quantization_config" in (_json(folder / "config.json") or {})
    if "dtype" not in given and "torch_dtype" not in given and not is_quantized and dtype:
        import torch

        # Left out, it is what the file holds since transformers 5, and float32 before.
        given[_compat.dtype_argument()] = getattr(torch, dtype)
    return cls.from_pretrained(str(folder), **given)


def attach_adapters(
    base: Any,
    folder: Path,
    record: AdapterRecord,
    *,
    adapters: Sequence[str] | None = None,
    is_trainable: bool = False,
) -> Any:
    """Put adapters onto a live base model, and make sure that every tensor arrived.

    Raises:
        AdapterMismatchError: They do not fit the base.
        ConfigError: There is no adapter of such a name.
    """
    names = _chosen(record, adapters)
    _resize(base, record)
    model: Any = None
    for name in names:
        entry = record.adapters[name]
        place = folder / entry.folder
        arguments = {
            "adapter_name": name,
            "is_trainable": is_trainable,
            # Cast to 32 bits, adapters of 16 bits would compute something else than they did.
            "autocast_adapter_dtype": not entry.is_half,
        }
        with mismatches_named(name, base):
            if is_trainable and entry.kind in PROMPT_KINDS:
                model = trainable_prompt(model or base, place, name)
            elif model is None:
                model = peft().PeftModel.from_pretrained(base, str(place), **arguments)
            else:
                model.load_adapter(str(place), **arguments)
        _check_arrived(model, name, place, record)
    active = [name for name in record.active if name in names] or names[:1]
    _activate(model, active)
    if not is_trainable:
        model.eval()
    return model


def _activate(model: Any, active: list[str]) -> None:
    if len(active) == 1:
        model.set_adapter(active[0])
    else:  # several at once are a matter of the tuner, and of no wrapper around it
        model.base_model.set_adapter(active)


def _resize(base: Any, record: AdapterRecord) -> None:
    rows = rows_of(base)
    if rows is None or record.vocabulary is None or rows == record.vocabulary:
        return
    if record.base_vocabulary is not None and rows != record.base_vocabulary:
        raise AdapterMismatchError(
            ", ".join(record.adapters),
            type(base).__name__,
            problems=[
                f"its input embedding has {rows} rows, and {record.base_vocabulary} were there before"
            ],
        )
    if record.is_resized:
        _compat.resize_vocabulary(base, record.vocabulary)


def _check_arrived(model: Any, name: str, place: Path, record: AdapterRecord) -> None:
    """Compare every tensor of the file with the live one: peft skips those it cannot place."""
    import torch
    from safetensors import safe_open

    live = {
        **(model.state_dict() if record.is_resized else {}),
        **peft().get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False),
    }
    weights = place / WEIGHTS
    with safe_open(str(weights), framework="pt") as file:
        keys = list(file.keys())
        lost = [key for key in keys if key not in live]
        other = [
            key
            for key in keys
            if key in live
            and not torch.equal(file.get_tensor(key).to(live[key].dtype), live[key].detach().cpu())
        ]
    if lost or other:
        shown = ", ".join(map(repr, (lost + other)[:5]))
        count = len(lost) + len(other)
        raise AdapterMismatchError(
            name,
            type(model.get_base_model()).__name__,
            problems=[f"{count} of {len(keys)} tensors found no place there, such as {shown}"],
        )


def _chosen(record: AdapterRecord, adapters: Sequence[str] | None) -> list[str]:
    names = list(record.adapters) if adapters is None else list(adapters)
    missing = [name for name in names if name not in record.adapters]
    if missing or not names:
        raise ConfigError(
            f"There is no adapter {', '.join(map(repr, missing)) or 'to load'}.",
            hint=f"These are there: {', '.join(record.adapters)}.",
        )
    return names


def _check_digest(pin: BasePin, folder: Path) -> None:
    if pin.digest is None:
        return
    found = digest_of_model(folder)
    if found != pin.digest:
        raise AdapterMismatchError(
            "default",
            folder.name,
            problems=[f"its content is {found}, and the adapters belong on {pin.digest}"],
        )


def _class_for(folder: Path, base_class: str) -> Any:
    import transformers

    module, _, name = base_class.partition(":")
    if module.partition(".")[0] == "transformers" and hasattr(transformers, name):
        return getattr(transformers, name)
    config = _json(folder / "config.json") or {}
    for auto, target in (config.get("auto_map") or {}).items():
        if auto.startswith("AutoModel") and str(target).rpartition(".")[2] == name:
            return getattr(transformers, auto)
    for architecture in config.get("architectures") or ():
        if not base_class and hasattr(transformers, architecture):
            return getattr(transformers, architecture)
    raise AdapterMismatchError(
        "default",
        name or "the base",
        problems=[f"the class {name or 'of the base'} is not in transformers or in its auto_map"],
        hint="Load the base yourself and pass it: load(…, base=model)",
    )


def _foreign_record(folder: Path) -> AdapterRecord:
    """What peft's own files say, for adapters that nobody here has written."""
    config = _json(folder / CONFIG)
    if config is None:
        raise ValidationError(f"There is no {CONFIG}, so there are no adapters to load.")
    mapping = config.get("auto_mapping") or {}
    name = str(config.get("base_model_name_or_path") or "")
    entry = AdapterEntry("", str(config.get("peft_type")), 0, "")
    revision = config.get("revision")
    return AdapterRecord(
        base=BasePin(name, commit=str(revision) if revision else None),
        base_class=(
            f"{mapping['parent_library']}:{mapping['base_model_class']}" if mapping else ""
        ),
        base_dtype="",
        base_vocabulary=None,
        vocabulary=None,
        adapters={"default": entry},
        active=("default",),
        libraries={},
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
