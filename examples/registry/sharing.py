"""Share a model with its code; somebody else loads it in a process that has nothing of yours.

python examples/registry/sharing.py
"""

from __future__ import annotations

import subprocess
import sys

import torch
from _hub import signed_in
from _models import DigitsConfig, DigitsForImageClassification

from hfl_core import ConfigError
from hfl_registry import ModelRegistry

STRANGER = """
import torch
from transformers import AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained(
    "ann/digits", revision="v1", trust_remote_code=True
)
print("somebody else has a", type(model).__name__)
print(round(model(torch.ones(1, 8, 8)).logits.sum().item(), 4))
"""

with signed_in():
    registry = ModelRegistry()
    registry.register(DigitsForImageClassification, DigitsConfig)
    model = DigitsForImageClassification(DigitsConfig()).eval()
    registry.publish(model, "ann/digits", license="mit", tag="v1", validate=False)

    # -I: neither this folder nor PYTHONPATH is on the path of that process.
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER], stdout=subprocess.PIPE, text=True, check=True
    )
    print(done.stdout.strip())
    ours = round(model(torch.ones(1, 8, 8)).logits.sum().item(), 4)
    assert done.stdout.split()[-1] == str(ours)

    # Where the classes are not registered, code of the repository would run: that has to be allowed.
    registry.unregister("example-digits")
    try:
        registry.load("ann/digits")
    except ConfigError as error:
        print(error.message)
    found = registry.show("ann/digits")
    print(f"{found.architecture}: {found.size} bytes of weights, code in {', '.join(found.code)}")
