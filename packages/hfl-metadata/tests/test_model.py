"""What a record says about a model: wrapped, frozen, tied, quantized, unusual."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hfl_metadata import ModuleInfo, capture


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)


class Network(nn.Module):
    def __init__(self, depth: int = 12) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.layers = nn.ModuleList([Block() for _ in range(depth)])
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight


def test_the_table_holds_like_modules_together():
    model = Network()
    table = capture(model).model.modules
    assert table == [
        ModuleInfo("embed", "Embedding", 1, 40, 40, "float32"),
        ModuleInfo("layers.{0-11}.query", "Linear", 12, 240, 240, "float32"),
        ModuleInfo("layers.{0-11}.norm", "LayerNorm", 12, 96, 96, "float32"),
        ModuleInfo("head", "Linear", 1, 0, 0, "float32"),  # it shares the embedding's
    ]
    assert sum(row.parameters for row in table) == capture(model).model.parameters


def test_what_is_frozen_or_of_another_type_has_a_row_of_its_own():
    model = Network(depth=6)
    for index in (0, 1, 3):
        model.layers[index].query.requires_grad_(False)
    model.layers[5].query.to(torch.bfloat16)
    described = capture(model).model
    rows = {(row.name, row.trainable_parameters, row.dtype) for row in described.modules}
    assert {
        ("layers.{0-1,3}.query", 0, "float32"),
        ("layers.{2,4}.query", 40, "float32"),
        ("layers.5.query", 20, "bfloat16"),
    } <= rows
    assert described.frozen_parameters == 60
    assert described.frozen_parameters + described.trainable_parameters == described.parameters


def test_experts_of_many_layers_are_one_row():
    model = nn.ModuleList([nn.ModuleList([nn.Linear(2, 2) for _ in range(3)]) for _ in range(4)])
    assert capture(model).model.modules == [ModuleInfo("*.*", "Linear", 12, 72, 72, "float32")]


def test_buffers_are_counted_apart():
    described = capture(nn.BatchNorm1d(4)).model
    assert described.parameters == 8
    assert described.buffer_bytes == 4 * 4 * 2 + 8


def test_a_compiled_or_parallel_model_is_described_as_what_it_is():
    model = Network()
    plain = capture(model).model
    wrapped = capture(nn.DataParallel(model)).model
    assert wrapped.wrappers == ["DataParallel"]
    assert wrapped.type == plain.type
    assert wrapped.modules == plain.modules
    compiled = capture(torch.compile(model)).model
    assert compiled.wrappers == ["OptimizedModule"]
    assert compiled.modules == plain.modules


def test_parameters_that_deepspeed_has_elsewhere_are_counted():
    model = nn.Linear(3, 2, bias=False)
    model.weight.ds_numel = 600
    assert capture(model).model.parameters == 600


def test_a_configuration_s_digest_is_that_of_the_model_and_not_of_the_place():
    def described(**values):
        model = nn.Linear(1, 1)
        model.config = SimpleNamespace(to_dict=lambda: values)
        return capture(model).model

    first = described(layers=2, _name_or_path="/home/alice/x", transformers_version="4.46.0")
    assert first.config_digest.startswith("sha256:")
    assert described(layers=2, transformers_version="5.0").config_digest == first.config_digest
    assert described(layers=3).config_digest != first.config_digest
    assert capture(nn.Linear(1, 1)).model.config_digest is None


def test_a_quantized_model_says_how():
    Linear4bit = type("Linear4bit", (nn.Linear,), {"__module__": "bitsandbytes.nn.modules"})
    model = nn.Sequential(nn.Linear(2, 2), Linear4bit(2, 2), Linear4bit(2, 2))
    settings = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_compute_dtype": torch.bfloat16,
    }
    model.config = SimpleNamespace(
        to_dict=lambda: {}, quantization_config=SimpleNamespace(to_dict=lambda: settings)
    )
    assert capture(model).model.quantization == {
        "config": {**settings, "bnb_4bit_compute_dtype": "torch.bfloat16"},
        "method": "bitsandbytes",
        "modules": {"bitsandbytes.nn.modules.Linear4bit": 2},
    }
    assert capture(nn.Linear(2, 2)).model.quantization is None


def test_a_quantized_tensor_inside_of_an_ordinary_module_is_noticed():
    Int8 = type("Int8Tensor", (torch.Tensor,), {"__module__": "torchao.quantization"})
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch.zeros(2, 2).as_subclass(Int8), requires_grad=False)
    found = capture(model).model.quantization
    assert found == {"tensors": {"torchao.quantization.Int8Tensor": 1}}


def test_a_real_model_of_transformers_is_described():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=8,
        vocab_size=20,
    )
    metadata = capture(transformers.BertModel(config))
    described = metadata.model
    assert described.config["num_hidden_layers"] == 3
    assert described.config["pad_token_id"] == 0
    names = {row.name: row.count for row in described.modules}
    assert names["encoder.layer.{0-2}.attention.self.query"] == 3
    assert metadata.omissions == []


def test_something_with_parameters_alone_is_described_by_them():
    weight = torch.nn.Parameter(torch.zeros(3))
    described = capture(SimpleNamespace(parameters=lambda: [weight])).model
    assert (described.parameters, described.modules, described.buffer_bytes) == (3, [], 0)


def test_a_model_that_fails_is_a_problem_and_no_error():
    class Broken(nn.Module):
        def parameters(self, recurse=True):
            raise RuntimeError("not today, /home/alice")

    metadata = capture(Broken(), {"lr": 0.1})
    assert metadata.model is None
    assert metadata.hyperparameters == {"lr": 0.1}
    assert metadata.problems == {"model": "RuntimeError: not today, ~"}
