"""Tokenizers and processors beside their model, custom code, and nothing private in what is written."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import torch

from hfl_checkpoint import (
    CheckpointManager,
    StateMismatchError,
    UnsupportedFormatError,
    _canonical,
)
from hfl_checkpoint._configs import cleaned
from hfl_core import ConfigError

from .conftest import gpt2

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def tokenizer(*words: str) -> Any:
    import tokenizers
    import transformers

    vocabulary = {word: index for index, word in enumerate(["[UNK]", *words])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]")


def processor(tmp_path: pathlib.Path) -> Any:
    import transformers

    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "a": 5}))
    return transformers.Wav2Vec2Processor(
        transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000),
        transformers.Wav2Vec2CTCTokenizer(str(path)),
    )


def test_from_pretrained_opens_the_model_and_its_tokenizer(tmp_path: pathlib.Path) -> None:
    import transformers

    model = gpt2()
    model.generation_config.max_new_tokens = 3
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=model, tokenizer=tokenizer("a", "b")).result().path

    found = transformers.AutoModelForCausalLM.from_pretrained(str(path))
    assert found.generation_config.max_new_tokens == 3
    assert transformers.AutoTokenizer.from_pretrained(str(path))("b a x").input_ids == [2, 1, 0]


def test_from_pretrained_opens_a_processor(tmp_path: pathlib.Path) -> None:
    import transformers

    with CheckpointManager(tmp_path / "run") as checkpoints:
        saved = checkpoints.save(1, model=gpt2(), processor=processor(tmp_path)).result()

    found = transformers.Wav2Vec2Processor.from_pretrained(str(saved.path))
    assert found.feature_extractor.sampling_rate == 8000
    assert found.tokenizer.get_vocab()["a"] == 5
    assert saved.components == ("model", "processor")


def test_a_tokenizer_beside_its_processor_is_written_once(tmp_path: pathlib.Path) -> None:
    whole = processor(tmp_path)
    with CheckpointManager(tmp_path / "run") as checkpoints:
        checkpoints.save(
            1, processor=whole, tokenizer=whole.tokenizer, feature_extractor=whole.feature_extractor
        )
        report = checkpoints.restore(processor=whole, tokenizer=whole.tokenizer)

    assert [text for text in report.warnings if "not the one" in text] == []


def test_each_of_several_models_has_its_tokenizer_beside_it(tmp_path: pathlib.Path) -> None:
    import transformers

    with CheckpointManager(tmp_path) as checkpoints:
        path = (
            checkpoints.save(
                1,
                model=gpt2(),
                teacher=gpt2(),
                tokenizer=tokenizer("a"),
                teacher_tokenizer=tokenizer("b", "a"),
            )
            .result()
            .path
        )

    load = transformers.AutoTokenizer.from_pretrained
    assert load(str(path))("a").input_ids == [1]
    assert load(str(path / "teacher"))("a").input_ids == [2]
    transformers.AutoModelForCausalLM.from_pretrained(str(path / "teacher"))


def test_the_tokenizer_of_the_only_model_is_beside_it_whatever_it_is_called(
    tmp_path: pathlib.Path,
) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, student=gpt2(), tokenizer=tokenizer("a")).result().path

    assert (path / "student" / "tokenizer.json").is_file()
    assert (path / "student" / "config.json").is_file()


def test_two_different_files_for_one_place_are_refused_by_name(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.json of 'second' and of 'first'"):
        CheckpointManager(tmp_path).save(1, first=tokenizer("a"), second=tokenizer("b"))

    assert not any(tmp_path.iterdir())


def test_the_same_tokenizer_is_confirmed_and_another_one_is_named_and_left_alone(
    tmp_path: pathlib.Path,
) -> None:
    other = tokenizer("b", "a")
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=gpt2(), tokenizer=tokenizer("a", "b"))
        same = checkpoints.restore(model=gpt2(), tokenizer=tokenizer("a", "b"))
        report = checkpoints.restore(model=gpt2(), tokenizer=other)

    assert same.warnings == ()
    assert same.restored == ("tokenizer", "model")
    assert [text for text in report.warnings if "'tokenizer' is not the one" in text]
    assert "tokenizer.json differs" in report.warnings[0]
    assert other("a").input_ids == [2]


def test_an_object_that_writes_nothing_or_fails_is_named(tmp_path: pathlib.Path) -> None:
    class Silent:
        def save_pretrained(self, folder: str) -> None:
            pass

    class Failing:
        def save_pretrained(self, folder: str) -> None:
            raise RuntimeError("no")

    class Rude:
        def save_pretrained(self, folder: str) -> None:
            pathlib.Path(folder, "manifest.json").write_text("{}")

    for component, message in (
        (Silent(), "no file"),
        (Failing(), "fails"),
        (Rude(), "its own|own"),
    ):
        with pytest.raises(ConfigError, match=message):
            CheckpointManager(tmp_path).save(1, thing=component)
    assert not any(tmp_path.iterdir())


def test_a_pretrained_component_and_a_mapping_are_not_the_same(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, tokenizer=tokenizer("a"))
        with pytest.raises(
            StateMismatchError,
            match=r"an object with save_pretrained\(\) was saved, and it is a mapping",
        ):
            checkpoints.restore(tokenizer={})


def test_no_local_path_and_no_token_reaches_a_file(tmp_path: pathlib.Path) -> None:
    secret = "hf_" + "a1B2" * 8
    model, its_tokenizer = gpt2(), tokenizer("a")
    model.config._name_or_path = str(tmp_path / "private-place")
    model.config.hub_token = secret
    model.config.notes = [f"Bearer {secret}", "plain words"]
    its_tokenizer.name_or_path = "/home/alice/tokenizer"
    its_tokenizer.init_kwargs.update(
        name_or_path="/home/alice/tokenizer",
        vocab_file="/home/alice/vocab.json",
        token=secret,
        cache_dir="/home/alice/.cache",
    )
    with CheckpointManager(tmp_path / "run") as checkpoints:
        path = checkpoints.save(1, model=model, tokenizer=its_tokenizer).result().path

    for file in path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        for private in (b"alice", secret.encode(), b"private-place"):
            assert private not in content, file
    config = json.loads((path / "config.json").read_text())
    assert config["notes"] == ["plain words"]
    assert json.loads((path / "tokenizer_config.json").read_text())["unk_token"] == "[UNK]"
    assert model.config.hub_token == secret


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"_name_or_path": "org/base"}, {"_name_or_path": "org/base"}),
        ({"text_config": {"_name_or_path": "./x"}}, {"text_config": {}}),
        ({"vocab_file": "C:\\Users\\me\\vocab.txt"}, {}),
        ({"bos_token": "<s>", "pad_token": "/"}, {"bos_token": "<s>", "pad_token": "/"}),
        ({"note": "/home/me/thing"}, {}),
        ({"auto_map": {"AutoModel": "/srv/m--a.Net"}}, {"auto_map": {"AutoModel": "a.Net"}}),
        (
            {"auto_map": {"AutoModel": "org/m--a.Net", "AutoTokenizer": ["/srv/m--t.Slow", None]}},
            {"auto_map": {"AutoModel": "org/m--a.Net", "AutoTokenizer": ["t.Slow", None]}},
        ),
        (
            {"use_cls_token": "yes", "num_memory_tokens": 3},
            {"use_cls_token": "yes", "num_memory_tokens": 3},
        ),
    ],
)
def test_a_configuration_keeps_what_is_not_private(before: Any, after: Any) -> None:
    assert json.loads(cleaned(json.dumps(before))) == after


CUSTOM = """
import torch
from transformers import PretrainedConfig, PreTrainedModel

from .layers_of_net import double


class NetConfig(PretrainedConfig):
    model_type = "hfl-net"

    def __init__(self, width=2, **kwargs):
        self.width = width
        super().__init__(**kwargs)


class Net(PreTrainedModel):
    config_class = NetConfig

    def __init__(self, config):
        super().__init__(config)
        self.linear = torch.nn.Linear(config.width, config.width)
        self.post_init()

    def forward(self, x):
        return double(self.linear(x))
"""

SAVE_CUSTOM = """
import sys
from transformers import AutoConfig, AutoModel
from hfl_checkpoint import CheckpointManager

source, run = sys.argv[1:]
config = AutoConfig.from_pretrained(source, trust_remote_code=True)
model = AutoModel.from_config(config, trust_remote_code=True)
with CheckpointManager(run) as checkpoints:
    print(checkpoints.save(1, model=model).result().path)
"""

LOAD_CUSTOM = """
import sys, torch
from transformers import AutoModel

model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
print(type(model).__name__, tuple(model(torch.ones(1, 2)).shape))
"""


def test_a_model_with_code_of_its_own_opens_without_the_folder_it_came_from(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "private-place"
    source.mkdir()
    (source / "modeling_net.py").write_text(CUSTOM)
    (source / "layers_of_net.py").write_text("def double(x):\n    return 2 * x\n")
    (source / "config.json").write_text(
        json.dumps(
            {
                "model_type": "hfl-net",
                "width": 2,
                "auto_map": {
                    "AutoConfig": "modeling_net.NetConfig",
                    "AutoModel": "modeling_net.Net",
                },
            }
        )
    )
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    path = pathlib.Path(run(SAVE_CUSTOM, str(source), str(tmp_path / "run")))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "other-modules"))
    source.rename(tmp_path / "gone")

    assert run(LOAD_CUSTOM, str(path)) == "Net (1, 2)"
    text = (path / "config.json").read_text()
    assert json.loads(text)["auto_map"]["AutoModel"] == "modeling_net.Net"
    assert "private-place" not in text


def test_a_tokenizer_without_a_model_is_at_the_root(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, tokenizer=tokenizer("a")).result().path
        loaded = checkpoints.load()

    assert (path / "tokenizer.json").is_file()
    assert loaded["tokenizer"]["folder"] == ""
    assert "tokenizer.json" in loaded["tokenizer"]["files"]
    assert not isinstance(loaded["tokenizer"], torch.Tensor)


def test_a_component_of_a_kind_that_is_not_known_is_refused(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, a={"x": 1}).result().path / "manifest.json"
        document = _canonical.load(path)
        document["components"]["a"]["kind"] = "hologram"
        path.chmod(0o644)
        path.write_bytes(_canonical.dump(document))
        with pytest.raises(UnsupportedFormatError, match="a component of kind hologram"):
            checkpoints.load()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere users are found in another way")
def test_a_user_without_a_home_saves_a_model_with_its_configuration(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    model = gpt2()
    model.config._name_or_path = "/home/alice/base"
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container that runs as a bare number
    with CheckpointManager(tmp_path / "run", metadata={}) as checkpoints:
        path = checkpoints.save(1, model=model).result().path
    assert "alice" not in (path / "config.json").read_text()
