from __future__ import annotations

import copy
import json

import peft
import pytest
import torch

from hfl_core.errors import ConfigError
from hfl_registry import (
    AdapterMismatchError,
    ModelRegistry,
    ModelValidationError,
    StageNotFoundError,
    UnpinnedBaseError,
)
from hfl_repo import RepoNotFoundError, RevisionNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
LORA = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture
def registry(hub):
    return ModelRegistry(endpoint=hub.endpoint)


@pytest.fixture
def hub_base(small, new_repo, tmp_path):
    """A base that is a repository, as somebody has it who loaded it from there."""

    def make(kind="llama", **create):
        folder = tmp_path / "original"
        model = small(kind)
        model.save_pretrained(folder)
        repo_id, commit = new_repo(folder, **create)
        loaded = type(model).from_pretrained(str(folder))
        # What transformers notes of a model that it has fetched.
        loaded.config._name_or_path, loaded.config._commit_hash = repo_id, commit
        loaded.name_or_path = repo_id
        return loaded, repo_id, commit

    return make


@pytest.fixture
def fresh():
    import itertools

    numbers = itertools.count()
    return lambda: f"ann/adapter{next(numbers)}-{id(numbers)}"


def test_published_adapters_are_loaded_with_one_call_in_a_clean_process(
    registry, hub_base, train, outputs, fresh, run_clean, tmp_path
):
    from safetensors.torch import load_file

    plain, base_id, commit = hub_base(license="mit")
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name = fresh()
    done = registry.publish(model, name, tag="v1")
    assert done.validation.ok
    assert {check.name for check in done.validation.checks} == {"adapters", "outputs"}
    run_clean(
        """
import sys, torch
from hfl_registry import ModelRegistry
from safetensors.torch import save_file
model = ModelRegistry().load(sys.argv[1], revision="v1")
with torch.no_grad():
    save_file({"out": model(input_ids=torch.arange(8).reshape(2, 4) % 50).logits}, sys.argv[2])
""",
        name,
        tmp_path / "out.safetensors",
    )
    assert torch.equal(load_file(tmp_path / "out.safetensors")["out"], outputs(model))
    config = json.loads(registry._repo(name).read("adapter_config.json"))
    assert (config["base_model_name_or_path"], config["revision"]) == (base_id, commit)
    card = registry._repo(name).card().metadata
    assert card["base_model"] == base_id
    assert card["base_model_relation"] == "adapter"
    assert card["license"] == "mit"


def test_peft_alone_loads_them_on_the_pinned_commit(
    registry, hub_base, train, fresh, run_clean, small, repos, tmp_path
):
    plain, base_id, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name = fresh()
    registry.publish(model, name)
    # The base moves on; whoever loads the adapters still gets the one that they were trained on.
    small("llama", seed=9).save_pretrained(tmp_path / "other")
    repos(base_id).upload(tmp_path / "other")
    code = """
import sys, warnings
warnings.simplefilter("ignore")
from peft import AutoPeftModelForCausalLM
import torch
model = AutoPeftModelForCausalLM.from_pretrained(sys.argv[1])
print(float(model(input_ids=torch.arange(8).reshape(2, 4) % 50).logits.abs().sum()))
"""
    model.eval()
    expected = model(input_ids=torch.arange(8).reshape(2, 4) % 50).logits.abs().sum().item()
    assert float(run_clean(code, name).split()[-1]) == pytest.approx(expected, rel=1e-6)
    assert torch.equal(
        registry.load(name)(input_ids=torch.arange(8).reshape(2, 4)).logits,
        model(input_ids=torch.arange(8).reshape(2, 4)).logits,
    )
    moved = registry.load(name, base_revision="main")
    assert not torch.equal(
        moved(input_ids=torch.arange(8).reshape(2, 4)).logits,
        model(input_ids=torch.arange(8).reshape(2, 4)).logits,
    )


@pytest.mark.parametrize("how", ["frozen", "modules to save", "lora on embeddings"])
def test_added_tokens_come_back_with_one_call(how, registry, hub_base, train, outputs, fresh):
    plain, _, _ = hub_base()
    plain.resize_token_embeddings(60, mean_resizing=False)
    more = {
        "frozen": {},
        "modules to save": {"modules_to_save": ["embed_tokens", "lm_head"]},
        "lora on embeddings": {"target_modules": ["q_proj", "embed_tokens"]},
    }[how]
    model = peft.get_peft_model(plain, peft.LoraConfig(**{**LORA, **more}))
    train(model, rows=60)
    name = fresh()
    registry.publish(model, name)
    record = json.loads(registry._repo(name).read("hfl_adapter.json"))
    assert (record["base_vocabulary"], record["vocabulary"]) == (50, 60)
    loaded = registry.load(name)
    assert loaded.get_base_model().config.vocab_size == 60
    assert torch.equal(outputs(loaded, rows=60), outputs(model, rows=60))


def test_training_goes_on_with_equal_losses(registry, hub_base, train, fresh):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    train(model, optimizer=optimizer)
    name = fresh()
    registry.publish(model, name)
    loaded = registry.load(name, is_trainable=True)
    again = torch.optim.AdamW([p for p in loaded.parameters() if p.requires_grad], lr=0.05)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert train(loaded, steps=3, optimizer=again) == train(model, steps=3, optimizer=optimizer)


def test_merged_adapters_are_an_ordinary_model_with_its_origin_on_the_card(
    registry, hub_base, train, outputs, fresh
):
    plain, base_id, _ = hub_base(license="mit")
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name = fresh()
    registry.publish_merged(model, name, validate=False)
    card = registry._repo(name).card()
    assert card.metadata["base_model"] == base_id
    assert card.metadata["base_model_relation"] == "finetune"
    assert card.metadata["license"] == "mit"
    assert "added in float32, stored as float32" in card.body
    loaded = registry.load(name)
    assert type(loaded).__name__ == "LlamaForCausalLM"
    assert torch.allclose(outputs(loaded), outputs(model), atol=1e-5)


def test_a_stage_is_loaded_by_its_name(registry, hub_base, train, outputs, fresh):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name = fresh()
    first = registry.publish(model, name, validate=False)
    expected = outputs(model)
    with pytest.raises(StageNotFoundError):
        registry.load(name, stage="production")
    registry.stage(name, "production", revision=first.commit)
    train(model)
    registry.publish(model, name, validate=False)
    assert torch.equal(outputs(registry.load(name, stage="production")), expected)
    assert torch.equal(outputs(registry.load(name)), outputs(model))
    (stage,) = registry.stages(name)
    assert (stage.name, stage.commit) == ("production", first.commit)
    assert registry.clear_stage(name, "production").commit is None
    with pytest.raises(ConfigError, match="one of the two"):
        registry.load(name, stage="production", revision="main")


def test_a_base_on_this_machine_is_refused_by_its_name_and_never_by_its_path(
    registry, base, fresh, tmp_path
):
    plain, _ = base("llama", name="my-base")
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name = fresh()
    with pytest.raises(UnpinnedBaseError, match="'my-base'.*a folder on this machine") as caught:
        registry.publish(model, name)
    assert str(tmp_path) not in str(caught.value)
    assert not registry._repo(name).exists()


def test_a_base_pinned_by_its_content_is_passed_by_whoever_loads(
    registry, base, train, outputs, fresh, small, tmp_path
):
    plain, folder = base("llama", name="my-base")
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name = fresh()
    registry.publish_adapters(model, name, base_by_digest=True)
    with pytest.raises(UnpinnedBaseError, match="pinned by its content, sha256:"):
        registry.load(name)
    assert torch.equal(outputs(registry.load(name, base=folder)), outputs(model))
    small("llama", seed=5).save_pretrained(tmp_path / "other")
    with pytest.raises(AdapterMismatchError, match="its content is sha256:"):
        registry.load(name, base=tmp_path / "other")


def test_a_base_on_this_machine_can_be_published_along(
    registry, base, train, outputs, fresh, repos
):
    plain, _ = base("llama", name="my-base")
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    name, base_name = fresh(), fresh()
    registry.publish_adapters(model, name, publish_base=base_name)
    config = json.loads(registry._repo(name).read("adapter_config.json"))
    assert config["base_model_name_or_path"] == base_name
    assert config["revision"] == repos(base_name).info().sha
    assert torch.equal(outputs(registry.load(name)), outputs(model))


def test_an_unknown_base_or_revision_is_named_and_nothing_is_created(registry, hub_base, fresh):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name = fresh()
    with pytest.raises(RevisionNotFoundError, match="v9"):
        registry.publish_adapters(model, name, base_revision="v9")
    with pytest.raises(RepoNotFoundError, match="ann/nothing"):
        registry.publish_adapters(model, name, base="ann/nothing", base_revision="main")
    plain.config._commit_hash = None
    with pytest.raises(UnpinnedBaseError, match="the commit that it was loaded from is not known"):
        registry.publish(model, name)
    assert not registry._repo(name).exists()


def test_a_revision_that_is_not_the_one_that_was_trained_on_is_refused(
    registry, hub_base, fresh, repos
):
    plain, base_id, commit = hub_base()
    other = repos(base_id).commit({"notes.txt": b"later"}, message="Later").commit
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    with pytest.raises(UnpinnedBaseError, match=f"{commit[:12]}, and 'main' is at {other[:12]}"):
        registry.publish_adapters(model, fresh(), base_revision="main")


def test_adapters_of_another_architecture_are_named_with_what_does_not_fit(
    registry, hub_base, fresh, small
):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name = fresh()
    registry.publish(model, name, validate=False)
    with pytest.raises(AdapterMismatchError, match="'default' does not fit BertModel") as caught:
        registry.load(name, base=small("bert"))
    assert caught.value.adapter == "default"


def test_adapters_with_other_shapes_are_named_by_tensor(registry, hub_base, fresh):
    import transformers

    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name = fresh()
    registry.publish(model, name, validate=False)
    wide = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with pytest.raises(AdapterMismatchError, match=r"q_proj\.lora_A"):
        registry.load(name, base=transformers.LlamaForCausalLM(wide))
    deep = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with pytest.raises(AdapterMismatchError, match=r"found no place there.*layers\.1"):
        registry.load(name, base=transformers.LlamaForCausalLM(deep))


def test_a_base_with_another_vocabulary_is_named(registry, hub_base, fresh):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name = fresh()
    registry.publish(model, name, validate=False)
    other, _, _ = hub_base()
    other.resize_token_embeddings(55, mean_resizing=False)
    with pytest.raises(AdapterMismatchError, match="55 rows, and 50 were there before"):
        registry.load(name, base=other)


def test_a_tokenizer_with_more_tokens_than_rows_is_named_by_tensor(registry, hub_base, fresh):
    class Tokens(list):
        pass

    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    with pytest.raises(
        ModelValidationError, match=r"'model.embed_tokens.weight' has 50 rows.*knows 60 tokens"
    ):
        registry.publish(model, fresh(), tokenizer=Tokens(range(60)))


def test_adapters_that_peft_wrote_itself_are_loaded_too(
    hub_base, train, outputs, registry, tmp_path
):
    plain, base_id, commit = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    train(model)
    model.save_pretrained(str(tmp_path / "plain"), save_embedding_layers=False)
    path = tmp_path / "plain" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "revision": commit}))
    loaded = registry.load(str(tmp_path / "plain"), base=base_id)
    assert torch.equal(outputs(loaded), outputs(model))


def test_a_next_publication_takes_the_place_of_the_one_before(registry, hub_base, train, fresh):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    model.add_adapter("french", peft.LoraConfig(**LORA))
    name = fresh()
    registry.publish(model, name, validate=False)
    assert "french/adapter_model.safetensors" in registry._repo(name).tree().files
    done = registry.publish_adapters(model, name, adapters=["default"], validate=False)
    assert "french/adapter_model.safetensors" in done.removed
    assert list(registry.load(name).peft_config) == ["default"]


def test_a_dry_run_sends_nothing(registry, hub_base, new_repo, repos):
    plain, _, _ = hub_base()
    model = peft.get_peft_model(plain, peft.LoraConfig(**LORA))
    name, commit = new_repo()
    assert registry.publish(model, name, dry_run=True).is_dry_run
    assert repos(name).info().sha == commit
