"""Write a model's adapters into a folder that stands alone."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from hfl_core import digest_file
from hfl_core.errors import ConfigError
from hfl_registry._adapters._inspect import base_class_of, dtype_of, require_adapters, rows_of
from hfl_registry._adapters._record import AdapterEntry, AdapterRecord, BasePin
from hfl_registry.errors import ModelValidationError

__all__ = ["CONFIG", "WEIGHTS", "write_adapters"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# peft writes the part of a wrapper that is the base's under these names, which no adapter has.
_NOT_ADAPTER = (".original_module.", ".modules_to_save.")


def write_adapters(
    model: Any,
    folder: Path,
    *,
    pin: BasePin,
    base_vocabulary: int | None,
    tokenizer: Any = None,
    adapters: Sequence[str] | None = None,
) -> AdapterRecord:
    """Write adapters, with the base as everybody can find it and what was done to it.

    Args:
        model: The ``PeftModel``, maybe compiled or wrapped for distributed training.
        folder: An empty folder.
        pin: The base.
        base_vocabulary: Rows of the input embedding that the pinned base has, if it has any.
        tokenizer: The tokenizer that is published along, if any.
        adapters: Which adapters; all if None. The one called ``"default"``, or the only one, goes
            to the root, others into folders of their names.

    Returns:
        What was written about it.

    Raises:
        ConfigError: There is no adapter of such a name.
        ModelValidationError: A tensor has no data, or the tokenizer knows more tokens than the
            embedding has rows.
    """
    live = require_adapters(model)
    base = live.get_base_model()
    names = _chosen(live, adapters)
    rows = rows_of(base)
    _check_tokenizer(base, rows, tokenizer)
    is_resized = rows is not None and base_vocabulary is not None and rows != base_vocabulary
    root = "default" if "default" in names else names[0] if len(names) == 1 else None
    entries = {}
    for name in names:
        place = folder if name == root else folder / name
        live.save_pretrained(
            str(folder),
            selected_adapters=[name],
            # Asked to decide itself, peft compares with the Hub's newest base, and not when offline.
            save_embedding_layers=is_resized,
        )
        written = folder if name == "default" else folder / name
        if written != place:
            _lift(written, place)
        _settle_weights(place / WEIGHTS, _embeddings(live) if is_resized else {})
        _pin_config(place / CONFIG, pin)
        entries[name] = _entry(live, name, place, folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's, which names the base by its path
    record = AdapterRecord(
        base=pin,
        base_class=base_class_of(base),
        base_dtype=dtype_of(base),
        base_vocabulary=base_vocabulary,
        vocabulary=rows,
        adapters=entries,
        active=tuple(name for name in live.active_adapters if name in entries),
        libraries=_libraries(),
    )
    record.write(folder)
    return record


def _chosen(live: Any, adapters: Sequence[str] | None) -> list[str]:
    known = list(live.peft_config)
    chosen = known if adapters is None else list(adapters)
    missing = [name for name in chosen if name not in known]
    if missing or not chosen:
        raise ConfigError(
            f"There is no adapter {', '.join(map(repr, missing)) or 'to publish'}.",
            hint=f"The model has: {', '.join(known)}.",
        )
    return chosen


def _check_tokenizer(base: Any, rows: int | None, tokenizer: Any) -> None:
    if tokenizer is None or rows is None or len(tokenizer) <= rows:
        return
    embedding = base.get_input_embeddings()
    name = next((key for key, module in base.named_modules() if module is embedding), "embedding")
    raise ModelValidationError(
        type(base).__name__,
        [f"'{name}.weight' has {rows} rows and the tokenizer knows {len(tokenizer)} tokens"],
    )


def _lift(source: Path, place: Path) -> None:
    """Move the files of the only adapter to the root."""
    for path in list(source.iterdir()):
        path.rename(place / path.name)
    source.rmdir()


def _embeddings(live: Any) -> dict[str, Any]:
    """The base's weights of the input and the output embedding, where nothing else saves them.

    peft leaves out one of the two when adapters are on the other.
    """
    base = live.get_base_model()
    layers = [base.get_input_embeddings(), base.get_output_embeddings()]
    found = {}
    for name, module in live.named_modules():
        if not any(module is layer for layer in layers) or hasattr(module, "modules_to_save"):
            continue
        inner = ".base_layer" if hasattr(module, "base_layer") else ""
        for key, tensor in getattr(module, "base_layer", module).named_parameters(recurse=False):
            found[f"{name}{inner}.{key}"] = tensor.detach()
    return found


def _settle_weights(path: Path, embeddings: Mapping[str, Any]) -> None:
    """Take out what is not the adapter's, and put in what the base was given and peft forgot."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(str(path), framework="pt") as file:
        keys = list(file.keys())
        kept = [key for key in keys if not any(part in key for part in _NOT_ADAPTER)]
        more = {key: tensor for key, tensor in embeddings.items() if key not in kept}
        if len(kept) == len(keys) and not more:
            return
        tensors = {key: file.get_tensor(key) for key in kept}
    # Tied embeddings are one tensor under two names, which the format has no way to say.
    tensors.update({key: tensor.cpu().contiguous().clone() for key, tensor in more.items()})
    save_file(tensors, str(path), metadata={"format": "pt"})


def _pin_config(path: Path, pin: BasePin) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = pin.name
    config["revision"] = pin.commit
    text = json.dumps(config, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _entry(live: Any, name: str, place: Path, folder: Path) -> AdapterEntry:
    from safetensors import safe_open

    with safe_open(str(place / WEIGHTS), framework="pt") as file:
        keys = list(file.keys())
        shapes = {key: file.get_slice(key).get_shape() for key in keys}
        dtypes = {str(file.get_tensor(key).dtype).replace("torch.", "") for key in keys}
    kind = live.peft_config[name].peft_type
    if not keys:
        raise ModelValidationError(
            f"adapter {name!r}", [f"its {WEIGHTS} holds no tensor; was it merged already"]
        )
    _check_shapes(name, shapes)
    return AdapterEntry(
        folder="" if place == folder else name,
        kind=str(getattr(kind, "value", kind)),
        tensors=len(keys),
        digest=f"sha256:{digest_file(place / WEIGHTS, 'sha256')}",
        dtypes=tuple(sorted(dtypes)),
    )


def _check_shapes(name: str, shapes: dict[str, Any]) -> None:
    # A gathered ZeRO-3 or FSDP model leaves tensors of no elements on ranks that hold no part.
    empty = [key for key, shape in shapes.items() if 0 in shape]
    if empty:
        raise ModelValidationError(
            f"adapter {name!r}", [f"{', '.join(map(repr, empty[:5]))} has no elements"]
        )


def _libraries() -> dict[str, str]:
    import peft
    import torch
    import transformers

    modules: Iterable[Any] = (peft, torch, transformers)
    versions = {module.__name__: str(module.__version__) for module in modules}
    return {"python": platform.python_version(), **versions}
