from __future__ import annotations

import peft
import pytest
import torch

from hfl_core.errors import ConfigError
from hfl_registry import (
    MergeError,
    ModelValidationError,
    QuantizedMergeError,
    merge_adapters,
    plan_merge,
)
from hfl_registry._compat import dtype_argument
from hfl_registry._quantization import check_storable, dequantized, quantization_of

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


class FakeQuantized(torch.nn.Linear):
    """Weights of 16 levels, kept as full numbers: what a quantizer does, on any machine."""

    quant_method = "fake"

    @classmethod
    def of(cls, layer):
        made = cls(layer.in_features, layer.out_features, bias=layer.bias is not None)
        made.load_state_dict(layer.state_dict())
        with torch.no_grad():
            scale = made.weight.abs().max() / 8
            made.weight.copy_((made.weight / scale).round() * scale)
        return made

    def dequantize(self):
        return self.weight


def quantize(model):
    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear and "lm_head" not in name:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, FakeQuantized.of(module))
    return model


@pytest.fixture
def tuned(base, train):
    def make(config=None, quantized=False, **load):
        plain, _ = base("llama", **load)
        if quantized:
            quantize(plain)
        config = config or peft.LoraConfig(
            task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"]
        )
        model = peft.get_peft_model(plain, config)
        train(model)
        return model

    return make


@pytest.mark.parametrize(
    "config",
    [
        None,
        peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], use_dora=True),
        peft.LoHaConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]),
        peft.IA3Config(
            task_type="CAUSAL_LM", target_modules=["down_proj"], feedforward_modules=["down_proj"]
        ),
        peft.LoraConfig(
            task_type="CAUSAL_LM", target_modules=["q_proj"], modules_to_save=["lm_head"]
        ),
    ],
    ids=["lora", "dora", "loha", "ia3", "modules to save"],
)
def test_a_merged_model_computes_the_same_and_the_live_one_is_left_alone(config, tuned, outputs):
    model = tuned(config)
    expected = outputs(model)
    before = {key: each.clone() for key, each in model.state_dict().items()}
    merged = merge_adapters(model)
    assert type(merged.model) is type(model.get_base_model())
    assert merged.difference <= merged.tolerance
    assert torch.allclose(outputs(merged.model), expected, atol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(after[key], each) for key, each in before.items())
    assert not any("lora" in key for key in merged.model.state_dict())


def test_the_data_types_are_told_before_anything_is_done(tuned):
    model = tuned(**{dtype_argument(): torch.bfloat16})
    assert plan_merge(model).dtype_path == (
        "bfloat16 base and float32 adapter, added in float32, stored as bfloat16"
    )
    assert plan_merge(model, dtype="float32").stored_dtype == "float32"
    merged = merge_adapters(model, dtype="float32")
    assert next(merged.model.parameters()).dtype is torch.float32


def test_a_merge_that_changes_the_model_too_much_is_an_error_with_the_numbers(tuned):
    model = tuned(**{dtype_argument(): torch.bfloat16})
    with pytest.raises(MergeError, match="stored as bfloat16") as caught:
        merge_adapters(model, tolerance=1e-9)
    assert caught.value.difference > caught.value.tolerance == 1e-9


def test_adapters_are_not_merged_into_quantized_weights_unless_asked(tuned):
    model = tuned(quantized=True)
    with pytest.raises(QuantizedMergeError, match=r"LlamaForCausalLM.*\(fake\)") as caught:
        merge_adapters(model)
    assert "dequantize=True" in caught.value.hint


def test_adapters_are_merged_into_dequantized_weights_and_the_path_is_told(tuned, outputs):
    model = tuned(quantized=True)
    expected = outputs(model)
    merged = merge_adapters(model, dequantize=True)
    assert merged.plan.dtype_path.startswith("fake base dequantized to float32 and float32 adapter")
    assert quantization_of(merged.model) is None
    assert torch.allclose(outputs(merged.model), expected, atol=1e-4)
    assert quantization_of(model) is not None


def test_quantizing_again_would_have_erased_what_was_learned(tuned, outputs):
    """Why a merge into quantized weights is refused: a small step is less than one level."""
    model = tuned(quantized=True)
    for each in model.parameters():
        if each.requires_grad:
            each.data.mul_(0.05)
    merged = merge_adapters(model, dequantize=True)
    learned = (outputs(merged.model) - outputs(model.unload())).abs().max()
    assert learned > 0
    kept = quantize(merged.model)
    names = [name for name, each in kept.named_modules() if isinstance(each, FakeQuantized)]
    assert names
    with pytest.raises(ModelValidationError, match="does not say so"):
        check_storable(kept)


def test_a_method_without_a_way_back_is_named(tuned):
    model = tuned(quantized=True)
    layer = model.get_base_model().model.layers[0].mlp.up_proj
    layer.__class__ = type("Linear4bit", (torch.nn.Linear,), {"__module__": "hqq.core"})
    with pytest.raises(QuantizedMergeError, match=r"no way back"):
        merge_adapters(model, dequantize=True)


def test_a_declared_quantization_is_kept_as_it_is(small):
    model = small("llama")
    model.config.quantization_config = {"quant_method": "gptq", "bits": 4, "group_size": 32}
    found = check_storable(model)
    assert found.method == "gptq"
    assert found.config == {"quant_method": "gptq", "bits": 4, "group_size": 32}
    assert found.is_declared


def test_full_precision_needs_nothing(small):
    model = small("llama")
    assert quantization_of(model) is None
    assert check_storable(model) is None
    assert dequantized(model, torch.float32) is model


def test_prompts_have_nothing_to_merge(base):
    plain, _ = base("llama")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with pytest.raises(ModelValidationError, match="PROMPT_TUNING adds tokens and no weights"):
        merge_adapters(peft.get_peft_model(plain, config))


def test_unknown_adapters_and_data_types_are_named_with_those_that_exist(tuned):
    model = tuned()
    with pytest.raises(ConfigError, match=r"'french'.*The model has: default"):
        merge_adapters(model, adapters=["french"])
    with pytest.raises(ConfigError, match=r"'int8'.*bfloat16"):
        merge_adapters(model, dtype="int8")


def test_several_adapters_are_merged_together(tuned, train, outputs):
    model = tuned()
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])
    model.add_adapter("french", config)
    model.set_adapter("french")
    train(model)
    model.base_model.set_adapter(["default", "french"])
    expected = outputs(model)
    merged = merge_adapters(model)
    assert merged.plan.adapters == ("default", "french")
    assert torch.allclose(outputs(merged.model), expected, atol=1e-4)


def test_a_model_on_the_meta_device_is_refused_by_tensor(small):
    with torch.device("meta"):
        model = small("llama")
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])
    with pytest.raises(ModelValidationError, match=r"'base_model.model.*on the meta device"):
        merge_adapters(peft.get_peft_model(model, config))


def test_a_model_without_adapters_is_refused(small):
    with pytest.raises(ModelValidationError, match="it has no adapters"):
        merge_adapters(small("llama"))


def test_torchao_weights_go_back_to_full_precision(small, outputs):
    pytest.importorskip("torchao", reason="in the dependency group 'quantization'")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    model = small("llama")
    quantize_(model, Int8WeightOnlyConfig())
    found = quantization_of(model)
    assert found.method == "torchao"
    assert "lm_head" in found.modules
    expected = outputs(model)
    with pytest.raises(ModelValidationError, match="torchao"):
        check_storable(model)
    assert quantization_of(dequantized(model, torch.float32)) is None
    assert torch.allclose(outputs(model), expected, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="bitsandbytes' 4 bits need a GPU")
def test_bitsandbytes_weights_go_back_to_full_precision(base, outputs):
    pytest.importorskip("bitsandbytes")
    from transformers import BitsAndBytesConfig

    model, _ = base("llama", quantization_config=BitsAndBytesConfig(load_in_4bit=True))
    assert quantization_of(model).method == "bitsandbytes"
    assert quantization_of(dequantized(model, torch.float32)) is None
