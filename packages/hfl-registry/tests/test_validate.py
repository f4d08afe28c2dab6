"""What a validation finds, and that it sends nothing."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn

from hfl_registry import ModelValidationError, RoundTripError

pytestmark = pytest.mark.usefixtures("warm_process")


def statuses(report):
    return {check.name: check.status for check in report.checks}


def tiny(registry, **settings):
    from one_file import TinyConfig, TinyForCausalLM

    registry.register(TinyForCausalLM, TinyConfig)
    return TinyForCausalLM(TinyConfig(**settings))


def gpt2(**settings):
    sizes = {"vocab_size": 8, "n_positions": 16, "n_embd": 4, "n_layer": 1, "n_head": 1}
    config = transformers.GPT2Config(bos_token_id=0, eos_token_id=0, **{**sizes, **settings})
    return transformers.GPT2LMHeadModel(config)


def test_a_good_model_passes_and_nothing_is_sent(registry, hub) -> None:
    before = len(list(hub.requests))
    report = registry.validate(tiny(registry))
    assert report.ok
    assert statuses(report) == dict.fromkeys(
        ("config", "trust", "load", "outputs", "usage"), "passed"
    )
    assert report.difference == 0.0
    assert "one_file.py" in report.files
    assert len(list(hub.requests)) == before


def test_tied_weights_of_a_builtin_model_are_compared(registry) -> None:
    report = registry.validate(gpt2())
    assert report.ok
    assert statuses(report)["tied weights"] == "passed"
    assert "trust" not in statuses(report)


def test_a_compiled_or_wrapped_model_is_validated_as_itself(registry) -> None:
    model = gpt2()
    wrapped = nn.DataParallel(torch.compile(model))
    assert registry.validate(wrapped).ok


def test_a_part_that_is_compiled_loads_by_its_own_names(registry) -> None:
    model = tiny(registry)
    inner = torch.compile(model.mix)
    model.mix = inner
    report = registry.validate(model)
    assert report.ok, report.problems


def test_a_tensor_without_values_is_named(registry) -> None:
    model = tiny(registry)
    model.mix.weight = nn.Parameter(torch.empty(8, 8, device="meta"))
    model.head.bias = nn.Parameter(torch.empty(0))
    report = registry.validate(model)
    assert report.problems == (
        "model: 'mix.weight' is on the meta device and holds no values",
        "model: 'head.bias' is empty (shape [0])",
    )
    with pytest.raises(ModelValidationError, match="mix.weight"):
        report.raise_if_failed()


def test_a_lambda_in_a_configuration_is_named_with_its_line(registry) -> None:
    model = tiny(registry)
    model.config.nested = {"act": [lambda x: x]}
    (problem,) = registry.validate(model).problems
    assert problem.startswith("model: TinyConfig.nested.act[0] is a lambda (test_validate.py:")


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(registry, tmp_path) -> None:
    from lab.text import LabTokenizer

    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "<unk>": 1, "a": 2}')
    tokenizer = LabTokenizer(str(tmp_path / "vocab.json"))
    model = tiny(registry, vocab_size=2)
    model.get_input_embeddings = lambda: model.embed
    (problem,) = registry.validate(model, tokenizer=tokenizer).problems
    assert "'embed.weight' has 2 rows and the tokenizer 3 tokens" in problem


def test_a_vocabulary_that_the_config_does_not_know_of_is_refused(registry, tmp_path) -> None:
    from lab.text import LabTokenizer

    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "<unk>": 1, "a": 2}')
    model = gpt2()
    model.config.vocab_size = 9
    report = registry.validate(model, tokenizer=LabTokenizer(str(tmp_path / "vocab.json")))
    assert "'transformer.wte.weight' has 8 rows and the config says vocab_size=9" in str(
        report.problems
    )


def test_a_generation_config_that_is_not_valid_is_refused(registry) -> None:
    model = gpt2()
    model.generation_config.num_beams = 1
    model.generation_config.num_return_sequences = 4
    model.generation_config.do_sample = False
    (problem,) = registry.validate(model).problems
    assert "generation config is not valid" in problem


def test_a_model_that_computes_something_else_when_loaded_is_refused(registry) -> None:
    model = tiny(registry)
    # State that the state dict does not hold.
    model.head.forward = lambda hidden: nn.Linear.forward(model.head, hidden) + 1.0
    report = registry.validate(model)
    assert statuses(report)["outputs"] == "failed"
    assert report.difference == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(RoundTripError, match="differ by up to 1"):
        report.raise_if_failed()
    assert registry.validate(model, tolerance=1.5).ok


def test_a_tensor_that_does_not_arrive_is_named(registry) -> None:
    model = tiny(registry)
    model._keys_to_ignore_on_save = ["mix.bias"]
    assert "'mix.bias' not in the file" in str(registry.validate(model).problems)


def test_inputs_that_cannot_be_made_up_leave_the_comparison_out(registry) -> None:
    from plain_sample import Mixed

    model = Mixed(4, [2])
    model.layers = nn.Sequential(nn.Flatten(), *model.layers)
    report = registry.validate(Mixed(4, [2]), inputs={"features": torch.ones(3, 4)})
    assert statuses(report)["outputs"] == "passed"


def test_an_input_that_the_model_does_not_take_is_told(registry) -> None:
    report = registry.validate(tiny(registry), inputs={"input_ids": torch.ones(2, 3)})
    assert statuses(report)["outputs"] == "skipped"
    assert "does not take the input" in report.checks[-1].detail


def test_constructor_arguments_that_nobody_kept_are_asked_for(registry) -> None:
    from plain_sample import Forgetful

    report = registry.validate(Forgetful(4))
    (problem,) = report.problems
    assert "plain_sample.py:" in problem
    assert "nothing says what 'size' was (keep it: self.size = size" in problem
    assert registry.validate(Forgetful(4), config={"size": 4}).ok


def test_code_that_cannot_travel_is_a_problem_of_the_code(registry) -> None:
    class Inner(nn.Linear):
        pass

    (problem,) = registry.validate(Inner(2, 2)).problems
    assert problem.startswith("code: The code of Inner needs")
    assert "(Inner is defined inside a function)" in problem
