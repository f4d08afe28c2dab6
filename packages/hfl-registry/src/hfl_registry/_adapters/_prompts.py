"""Prompts that go on being trained; peft itself loads prompts for evaluation only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfl_registry._adapters._inspect import has_adapters, peft
from hfl_registry.errors import AdapterMismatchError

__all__ = ["PROMPT_KINDS", "trainable_prompt"]

PROMPT_KINDS = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING")


def trainable_prompt(model: Any, folder: Path, name: str) -> Any:
    """Load a prompt so that it can be trained further.

    Args:
        model: The base, or a model with other prompts.
        folder: Where the prompt was written.
        name: What to call it.

    Returns:
        The ``PeftModel``.

    Raises:
        AdapterMismatchError: Its tensors come out of a network that is not published, so that there
            is nothing to train.
    """
    from safetensors.torch import load_file

    library = peft()
    config = library.PeftConfig.from_pretrained(str(folder))
    if config.peft_type.value == "P_TUNING" or getattr(config, "prefix_projection", False):
        raise AdapterMismatchError(
            name,
            type(model).__name__,
            problems=[
                f"{config.peft_type.value} publishes what its encoder computes, not the encoder"
            ],
            hint="Go on from the checkpoint of the training run, or load it for evaluation.",
        )
    config.inference_mode = False
    # peft warns about a base of another name, and the one that was found may be in the cache.
    config.base_model_name_or_path = getattr(model, "name_or_path", None)
    if getattr(config, "prompt_tuning_init", None) is not None:
        # What a text would be turned into is overwritten, and its tokenizer need not be here.
        config.prompt_tuning_init = "RANDOM"
    if has_adapters(model):
        model.add_adapter(name, config)
    else:
        model = library.get_peft_model(model, config, adapter_name=name)
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    library.set_peft_model_state_dict(model, tensors, adapter_name=name)
    return model
