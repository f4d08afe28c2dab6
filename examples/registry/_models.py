"""A small model, in a module of its own: what a training script would import."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput


class DigitsConfig(PretrainedConfig):  # type: ignore[misc]  # untyped before transformers 5
    """How large the model is, and how it is activated."""

    model_type = "example-digits"

    def __init__(self, hidden_size: int = 16, activation: str = "tanh", **kwargs: Any) -> None:
        self.hidden_size = hidden_size
        self.activation = activation
        if "id2label" not in kwargs:
            kwargs.setdefault("num_labels", 10)
        super().__init__(**kwargs)


class DigitsForImageClassification(PreTrainedModel):  # type: ignore[misc]  # as above
    """Tells digits apart, on images of 8 by 8."""

    config_class = DigitsConfig
    main_input_name = "pixel_values"

    def __init__(self, config: DigitsConfig) -> None:
        super().__init__(config)
        self.look = torch.nn.Linear(64, config.hidden_size)
        self.head = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        if isinstance(module, torch.nn.Linear):
            module.weight.data.normal_(std=0.1)

    def forward(self, pixel_values: torch.Tensor) -> ImageClassifierOutput:
        """Score ten digits."""
        activate = {"tanh": torch.tanh, "relu": torch.relu}[self.config.activation]
        return ImageClassifierOutput(logits=self.head(activate(self.look(pixel_values.flatten(1)))))
