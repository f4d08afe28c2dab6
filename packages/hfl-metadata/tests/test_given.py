"""What users give: hyperparameters, data, seeds, and whatever else."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import sys
import uuid
from decimal import Decimal
from types import SimpleNamespace

import pytest
import torch

from hfl_metadata import DataSource, Omission, RunMetadata, capture
from hfl_metadata._plain import Plain


def given(value):
    return capture(hyperparameters=value).hyperparameters


class TestHyperparameters:
    def test_training_arguments_are_recorded_without_their_tokens(self, tmp_path):
        transformers = pytest.importorskip("transformers")
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), hub_token="hunter2", learning_rate=3e-4, report_to=[]
        )
        metadata = capture(hyperparameters=arguments)
        assert metadata.hyperparameters["learning_rate"] == 3e-4
        assert metadata.hyperparameters["lr_scheduler_type"] == "linear"
        assert "hunter2" not in metadata.to_json()

    def test_forms_that_programs_keep_them_in(self):
        @dataclasses.dataclass
        class Inner:
            lr: float = 0.1

        @dataclasses.dataclass
        class Options:
            inner: Inner
            missing: int = dataclasses.field(init=False)

        class Attrs:
            __attrs_attrs__ = (SimpleNamespace(name="lr"),)
            lr = 0.1

        class Pydantic:
            def model_dump(self):
                return {"lr": 0.1}

        assert given(Options(Inner())) == {"inner": {"lr": 0.1}}
        assert given(argparse.Namespace(lr=0.1)) == {"lr": 0.1}
        assert given(Attrs()) == {"lr": 0.1}
        assert given(Pydantic()) == {"lr": 0.1}
        assert given({"nested": argparse.Namespace(x=Attrs())}) == {"nested": {"x": {"lr": 0.1}}}
        assert given(3) == {"value": 3}
        assert given(None) == {}

    def test_a_table_among_them_is_not_copied(self):
        datasets = pytest.importorskip("datasets")
        metadata = capture(hyperparameters={"rows": datasets.Dataset.from_dict({"x": [1, 2]})})
        assert metadata.hyperparameters == {}
        assert [item.path for item in metadata.omissions] == ["hyperparameters.rows"]

    def test_what_fails_when_it_is_asked_is_named_and_the_rest_is_kept(self):
        class Broken:
            def to_dict(self):
                raise RuntimeError

        class Map(dict):
            def items(self):
                raise RuntimeError

        class Text(str):
            def __str__(self):
                raise RuntimeError

        metadata = capture(
            hyperparameters={"a": Broken(), "b": Map(x=1), "c": Text("x"), "lr": 0.1}
        )
        assert metadata.hyperparameters == {"lr": 0.1}
        assert [item.path for item in metadata.omissions] == [
            "hyperparameters.a", "hyperparameters.b", "hyperparameters.c",
        ]  # fmt: skip
        assert capture(hyperparameters=Broken()).problems == {"hyperparameters": "RuntimeError: "}


class TestValues:
    @pytest.mark.parametrize(
        "value", [Decimal("0.1"), 1 + 2j, dt.timedelta(hours=1), range(3), uuid.UUID(int=7)]
    )
    def test_a_value_whose_text_says_it_all_is_kept_as_text(self, value):
        plain = Plain()
        assert plain.convert(value, "x") == str(value)
        assert [(item.path, item.kept) for item in plain.omissions] == [("x", str(value))]

    def test_a_number_that_nobody_can_write_is_named(self):
        plain = Plain()
        assert plain.convert({"n": 10**5000, "m": -(2**4000)}, "x") == {"m": -(2**4000)}
        assert plain.omissions == [Omission("x.n", "int", None)]
        json.dumps(plain.convert(2**4096 - 1, "x"))

    def test_halves_of_a_character_that_belong_together_are_joined(self):
        plain = Plain()
        text = plain.convert({"\ud83d\ude00": "\ud83d\ude00 \ud83d"}, "x")
        assert text == {"\U0001f600": "\U0001f600 \ud83d"}
        assert json.loads(json.dumps(text)) == text

    @pytest.mark.parametrize("name", ["password", "api_key", "hub_token", "credentials"])
    @pytest.mark.parametrize(
        "value", ["hunter2", 31337, 3.25, ["hunter2"], {"a": "hunter2", "b": [31337]}]
    )
    def test_everything_under_a_secret_name_is_masked(self, name, value):
        text = json.dumps(Plain().convert({name: value}, "x"))
        assert "***" in text
        assert not any(secret in text for secret in ("hunter2", "31337", "3.25"))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("use_cls_token", True), ("use_cls_token", "yes"), ("num_memory_tokens", 16),
            ("tokenizer", "bert-base-uncased"), ("max_new_tokens", 512), ("pad_token_id", 0),
            ("eos_token", "</s>"), ("tokens_per_second", 1234.5), ("tokenizer_name_or_path", "gpt2"),
            ("token_type_ids", [0, 1]), ("keys", ["a", "b"]), ("secret_santa", "x"),
            ("bos_token_id", 1), ("max_tokens", "512"), ("add_special_tokens", "true"),
        ],
    )  # fmt: skip
    def test_a_name_that_only_sounds_secret_keeps_its_value(self, name, value):
        assert Plain().convert({name: value}, "x") == {name: value}
        assert Plain().convert({"config": {name: value}}, "x") == {"config": {name: value}}


class TestData:
    def test_a_source_says_where_it_is_from_and_what_is_done_to_it(self):
        rows = torch.utils.data.TensorDataset(torch.zeros(7, 2))
        source = DataSource(
            "me/digits",
            revision="v2",
            splits={"train": rows, "note": "no test split"},
            fingerprint="abc",
            preprocessing=["lowercase", {"tokenize": {"max_length": 128}}, len],
        )
        metadata = capture(data=source)
        assert metadata.data == {
            "name": "me/digits",
            "revision": "v2",
            "fingerprint": "abc",
            "splits": {
                "train": {"type": "torch.utils.data.dataset.TensorDataset", "length": 7},
                "note": "no test split",
            },
            "preprocessing": ["lowercase", {"tokenize": {"max_length": 128}}, None],
        }
        assert [item.path for item in metadata.omissions] == ["data.preprocessing[2]"]

    def test_one_dataset_or_a_number_of_rows_is_enough(self):
        rows = torch.utils.data.TensorDataset(torch.zeros(7, 2))
        assert capture(data=DataSource(splits=rows)).data["splits"]["length"] == 7
        assert capture(data=DataSource(splits={"train": 100})).data == {"splits": {"train": 100}}
        assert capture(data=DataSource(preprocessing="none")).data == {"preprocessing": ["none"]}

    def test_a_dataset_from_the_hub_knows_its_commit(self):
        datasets = pytest.importorskip("datasets")
        table = datasets.Dataset.from_dict({"text": ["a"]}, split="train")
        table.info.download_checksums = {f"hf://datasets/me/digits@{'a1' * 20}/data.csv": {}}
        table.info.config_name = "small"
        table.info.version = datasets.Version("1.2.0")
        described = capture(data=table).data
        assert described["name"] == "me/digits"
        assert described["revision"] == "a1" * 20
        assert described["configuration"] == "small"
        assert described["version"] == "1.2.0"
        assert described["split"] == "train"

    def test_a_dataset_that_fails_is_described_by_what_it_says(self):
        class Broken:
            def __iter__(self):
                return iter(())

            def __len__(self):
                raise RuntimeError

            @property
            def column_names(self):
                raise RuntimeError

        assert list(capture(data=Broken()).data) == ["type"]


class TestSeeds:
    def test_seeds_that_are_given_and_torch_s_own_are_recorded(self, monkeypatch):
        monkeypatch.setenv("PYTHONHASHSEED", "7")
        state = torch.random.get_rng_state()
        try:
            torch.manual_seed(42)
            seeds = capture(seeds={"data": 1, "model": 2}).seeds
        finally:
            torch.random.set_rng_state(state)
        assert {**seeds, "data": 1, "model": 2, "torch": 42, "PYTHONHASHSEED": "7"} == seeds
        assert seeds["torch_deterministic"] is False
        assert capture(seeds=3).seeds["seed"] == 3

    def test_without_torch_there_are_those_that_are_given(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "torch")
        for name in ("PYTHONHASHSEED", "PL_GLOBAL_SEED", "CUBLAS_WORKSPACE_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        assert capture(seeds=3).seeds == {"seed": 3}
        assert capture().seeds == {}


def test_what_torch_computes_with_is_recorded(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    backends = capture().backends
    assert backends.cuda == torch.version.cuda
    assert backends.rocm == torch.version.hip
    assert backends.mps is torch.backends.mps.is_available()
    assert backends.visible_devices == "1,2"
    monkeypatch.delitem(sys.modules, "torch")
    assert capture().backends.cuda is None
    assert capture().backends.visible_devices == "1,2"


@pytest.mark.parametrize(
    ("number", "text"), [(None, None), (8907, "8.9.7"), (90100, "9.1.0"), (91002, "9.10.2")]
)
def test_cudnn_s_number_is_read(number, text):
    from hfl_metadata._backends import _cudnn

    assert _cudnn(number) == text


def test_a_torch_without_its_parts_is_no_trouble(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    metadata = capture()
    assert metadata.backends.cuda is None
    assert "torch" not in metadata.seeds
    assert RunMetadata.from_json(metadata.to_json()) == metadata
