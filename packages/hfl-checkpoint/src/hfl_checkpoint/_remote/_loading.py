"""The lines with which a promoted model is loaded: of the class that was saved, head included."""

from __future__ import annotations

import re
from typing import Any, List, Mapping

# The end of a class's name says which Auto class loads it. Where it does not (a
# ForConditionalGeneration may write texts or read pictures), the class itself is named.
_AUTO_CLASSES = {
    name: f"AutoModel{name}"
    for name in (
        *("ForCausalLM", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"),
        *("ForQuestionAnswering", "ForMultipleChoice", "ForNextSentencePrediction"),
        *("ForImageClassification", "ForSemanticSegmentation", "ForObjectDetection"),
        *("ForDepthEstimation", "ForMaskedImageModeling", "ForVideoClassification"),
        *("ForAudioClassification", "ForCTC", "ForSpeechSeq2Seq"),
    )
}
_HEAD = re.compile(r"For[A-Z]\w*$|(?<!With)LMHeadModel$")
_NAME = re.compile(r"[A-Za-z_]\w*")


def loading_lines(repo_id: str, config: Mapping[str, Any]) -> List[str]:
    """Say how the model is loaded.

    Args:
        repo_id: The repository.
        config: The model's ``config.json``.

    Returns:
        Lines of Python.
    """
    saved = config.get("architectures")
    saved = saved[0] if isinstance(saved, list) and saved else None
    known = config.get("auto_map")
    code = ""
    name = _class_for(saved)
    if isinstance(known, dict):  # its code lies beside the weights
        auto = [key for key, value in known.items() if str(value).rpartition(".")[2] == saved]
        name = auto[0] if auto and _NAME.fullmatch(auto[0]) else "AutoModel"
        code = ", trust_remote_code=True"
    return [
        f"from transformers import {name}",
        "",
        f'model = {name}.from_pretrained("{repo_id}"{code})',
    ]


def _class_for(saved: Any) -> str:
    if not (isinstance(saved, str) and _NAME.fullmatch(saved)):
        return "AutoModel"
    head = _HEAD.search(saved)
    if head is None:
        return "AutoModel" if saved.endswith("Model") and "Head" not in saved else saved
    if head.group() == "LMHeadModel":
        return "AutoModelForCausalLM"
    return _AUTO_CLASSES.get(head.group(), saved)
