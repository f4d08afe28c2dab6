"""transformers' own tables: what a registration writes there, and how it is taken out again."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from hfl_registry._heads import auto_class_named
from hfl_registry._registrations import Registration

__all__ = ["builtin_config", "register_autos", "unregister_autos"]


def builtin_config(model_type: str) -> Any:
    """Return the configuration class that transformers itself has under a name, or None."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import configuration_auto

    if model_type not in vars(configuration_auto)["CONFIG_MAPPING_NAMES"]:
        return None
    return CONFIG_MAPPING[model_type]


def register_autos(registration: Registration) -> None:
    """Let transformers' Auto classes find the classes of a registration in this process.

    A configuration of transformers' own keeps transformers' own models: what is loaded with it elsewhere in
    the process must not change. There, the published files say which class is meant.
    """
    config = registration.config_class
    if config is None or is_builtin(config):
        return
    from transformers import AutoConfig

    AutoConfig.register(registration.model_type, config, exist_ok=True)
    for name, model in registration.models.items():
        auto_class_named(name).register(config, model, exist_ok=True)
    for auto, arguments in _companions(registration):
        auto.register(config, exist_ok=True, **arguments)


def unregister_autos(registration: Registration) -> None:
    """Take the classes of a registration out of transformers' tables."""
    config = registration.config_class
    if config is None or is_builtin(config):
        return
    for table in _tables(registration):
        content: Dict[Any, Any] = table._extra_content  # there is no other way to take one out
        for key in (config, registration.model_type):
            content.pop(key, None)


def is_builtin(cls: Any) -> bool:
    """Say whether a class is transformers' own."""
    return str(getattr(cls, "__module__", "")).partition(".")[0] == "transformers"


def _companions(registration: Registration) -> List[Tuple[Any, Dict[str, Any]]]:
    import transformers

    found: List[Tuple[Any, Dict[str, Any]]] = []
    tokenizer = registration.tokenizer_class
    if tokenizer is not None:
        kind = "fast" if is_fast(tokenizer) else "slow"
        found.append((transformers.AutoTokenizer, {f"{kind}_tokenizer_class": tokenizer}))
    if registration.processor_class is not None:
        arguments = {"processor_class": registration.processor_class}
        found.append((transformers.AutoProcessor, arguments))
    if registration.image_processor_class is not None:
        arguments = {"slow_image_processor_class": registration.image_processor_class}
        found.append((transformers.AutoImageProcessor, arguments))
    return found


def is_fast(tokenizer_class: Any) -> bool:
    """Say whether a tokenizer stands on the tokenizers library."""
    return any(cls.__name__ == "PreTrainedTokenizerFast" for cls in tokenizer_class.__mro__)


def _tables(registration: Registration) -> List[Any]:
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

    heads = [auto_class_named(name)._model_mapping for name in registration.models]
    return [CONFIG_MAPPING, TOKENIZER_MAPPING, PROCESSOR_MAPPING, IMAGE_PROCESSOR_MAPPING, *heads]
