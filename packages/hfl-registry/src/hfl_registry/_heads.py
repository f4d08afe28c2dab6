"""Which of transformers' Auto classes loads a model: its head, as its name and its parents tell."""

from __future__ import annotations

from typing import Any, Dict, List

from hfl_core.errors import ConfigError

__all__ = ["BASE", "auto_class_named", "head_of"]

BASE = "AutoModel"

# Names that do not say it the way the Auto classes do.
_OTHER_NAMES = {
    "LMHeadModel": "AutoModelForCausalLM",
    "DoubleHeadsModel": "AutoModel",
    "ForConditionalGeneration": "AutoModelForSeq2SeqLM",
    "ForSequenceClassification": "AutoModelForSequenceClassification",
}


def head_of(model_class: type) -> str:
    """Name the Auto class that loads a model.

    A class says it with its name (``…ForCausalLM``, ``…ForImageClassification``, ``…LMHeadModel``); where
    that is silent, the nearest parent's name counts, so that a ``class Tuned(GPT2LMHeadModel)`` is loaded as
    what it is.

    Args:
        model_class: The model's class.

    Returns:
        ``"AutoModelForCausalLM"``, for example; ``"AutoModel"`` for a model without a head.
    """
    known = _by_suffix()
    for cls in model_class.__mro__:
        if cls.__name__ == "PreTrainedModel":
            break
        for suffix in sorted(known, key=len, reverse=True):
            if cls.__name__.endswith(suffix):
                return known[suffix]
    return BASE


def auto_class_named(name: str) -> Any:
    """Find one of transformers' Auto classes.

    Args:
        name: ``"AutoModelForCausalLM"``.

    Raises:
        ConfigError: There is none of that name.
    """
    import transformers

    if name not in _names():
        raise ConfigError(
            f"transformers has no Auto class {name!r}.",
            hint="Pass auto_class='AutoModelForCausalLM', for example; 'AutoModel' has no head.",
        )
    return getattr(transformers, name)


def _names() -> List[str]:
    from transformers.models.auto import modeling_auto

    return sorted(
        name for name in vars(modeling_auto) if name == BASE or name.startswith("AutoModelFor")
    )


def _by_suffix() -> Dict[str, str]:
    found = {name[len("AutoModel") :]: name for name in _names() if name != BASE}
    return {**found, **{k: v for k, v in _OTHER_NAMES.items() if v in (*found.values(), BASE)}}
