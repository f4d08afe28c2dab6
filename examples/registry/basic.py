"""Register a model, validate it, publish it, and load it back.

python examples/registry/basic.py
"""

from __future__ import annotations

import torch
from _hub import signed_in
from _models import DigitsConfig, DigitsForImageClassification

from hfl_registry import ModelRegistry

images = torch.rand(4, 8, 8)
with signed_in():
    registry = ModelRegistry()
    found = registry.register(DigitsForImageClassification, DigitsConfig)
    print(f"{found.model_type} is loaded by {', '.join(found.models)}")

    model = DigitsForImageClassification(DigitsConfig()).eval()
    done = registry.publish(
        model, "ann/digits", license="mit", tag="v1", inputs={"pixel_values": images}
    )
    assert done.validation is not None
    for check in done.validation.checks:
        print(f"  {check.name}: {check.status}")
    print(f"published {len(done.files)} files as {done.repo_id} {done.tag}")

    again = registry.load("ann/digits", revision="v1")
    assert torch.equal(again(images).logits, model(images).logits)
    print("loaded again, it computes the same")
