"""Every kind of adapter that both versions of peft know comes back as it was."""

from __future__ import annotations

import json
from importlib import import_module

import peft
import pytest
import torch

from hfl_registry import AdapterMismatchError
from hfl_registry._adapters._load import load_adapters
from hfl_registry._adapters._pin import pin_base
from hfl_registry._adapters._write import write_adapters

# peft asks the newest transformers about gradient checkpointing by a name of the past.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.filterwarnings("ignore:Unsupported layer type"),  # of norms, which it then takes
]
_LINEAR = ["q_proj", "v_proj"]
KINDS = {
    "lora": lambda: peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=_LINEAR),
    "dora": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=_LINEAR, use_dora=True
    ),
    "rslora": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=_LINEAR, use_rslora=True
    ),
    "lora with bias": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=_LINEAR, bias="lora_only"
    ),
    "lora with embeddings": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "embed_tokens"]
    ),
    "lora with a pattern": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=r".*\.(q|v)_proj", rank_pattern={"q_proj": 2}
    ),
    "lora with modules to save": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=_LINEAR, modules_to_save=["lm_head"]
    ),
    "loha": lambda: peft.LoHaConfig(task_type="CAUSAL_LM", r=4, target_modules=_LINEAR),
    "lokr": lambda: peft.LoKrConfig(task_type="CAUSAL_LM", r=4, target_modules=_LINEAR),
    "adalora": lambda: peft.AdaLoraConfig(
        task_type="CAUSAL_LM", target_modules=_LINEAR, total_step=100
    ),
    "ia3": lambda: peft.IA3Config(
        task_type="CAUSAL_LM",
        target_modules=["k_proj", "down_proj"],
        feedforward_modules=["down_proj"],
    ),
    "vera": lambda: peft.VeraConfig(task_type="CAUSAL_LM", r=4, target_modules=_LINEAR),
    "prefix": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "prompt": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "p-tuning": lambda: peft.PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8
    ),
    "layer norm": lambda: peft.LNTuningConfig(
        task_type="CAUSAL_LM", target_modules=["input_layernorm"]
    ),
}


def there_and_back(model, folder, tmp_path, repos, base_vocabulary=50, **load):
    out = tmp_path / "published"
    out.mkdir()
    pin = pin_base(model, repos=repos, by_digest=True)
    record = write_adapters(model, out, pin=pin, base_vocabulary=base_vocabulary)
    return record, load_adapters(out, repos=repos, base=str(folder), **load), out


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_adapter_comes_back_with_equal_tensors_outputs_and_next_loss(
    kind, base, train, outputs, tmp_path, repos
):
    plain, folder = base("llama")
    before = outputs(plain)
    torch.manual_seed(1)
    model = peft.get_peft_model(plain, KINDS[kind]())
    train(model)
    expected = outputs(model)
    assert not torch.equal(before, expected)
    can_go_on = kind != "p-tuning"  # its encoder is not published: what it computes is
    record, loaded, out = there_and_back(model, folder, tmp_path, repos, is_trainable=can_go_on)
    assert torch.equal(outputs(load_adapters(out, repos=repos, base=str(folder))), expected)

    live = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    back = peft.get_peft_model_state_dict(loaded, save_embedding_layers=False)
    assert live.keys() == back.keys()
    assert all(torch.equal(live[key], back[key]) for key in live)
    assert torch.equal(outputs(loaded), expected)
    assert record.adapters["default"].tensors == len(live)
    trainable = {key for key, each in model.named_parameters() if each.requires_grad}
    if can_go_on:
        assert {key for key, each in loaded.named_parameters() if each.requires_grad} == trainable
        assert train(loaded) == train(model)


def test_nothing_of_this_machine_is_written(base, tmp_path, repos):
    plain, folder = base("llama")
    model = peft.get_peft_model(plain, KINDS["lora"]())
    _, _, out = there_and_back(model, folder, tmp_path, repos)
    assert sorted(path.name for path in out.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "hfl_adapter.json",
    ]
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"


@pytest.mark.parametrize(
    ("kind", "targets"),
    [("bert", ["query"]), ("classifier", ["query"]), ("t5", ["q", "v"]), ("vit", ["query"])],
)
def test_encoders_encoder_decoders_and_vision_models_come_back(
    kind, targets, base, train, outputs, tmp_path, repos
):
    task = {"classifier": "SEQ_CLS", "t5": "SEQ_2_SEQ_LM"}.get(kind)
    plain, folder = base(kind)
    if kind == "vit":
        names = {name.rpartition(".")[2] for name, _ in plain.named_modules()}
        targets = targets if "query" in names else ["q_proj"]
    model = peft.get_peft_model(plain, peft.LoraConfig(task_type=task, target_modules=targets))
    train(model)
    expected = outputs(model)
    rows = None if kind == "vit" else 50
    _, loaded, _ = there_and_back(model, folder, tmp_path, repos, base_vocabulary=rows)
    assert torch.equal(outputs(loaded), expected)
    assert type(loaded) is type(model)


@pytest.mark.parametrize("saved", ["bfloat16", "float32"])
def test_a_base_in_16_bits_comes_back_in_16_bits(saved, base, train, outputs, tmp_path, repos):
    argument = import_module("hfl_registry._compat").dtype_argument()
    plain, folder = base("llama", **{argument: torch.bfloat16})
    model = peft.get_peft_model(plain, KINDS["lora"](), autocast_adapter_dtype=saved == "float32")
    train(model)
    expected = outputs(model)
    record, loaded, _ = there_and_back(model, folder, tmp_path, repos)
    assert record.base_dtype == "bfloat16"
    assert record.adapters["default"].dtypes == (saved,)
    assert torch.equal(outputs(loaded), expected)


def test_several_adapters_come_back_each_and_active_ones_are_active(
    base, train, outputs, tmp_path, repos
):
    plain, folder = base("llama")
    model = peft.get_peft_model(plain, KINDS["lora"]())
    train(model)
    model.add_adapter("french", KINDS["rslora"]())
    model.set_adapter("french")
    train(model, steps=3)
    french = outputs(model)
    model.set_adapter("default")
    default = outputs(model)
    assert not torch.equal(french, default)
    model.set_adapter("french")
    record, loaded, out = there_and_back(model, folder, tmp_path, repos)
    assert {name: each.folder for name, each in record.adapters.items()} == {
        "default": "",
        "french": "french",
    }
    assert torch.equal(outputs(loaded), french)
    loaded.set_adapter("default")
    assert torch.equal(outputs(loaded), default)
    one = load_adapters(out, repos=repos, base=str(folder), adapters=["french"])
    assert list(one.peft_config) == ["french"]
    assert torch.equal(outputs(one), french)


def test_an_only_adapter_of_another_name_is_at_the_root_for_everybody(
    base, train, outputs, tmp_path, repos
):
    plain, folder = base("llama")
    model = peft.get_peft_model(plain, KINDS["lora"](), adapter_name="french")
    train(model)
    record, loaded, out = there_and_back(model, folder, tmp_path, repos)
    assert record.adapters["french"].folder == ""
    assert torch.equal(outputs(loaded), outputs(model))
    # The ordinary way, without this library.
    fresh, _ = base("llama", name="again")
    assert torch.equal(outputs(peft.PeftModel.from_pretrained(fresh, str(out))), outputs(model))


def test_a_prompt_whose_encoder_is_not_published_is_not_trained_further(base, tmp_path, repos):
    plain, folder = base("llama")
    model = peft.get_peft_model(plain, KINDS["p-tuning"]())
    with pytest.raises(AdapterMismatchError, match="P_TUNING publishes what its encoder computes"):
        there_and_back(model, folder, tmp_path, repos, is_trainable=True)
