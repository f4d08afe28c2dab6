from __future__ import annotations

import dataclasses
import json

import pytest
import torch
import yaml

from hfl_core.errors import ConfigError, IntegrityError
from hfl_metadata import DataSource, capture
from hfl_registry import make_card
from hfl_registry._card_sections import marked, renewed

LINES = ['model = AutoModelForCausalLM.from_pretrained("ann/digits")']
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def card(**options):
    return make_card("ann/digits", config=CONFIG, loading=LINES, **options)


@pytest.fixture(scope="module")
def run():
    return capture(
        torch.nn.Linear(4, 4),
        {"lr": 3e-4, "schedule": {"warmup": 10}},
        DataSource("ann/notes", revision="v2", preprocessing=["lower-case"]),
    )


def test_nothing_is_said_that_is_not_known():
    found = card()
    assert found.metadata == {"library_name": "transformers", "pipeline_tag": "text-generation"}
    for word in ("Training", "Evaluation", "Environment", "licen", "None", "{{", "%}"):
        assert word not in found.body
    assert LINES[0] in found.body
    assert "These lines were run" not in found.body
    assert "These lines were run before" in card(executed=True).body


def test_the_model_is_counted():
    body = card(model=torch.nn.Linear(1000, 10, dtype=torch.bfloat16)).body
    assert "| parameters | 10,010 |" in body
    assert "| data type | bfloat16 |" in body
    assert "| architecture | `LlamaForCausalLM` |" in body


def test_a_run_is_described_by_its_record(run):
    found = card(metadata=run, metrics={"accuracy": 0.91234567}, license="mit")
    assert "- data: ann/notes at `v2`" in found.body
    assert "| `schedule.warmup` | 10 |" in found.body
    assert "| accuracy | 0.912346 |" in found.body
    assert found.metadata["datasets"] == ["ann/notes"]
    assert found.metadata["license"] == "mit"
    (index,) = found.metadata["model-index"]
    (result,) = index["results"]
    assert result["task"] == {"type": "text-generation"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.91234567, "name": "accuracy"}]
    yaml.safe_dump(dict(found.metadata))


def test_time_and_hardware_are_told_only_where_they_were_recorded(run):
    from hfl_metadata import DurationInfo, GpuInfo

    assert "training time" not in card(metadata=run).body
    gpu = GpuInfo(0, "NVIDIA H100", None, None, None)
    known = dataclasses.replace(
        run, gpus=[gpu, gpu], durations=DurationInfo(wall=9000.0, training=7300.0)
    )
    body = card(metadata=known).body
    assert "- GPU: 2 x NVIDIA H100" in body
    assert "- training time: 2.0 h" in body
    assert "CO₂" not in body
    facts = {"emissions": 12.5, "source": "codecarbon"}
    assert "- CO₂ equivalent: 12.5 g (codecarbon)" in card(fields={"co2_eq_emissions": facts}).body


def test_a_checkpoint_brings_its_metrics(run, tmp_path):
    (tmp_path / "metadata.json").write_text(run.to_json())
    (tmp_path / "manifest.json").write_text(json.dumps({"metrics": {"eval_loss": 0.5}}))
    body = card(metadata=tmp_path, metrics={"accuracy": 1.0}).body
    assert "| eval_loss | 0.5 |" in body
    assert "| accuracy | 1 |" in body
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="manifest.json"):
        card(metadata=tmp_path)


def test_fields_that_are_given_win():
    found = card(fields={"pipeline_tag": "translation", "base_model": "lab/base"})
    assert found.metadata["pipeline_tag"] == "translation"
    assert "Fine-tuned from lab/base." in found.body


def test_a_template_of_ones_own_is_filled_in():
    text = "# {{ name }}\n{% call section('usage') %}{{ loading[0] }}{% endcall %}\nMine."
    body = card(template=text).body
    assert body.startswith("# digits\n<!-- hfl:usage ")
    assert body.endswith("Mine.\n")


@pytest.mark.parametrize("text", ["{{ nothing }}", "{% if %}", "{{ ''.__class__.__mro__ }}"])
def test_a_template_that_cannot_be_filled_in_is_an_error(text):
    with pytest.raises(ConfigError, match="template cannot be filled in"):
        card(template=text)


def test_secrets_do_not_reach_the_card():
    assert (
        "hf_abcdefghijklmnopqrstuvwxyz12345678"
        not in card(
            requirements=["x @ https://user:hf_abcdefghijklmnopqrstuvwxyz12345678@host/x"]
        ).body
    )


def test_generated_sections_are_renewed_and_edited_ones_stay():
    old = "---\nlicense: mit\n---\n# Mine\n\n" + marked("model", "10 parameters") + "\nBy hand.\n"
    new = marked("model", "20 parameters") + marked("usage", "Load it")
    assert renewed(old.encode(), new).decode() == old.replace(
        marked("model", "10 parameters"), marked("model", "20 parameters")
    )
    edited = old.replace("10 parameters", "10 parameters, honestly")
    assert renewed(edited.encode(), new).decode() == edited
    dos = old.replace("\n", "\r\n").encode()
    assert b"20 parameters\r\n" in renewed(dos, new)


def test_text_by_hand_survives_the_next_publication(local_hub):
    import transformers

    from hfl_registry import ModelRegistry

    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(**sizes, intermediate_size=32)
    registry = ModelRegistry(endpoint=local_hub.endpoint)
    model = transformers.LlamaForCausalLM(config)
    registry.publish(model, "local/digits", metrics={"accuracy": 0.5}, validate=False)
    repo = registry._repo("local/digits")
    text = repo.read("README.md").decode()
    mine = text.replace("# digits", "# Digits, by ann") + "\nDo not use it for letters.\n"
    repo.commit({"README.md": mine.encode()}, message="Say more")
    registry.publish(model, "local/digits", metrics={"accuracy": 0.75}, validate=False)
    after = repo.read("README.md").decode()
    assert "# Digits, by ann" in after
    assert "Do not use it for letters." in after
    assert "| accuracy | 0.75 |" in after
    assert "| accuracy | 0.5 |" not in after
