"""Configurations of one's own: what they may hold, and what is refused before anything is sent.

python examples/registry/custom_configuration.py
"""

from __future__ import annotations

import torch
from _hub import signed_in
from _models import DigitsConfig, DigitsForImageClassification

from hfl_registry import ModelRegistry, ModelValidationError

with signed_in():
    registry = ModelRegistry()
    registry.register(DigitsForImageClassification, DigitsConfig)

    # A function in a configuration does not survive in JSON. It is refused, with the line that made it.
    model = DigitsForImageClassification(DigitsConfig())
    model.config.scale = lambda value: value * 2
    try:
        registry.publish(model, "ann/digits")
    except ModelValidationError as error:
        print(f"refused: {error.problems[0]}")

    # Its name does.
    config = DigitsConfig(hidden_size=4, activation="relu", id2label={0: "zero", 1: "one"})
    model = DigitsForImageClassification(config)
    registry.publish(model, "ann/digits", inputs={"pixel_values": torch.rand(2, 8, 8)})
    loaded = registry.load("ann/digits").config
    print(f"{loaded.activation}, {loaded.hidden_size} wide, labels {loaded.id2label}")
    assert (loaded.activation, loaded.hidden_size) == ("relu", 4)
