from __future__ import annotations

import itertools
import os
import sys

import pytest

from hfl_localhub import LocalHub
from hfl_repo import RepoManager

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def token(hub):
    return hub.create_user("ann")


@pytest.fixture(autouse=True)
def _clean(hub, token, monkeypatch, tmp_path):
    """No setting, token or file of the person who runs the tests."""
    for name in ("HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in hub.settings(token).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def repos(hub):
    return lambda name: RepoManager(name, endpoint=hub.endpoint)


@pytest.fixture
def new_repo(repos):
    """Upload a folder to a repository that nobody has used; return its name and commit."""

    def make(folder=None, **create):
        repo = repos(f"ann/model{next(_NUMBERS)}")
        repo.create(**create)
        commit = repo.info().sha if folder is None else repo.upload(folder).commit
        return repo.repo_id, commit

    return make


def _small(kind, seed=0):
    import torch
    import transformers

    torch.manual_seed(seed)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"intermediate_size": 32, "max_position_embeddings": 64}
    if kind == "llama":
        config = transformers.LlamaConfig(**sizes, **more)
        return transformers.LlamaForCausalLM(config)
    if kind == "bert":
        return transformers.BertModel(transformers.BertConfig(**sizes, **more))
    if kind == "classifier":
        config = transformers.BertConfig(**sizes, **more, num_labels=3)
        return transformers.BertForSequenceClassification(config)
    if kind == "t5":
        config = transformers.T5Config(
            vocab_size=50,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
        )
        return transformers.T5ForConditionalGeneration(config)
    if kind == "vit":
        config = transformers.ViTConfig(
            image_size=8,
            patch_size=4,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            num_labels=3,
        )
        return transformers.ViTForImageClassification(config)
    raise AssertionError(kind)


@pytest.fixture
def small():
    """Make a small model with random weights: ``"llama"``, ``"bert"``, ``"t5"``, …"""
    return _small


@pytest.fixture
def base(tmp_path, small):
    """Save a small model as a base, and load it as somebody does who is going to train adapters."""

    def make(kind="llama", name="base", **load):
        folder = tmp_path / name
        small(kind).save_pretrained(folder)
        model = type(small(kind)).from_pretrained(str(folder), **load)
        return model, folder

    return make


@pytest.fixture
def outputs():
    """What a model computes for the same input every time."""

    def compute(model, rows=50):
        import torch

        ids = torch.arange(8).reshape(2, 4) % rows
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        kind = inner.config.model_type
        given = {"input_ids": ids}
        if kind == "t5":
            given["decoder_input_ids"] = ids
        if kind == "vit":
            given = {"pixel_values": torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)}
        model.eval()
        with torch.no_grad():
            found = model(**given)
        return found.logits if hasattr(found, "logits") else found.last_hidden_state

    return compute


@pytest.fixture
def train():
    """Take optimizer steps; return the losses."""

    def run(model, steps=2, optimizer=None, rows=50):
        import torch

        optimizer = optimizer or torch.optim.AdamW(
            [each for each in model.parameters() if each.requires_grad], lr=0.05
        )
        model.eval()  # dropout would make losses differ
        losses = []
        ids = torch.arange(8).reshape(2, 4) % rows
        inner = model.get_base_model()
        for _ in range(steps):
            given = {"input_ids": ids}
            if inner.config.model_type == "t5":
                given["labels"] = ids
            if inner.config.model_type == "vit":
                given = {"pixel_values": torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)}
            found = model(**given)
            value = found.logits if hasattr(found, "logits") else found.last_hidden_state
            loss = (value.float() - 0.5).pow(2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses

    return run


@pytest.fixture
def run_clean(hub, token):
    """Run Python code in a process of its own, as somebody else would; return what it prints."""
    import subprocess

    def run(code, *arguments, offline=False):
        environment = hub.environment(token)
        environment["PYTHONWARNINGS"] = "error::UserWarning"
        if offline:
            environment["HF_HUB_OFFLINE"] = "1"
        done = subprocess.run(
            [sys.executable, "-c", code, *map(os.fspath, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
