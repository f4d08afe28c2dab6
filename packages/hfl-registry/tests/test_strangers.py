"""What is published loads for somebody who has nothing but the libraries, in a process of their own."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator

import pytest
import torch

from hfl_registry import ModelRegistry
from hfl_registry._inputs import sample_inputs
from hfl_repo import RepoManager

# The lines of a model's card are run as they are; then what they give is looked at.
PROGRAM = """
import re, torch
answer = {}
for name, asked in request.items():
    found = {}
    exec(asked["lines"], found)
    model = found["model"].eval()
    given = {key: torch.tensor(value) for key, value in asked["inputs"].items()}
    with torch.no_grad():
        output = model(**given)
    logits = output if isinstance(output, torch.Tensor) else output[asked["output"]]
    said = {"class": type(model).__name__, "output": logits.tolist(), "training": model.training}
    said["shared"] = all(
        model.get_parameter(a).data_ptr() == model.get_parameter(b).data_ptr()
        for a, b in asked["tied"]
    )
    if "tokenizer" in found:
        said["ids"] = found["tokenizer"]("Words, words!")["input_ids"]
    if "processor" in found:
        said["processed"] = found["processor"]("Words!")["input_ids"]
    if "image_processor" in found:
        said["pixels"] = found["image_processor"]([[2.0]])["pixel_values"].tolist()
    answer[name] = said
answer["hub"] = __import__("os").environ["HF_ENDPOINT"]
"""


def decoder(registry: ModelRegistry) -> Dict[str, Any]:
    from one_file import TinyConfig, TinyForCausalLM

    registry.register(TinyForCausalLM, TinyConfig)
    return {"model": TinyForCausalLM(TinyConfig())}


def encoder(registry: ModelRegistry) -> Dict[str, Any]:
    import lab
    from lab.text import LabProcessor, LabTokenizer

    registry.register(lab.LabForSequenceClassification, lab.LabConfig, LabTokenizer, LabProcessor)
    path = _vocabulary()
    tokenizer = LabTokenizer(path)
    return {
        "model": lab.LabForSequenceClassification(lab.LabConfig()),
        "tokenizer": tokenizer,
        "processor": LabProcessor(tokenizer),
    }


def _vocabulary() -> str:
    import tempfile

    words = ["<pad>", "<unk>", "words", ",", "!"]
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump({word: number for number, word in enumerate(words)}, file)
    return file.name


def encoder_decoder(registry: ModelRegistry) -> Dict[str, Any]:
    from seq2seq import NoteConfig, NoteForConditionalGeneration, small

    registry.register(NoteForConditionalGeneration, NoteConfig)
    return {"model": NoteForConditionalGeneration(small())}


def vision(registry: ModelRegistry) -> Dict[str, Any]:
    from vision import SpotConfig, SpotForImageClassification, SpotImageProcessor

    registry.register(
        SpotForImageClassification, SpotConfig, image_processor_class=SpotImageProcessor
    )
    return {
        "model": SpotForImageClassification(SpotConfig()),
        "image_processor": SpotImageProcessor(scale=0.25),
    }


def plain_tied(registry: ModelRegistry) -> Dict[str, Any]:
    from plain_sample import Tied

    return {"model": Tied(12, 6)}


def plain_with_mixin(registry: ModelRegistry) -> Dict[str, Any]:
    from plain_sample import Mixed

    registry.register(Mixed)
    return {"model": Mixed(4, [3, 2], act="tanh")}


def builtin(registry: ModelRegistry) -> Dict[str, Any]:
    import transformers

    config = transformers.GPT2Config(
        vocab_size=8, n_positions=16, n_embd=4, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0
    )
    return {"model": transformers.GPT2LMHeadModel(config)}


KINDS = {
    each.__name__: each
    for each in (
        decoder,
        encoder,
        encoder_decoder,
        vision,
        plain_tied,
        plain_with_mixin,
        builtin,
    )
}


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, _at_home: None, stranger: Any
) -> Iterator[Dict[str, Any]]:
    """Publish one of each kind, and let one stranger load all of them."""
    registry = ModelRegistry()
    asked: Dict[str, Any] = {}
    lives: Dict[str, Any] = {}
    torch.manual_seed(7)
    for kind, make in KINDS.items():
        live = make(registry)
        model = live["model"].eval()
        done = registry.publish(repo_id=f"ann/{kind.replace('_', '-')}", validate=False, **live)
        body = RepoManager(done.repo_id).card().body
        inputs = sample_inputs(model)
        assert inputs is not None
        is_tied = kind == "plain_tied"
        with torch.no_grad():
            output = model(**inputs)
        live["output"] = output if isinstance(output, torch.Tensor) else output["logits"]
        live["done"] = done
        # A wrapped module takes its arguments by the same names.
        asked[kind] = {
            "lines": body.partition("```python\n")[2].partition("```")[0],
            "inputs": {name: value.tolist() for name, value in inputs.items()},
            "output": "logits",
            "tied": [["plain_module.embed.weight", "plain_module.head.weight"]] if is_tied else [],
        }
        lives[kind] = live
    said = stranger(PROGRAM, asked, tmp_path_factory.mktemp("stranger"))
    for kind, live in lives.items():
        live["said"] = said[kind]
    yield lives
    for registration in registry.registrations():
        registry.unregister(registration.model_type)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_gets_the_same_outputs(kind: str, published: Dict[str, Any]) -> None:
    live = published[kind]
    torch.testing.assert_close(
        torch.tensor(live["said"]["output"]), live["output"], rtol=1e-5, atol=1e-6
    )
    assert not live["said"]["training"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("decoder", "TinyForCausalLM"),
        ("encoder", "LabForSequenceClassification"),
        ("encoder_decoder", "NoteForConditionalGeneration"),
        ("vision", "SpotForImageClassification"),
        ("plain_tied", "TiedModel"),
        ("builtin", "GPT2LMHeadModel"),
    ],
)
def test_it_is_loaded_as_what_it_is(kind: str, name: str, published: Dict[str, Any]) -> None:
    assert published[kind]["said"]["class"] == name


def test_tied_weights_of_a_plain_module_are_one_tensor_again(published: Dict[str, Any]) -> None:
    assert published["plain_tied"]["said"]["shared"]


def test_a_tokenizer_and_a_processor_of_ones_own_go_along(published: Dict[str, Any]) -> None:
    live = published["encoder"]
    assert live["said"]["ids"] == live["tokenizer"]("Words, words!")["input_ids"] == [2, 3, 2, 4]
    assert live["said"]["processed"] == [2, 4]


def test_an_image_processor_of_ones_own_goes_along(published: Dict[str, Any]) -> None:
    assert published["vision"]["said"]["pixels"] == [[0.5]]


def test_code_of_one_file_stays_byte_for_byte(published: Dict[str, Any]) -> None:
    import one_file

    with open(one_file.__file__, "rb") as file:
        assert RepoManager("ann/decoder").read("one_file.py") == file.read()


def test_the_configurations_refer_to_this_repository_only(published: Dict[str, Any]) -> None:
    repo = RepoManager("ann/encoder")
    config = json.loads(repo.read("config.json"))
    assert config["auto_map"] == {
        "AutoConfig": "configuration_lab.LabConfig",
        "AutoModelForSequenceClassification": "modeling_lab.LabForSequenceClassification",
    }
    assert "_name_or_path" not in config
    tokenizer = json.loads(repo.read("tokenizer_config.json"))
    assert tokenizer["auto_map"]["AutoTokenizer"] == ["text.LabTokenizer", None]


def test_what_is_not_needed_stays_at_home(published: Dict[str, Any]) -> None:
    files = published["encoder"]["done"].files
    assert "lab_training.py" not in files
    assert "training.py" not in files
    assert "modeling_lab.py" in files


def test_a_models_class_with_the_mixin_loads_itself(published: Dict[str, Any]) -> None:
    live = published["plain_with_mixin"]["model"]
    folder = RepoManager("ann/plain-with-mixin").download()
    found = type(live).from_pretrained(str(folder))
    for name, value in live.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value)


def test_everything_became_visible_in_one_commit(published: Dict[str, Any]) -> None:
    history = list(RepoManager("ann/encoder").history())
    assert [commit.title for commit in history][::-1][1:] == ["Publish the model"]
