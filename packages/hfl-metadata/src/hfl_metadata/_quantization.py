"""Whether and how a model is quantized."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict

from hfl_metadata._plain import Plain, type_name

# The packages whose modules and tensors are quantized ones.
_MAKERS = (
    *(
        "bitsandbytes.",
        "torch.ao.nn.quantized",
        "torch.ao.nn.qat",
        "torch.nn.quantized",
        "torchao.",
    ),
    *("auto_gptq.", "gptqmodel.", "awq.", "hqq.", "quanto.", "optimum.quanto.", "aqlm.", "eetq."),
    *(
        "compressed_tensors.",
        "transformers.integrations.bitnet",
        "transformers.integrations.fbgemm",
    ),
)


def describe_quantization(model: Any, plain: Plain) -> Dict[str, Any] | None:
    """Say how a model is quantized.

    Args:
        model: A model.
        plain: Converts the settings.

    Returns:
        ``config``, where the model's configuration has a part about it, and ``modules`` and
        ``tensors``, quantized ones by class; or None.
    """
    found: Dict[str, Any] = {}
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is not None:
        to_dict = getattr(config, "to_dict", None)
        settings = plain.convert(
            to_dict() if callable(to_dict) else config, "model.quantization.config"
        )
        found["config"] = settings
        if isinstance(settings, dict) and settings.get("quant_method"):
            found["method"] = settings["quant_method"]
    if callable(getattr(model, "modules", None)):
        names = Counter(name for name in map(type_name, model.modules()) if _is_quantized(name))
        if names:
            found["modules"] = dict(sorted(names.items()))
    tensors = Counter(name for name in map(type_name, _tensors(model)) if _is_quantized(name))
    if tensors:
        found["tensors"] = dict(sorted(tensors.items()))
    return found or None


def _tensors(model: Any) -> Any:
    for parameter in model.parameters():
        yield parameter
        data = getattr(parameter, "data", None)  # torchao's are inside of ordinary parameters
        if data is not None and type(data) is not type(parameter):
            yield data


def _is_quantized(name: str) -> bool:
    return name.startswith(_MAKERS)
