"""What a card can say: read from the configuration, the model and the run's record, never guessed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, List, Mapping, Tuple

from hfl_core.errors import IntegrityError, ValidationError
from hfl_registry._quantization import quantization_of

__all__ = [
    "Rows",
    "datasets_of",
    "environment_of",
    "metrics_of_checkpoint",
    "model_rows",
    "pipeline_of",
    "training_of",
]

Rows = List[Tuple[str, str]]

_DATASET = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)
# How the end of an architecture's name says what it is for.
_PIPELINES = {
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForMultipleChoice": "multiple-choice",
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "image-segmentation",
    "ForAudioClassification": "audio-classification",
    "ForCTC": "automatic-speech-recognition",
    "ForSpeechSeq2Seq": "automatic-speech-recognition",
}


def pipeline_of(config: Mapping[str, Any]) -> str | None:
    """Say what a model is for, as the Hub calls it; None where its architecture does not tell."""
    for architecture in config.get("architectures") or ():
        for suffix, pipeline in _PIPELINES.items():
            if str(architecture).endswith(suffix):
                return pipeline
    return None


def model_rows(config: Mapping[str, Any], model: Any) -> Rows:
    """Describe a model in rows: its architecture and the size of it."""
    rows: Rows = []
    names = config.get("architectures") or ()
    if names:
        rows.append(("architecture", f"`{names[0]}`"))
    if config.get("model_type"):
        rows.append(("model type", f"`{config['model_type']}`"))
    if model is None:
        return rows
    total, trainable, dtypes = _counted(model)
    rows.append(("parameters", f"{total:,}"))
    if hasattr(model, "peft_config"):
        kinds = sorted(
            {
                str(getattr(each.peft_type, "value", each.peft_type))
                for each in model.peft_config.values()
            }
        )
        rows.append(("adapter", f"{', '.join(kinds)}, {trainable:,} trainable parameters"))
    if dtypes:
        rows.append(("data type", ", ".join(dtypes)))
    quantization = quantization_of(model)
    if quantization is not None:
        bits = (quantization.config or {}).get("bits")
        rows.append(("quantization", quantization.method + (f", {bits} bits" if bits else "")))
    return rows


def training_of(metadata: Any) -> tuple[Rows, Rows]:
    """What a run's record says about training: facts, and hyperparameters."""
    if metadata is None:
        return [], []
    rows: Rows = []
    data = metadata.data
    if isinstance(data, dict) and data.get("name"):
        at = f" at `{data['revision']}`" if data.get("revision") else ""
        rows.append(("data", f"{data['name']}{at}"))
        steps = data.get("preprocessing") or ()
        if steps:
            rows.append(("preprocessing", "; ".join(map(_short, steps))))
    elif isinstance(data, str):
        rows.append(("data", data))
    seeds = {name: value for name, value in metadata.seeds.items() if value is not None}
    if seeds:
        rows.append(
            ("seeds", ", ".join(f"{name} {_short(value)}" for name, value in seeds.items()))
        )
    if metadata.git.commit:
        dirty = ", with local changes" if metadata.git.dirty else ""
        rows.append(("code", f"commit `{metadata.git.commit[:12]}`{dirty}"))
    found = sorted(_flat(metadata.hyperparameters).items())
    return rows, [(f"`{name}`", _short(value)) for name, value in found]


def environment_of(metadata: Any, emissions: Any = None) -> Rows:
    """On what a model was trained and for how long, as far as that was recorded."""
    rows: Rows = []
    if metadata is not None:
        gpus: dict[str, int] = {}
        for gpu in metadata.gpus:
            gpus[gpu.name] = gpus.get(gpu.name, 0) + 1
        if gpus:
            rows.append(("GPU", ", ".join(f"{count} x {name}" for name, count in gpus.items())))
        elif metadata.cpu.model:
            rows.append(("CPU", metadata.cpu.model))
        if metadata.durations is not None:
            rows.append(("training time", _hours(metadata.durations.training)))
            rows.append(("time in all", _hours(metadata.durations.wall)))
        wanted = ("torch", "transformers", "peft", "datasets")
        said = [f"{name} {metadata.packages[name]}" for name in wanted if name in metadata.packages]
        if said:
            rows.append(("libraries", ", ".join([f"Python {metadata.python.version}", *said])))
    grams = emissions.get("emissions") if isinstance(emissions, Mapping) else emissions
    if isinstance(grams, (int, float)):
        source = emissions.get("source") if isinstance(emissions, Mapping) else None
        rows.append(("CO₂ equivalent", f"{grams:g} g" + (f" ({source})" if source else "")))
    return rows


def datasets_of(metadata: Any) -> list[str]:
    """Name the datasets of a run that are repositories."""
    data = getattr(metadata, "data", None)
    name = data.get("name") if isinstance(data, dict) else data
    is_repo = isinstance(name, str) and _DATASET.fullmatch(name) and not Path(name).exists()
    return [str(name)] if is_repo else []


def metrics_of_checkpoint(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read the metrics of a checkpoint's manifest; none where there is no manifest.

    Raises:
        IntegrityError: The manifest is damaged.
        ValidationError: It is something else.
    """
    manifest = Path(path) / "manifest.json"
    if not manifest.is_file():
        return {}
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"'{manifest.parent.name}/manifest.json' is damaged.") from error
    metrics = found.get("metrics") if isinstance(found, dict) else None
    if not isinstance(metrics, dict):
        raise ValidationError(
            f"'{manifest.parent.name}/manifest.json' is no checkpoint's manifest."
        )
    numbers = {
        str(name): value for name, value in metrics.items() if isinstance(value, (int, float))
    }
    return {name: float(value) for name, value in numbers.items() if not isinstance(value, bool)}


def _counted(model: Any) -> tuple[int, int, list[str]]:
    total = trainable = 0
    dtypes: dict[str, int] = {}
    for parameter in model.parameters():
        count = int(parameter.numel())
        total += count
        trainable += count if parameter.requires_grad else 0
        name = str(parameter.dtype).replace("torch.", "")
        dtypes[name] = dtypes.get(name, 0) + count
    return total, trainable, sorted(dtypes, key=lambda name: -dtypes[name])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= 120 else f"{text[:117]}…"


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
