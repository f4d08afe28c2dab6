"""The root of main: what people find, and what they wrote there."""

from __future__ import annotations

import json
import sys

import pytest
import torch
import transformers

from hfl_checkpoint import CheckpointManager, CheckpointNotFoundError
from hfl_checkpoint._remote._loading import loading_lines
from hfl_checkpoint.errors import CheckpointError
from hfl_repo import RefExistsError


def tiny(seed: int) -> transformers.BertModel:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        vocab_size=20,
        max_position_embeddings=8,
    )
    return transformers.BertModel(config)


@pytest.fixture
def trained(run_path, name):
    """A run of two steps with a model of transformers, published and closed."""
    models = {}
    metadata = {
        "hyperparameters": {"lr": 0.001, "batch_size": 8},
        "base_model": "google/bert_uncased",
        "base_model_revision": "abc123",
    }
    with CheckpointManager(run_path, hub=name, hub_wait=60, metadata=metadata) as manager:
        for step in (1, 2):
            models[step] = tiny(step)
            manager.save(step, epoch=step, metrics={"loss": 1 / step}, model=models[step])
    return models


@pytest.fixture
def manager(run_path, name):
    with CheckpointManager(run_path, hub=name, hub_wait=0) as opened:
        yield opened


def same(model, other) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_from_pretrained_finds_the_promoted_model(hub, trained, manager, repo, name) -> None:
    hub.requests.clear()
    report = manager.promote(2, tag="v1.0")
    assert hub.requests.count("PUT") == 0
    assert report.bytes_copied > 0
    folder = repo.download(["*.safetensors", "*.json"], "v1.0")
    assert same(transformers.BertModel.from_pretrained(folder), trained[2])
    assert report.tag == "v1.0"
    assert {ref.name: ref.commit for ref in repo.list_tags()} == {"v1.0": report.commit}
    assert sorted(repo.tree().files) == [
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_the_card_tells_where_the_model_comes_from(trained, manager, repo) -> None:
    manager.promote(2)
    card = repo.card()
    said = card.metadata["hfl_checkpoint"]
    assert (said["name"], said["step"], said["epoch"]) == ("step-00000002", 2, 2)
    assert said["metrics"] == {"loss": 0.5}
    assert said["hyperparameters"] == {"lr": 0.001, "batch_size": 8}
    assert said["base_model_revision"] == "abc123"
    assert card.metadata["base_model"] == "google/bert_uncased"
    assert card.metadata["library_name"] == "transformers"
    for text in ("step 2", "| loss | 0.5 |", "| lr | 0.001 |", "from_pretrained"):
        assert text in card.body


def test_the_card_names_the_class_that_brings_the_head(run_path, name, repo) -> None:
    config = tiny(0).config
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        manager.save(1, model=transformers.BertForSequenceClassification(config))
        manager.promote(1)
    assert "import AutoModelForSequenceClassification\n" in repo.card().body
    assert f'AutoModelForSequenceClassification.from_pretrained("{name}")' in repo.card().body


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["BertModel"]}, "AutoModel"),
        ({"architectures": ["GPT2LMHeadModel"]}, "AutoModelForCausalLM"),
        ({"architectures": ["LlamaForCausalLM"]}, "AutoModelForCausalLM"),
        ({"architectures": ["XLMWithLMHeadModel"]}, "XLMWithLMHeadModel"),
        ({"architectures": ["GPT2DoubleHeadsModel"]}, "GPT2DoubleHeadsModel"),
        ({"architectures": ["ViTForImageClassification"]}, "AutoModelForImageClassification"),
        (
            {"architectures": ["WhisperForConditionalGeneration"]},
            "WhisperForConditionalGeneration",
        ),
        ({"architectures": ['"); import os #']}, "AutoModel"),
        ({"architectures": None}, "AutoModel"),
        ({}, "AutoModel"),
    ],
)
def test_the_class_to_load_follows_from_the_one_that_was_saved(config, expected) -> None:
    lines = loading_lines("ann/run", config)
    assert lines[0] == f"from transformers import {expected}"
    assert lines[-1] == f'model = {expected}.from_pretrained("ann/run")'


def test_a_model_with_code_of_its_own_is_loaded_with_that() -> None:
    config = {
        "architectures": ["OurNet"],
        "auto_map": {"AutoConfig": "ours.OurConfig", "AutoModelForCausalLM": "ours.OurNet"},
    }
    assert loading_lines("ann/run", config)[-1] == (
        'model = AutoModelForCausalLM.from_pretrained("ann/run", trust_remote_code=True)'
    )


def test_what_people_wrote_stays_and_the_old_model_goes(trained, manager, repo) -> None:
    manager.promote(1)
    repo.update_card({"license": "mit"})
    text = repo.read("README.md").replace(b"# ", b"# Our beloved ", 1)
    old = {"README.md": text, "model-00001-of-00002.safetensors": bytes(9), "notes.md": b"Hello"}
    repo.commit(old, message="By hand", allow=["*:damaged"])
    report = manager.promote(2)
    assert report.removed == ("model-00001-of-00002.safetensors",)
    card = repo.card()
    assert card.metadata["license"] == "mit"
    assert "Our beloved" in card.body
    assert card.metadata["hfl_checkpoint"]["step"] == 2
    assert repo.read("notes.md") == b"Hello"


def test_promoting_the_same_again_changes_nothing(trained, manager, repo) -> None:
    first = manager.promote(2, tag="v1")
    again = manager.promote(2, tag="v1")
    assert again.commit == first.commit


def test_a_tag_that_marks_something_else_is_refused_first(trained, manager, repo) -> None:
    manager.promote(1, tag="v1")
    manager.promote(2)
    before = repo.tree()
    with pytest.raises(RefExistsError):
        manager.promote(1, tag="v1")
    assert repo.tree() == before


def test_one_that_is_only_on_the_hub_is_promoted_from_there(
    hub, trained, tmp_path, name, repo
) -> None:
    with CheckpointManager(tmp_path / "empty", hub=name, hub_wait=0) as manager:
        report = manager.promote("best:loss")
    assert report.checkpoint == "step-00000002"
    assert not (tmp_path / "empty").exists()
    folder = repo.download()
    assert same(transformers.BertModel.from_pretrained(folder), trained[2])


def test_one_that_was_never_published_is_sent(run_path, name, repo) -> None:
    model = tiny(3)
    with CheckpointManager(run_path, background=False) as plain:
        plain.save(1, model=model)
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        assert manager.promote().bytes_sent > 0
    assert same(transformers.BertModel.from_pretrained(repo.download()), model)


def test_one_of_several_models_goes_to_the_root(run_path, name, repo) -> None:
    policy, value = tiny(4), tiny(5)
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, policy=policy, value=value)
        with pytest.raises(ValueError, match="policy, value"):
            manager.promote()
        manager.promote(component="value")
    assert same(transformers.BertModel.from_pretrained(repo.download()), value)


def test_without_a_model_there_is_nothing_to_promote(run_path, name, repo) -> None:
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, counters={"seen": 1})
        with pytest.raises(ValueError, match="no model"):
            manager.promote()
        with pytest.raises(CheckpointNotFoundError):
            manager.promote(99)
    assert "config.json" not in repo.tree().files


def test_a_dry_run_says_what_it_would_do(trained, manager, repo) -> None:
    before = repo.tree()
    report = manager.promote(2, tag="v1", dry_run=True)
    assert (report.is_dry_run, report.files) == (True, ("config.json", "model.safetensors"))
    assert repo.tree() == before
    assert repo.list_tags() == ()


def test_an_adapter_names_its_base(run_path, name, repo, tmp_path) -> None:
    from hfl_checkpoint._manifest import read_manifest
    from hfl_checkpoint._remote._card import card_of
    from hfl_checkpoint._remote._promote import Bundle

    with CheckpointManager(run_path, background=False) as plain:
        path = plain.save(1, model=torch.nn.Linear(1, 1)).path
    adapter = {"base_model_name_or_path": "meta/base", "revision": "f00"}
    bundle = Bundle(path.name, read_manifest(path), {})
    card = card_of(repo, bundle, ["adapter_model.safetensors"], {"adapter_config.json": adapter})
    assert card.metadata["base_model"] == "meta/base"
    assert card.metadata["library_name"] == "peft"
    assert card.metadata["hfl_checkpoint"]["base_model_revision"] == "f00"
    assert json.dumps(card.metadata)
    local = {"base_model_name_or_path": "/scratch/base"}
    card = card_of(repo, bundle, [], {"adapter_config.json": local})
    assert "base_model" not in card.metadata


@pytest.mark.skipif(sys.version_info < (3, 9), reason="blosc2 has no wheel for it")
def test_a_compressed_model_is_refused_and_the_one_on_main_stays(
    trained, run_path, name, repo
) -> None:
    with CheckpointManager(run_path, hub=name, hub_wait=60, compression="small") as manager:
        manager.promote(2)
        before = repo.tree().commit
        manager.resume(model=tiny(0))
        manager.save(3, model=tiny(3))
        with pytest.raises(
            CheckpointError, match="is compressed, and from_pretrained cannot load it"
        ):
            manager.promote(3)
    assert repo.tree().commit == before


# peft asks transformers for an attribute that the newest one deprecates.
@pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning", "ignore::UserWarning:peft.*"
)
def test_an_adapter_is_promoted_as_peft_reads_it(run_path, name, repo) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["query"], init_lora_weights=False)
    model = peft.get_peft_model(tiny(1), config)
    with CheckpointManager(run_path, hub=name, hub_wait=60) as manager:
        manager.save(1, model=model)
        report = manager.promote(1)
    assert report.files == ("adapter_config.json", "adapter_model.safetensors")
    loaded = peft.PeftModel.from_pretrained(tiny(1), repo.download(None, "main"))
    assert same(model, loaded)
