"""PEFT models: adapters as PEFT writes them, the base identified, restored onto a live model bit for bit."""

from __future__ import annotations

import json
import pathlib
from typing import Any, Dict

import pytest
import safetensors.torch
import torch
from torch import nn

from hfl_checkpoint import CheckpointManager, IncompleteModelError, StateMismatchError
from hfl_core import ConfigError

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning:peft.*",
    "ignore::ImportWarning",
)


def base(seed: int = 0, vocabulary: int = 8) -> Any:
    import transformers

    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=16,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def lora(model: Any = None, **options: Any) -> Any:
    import peft

    settings: Dict[str, Any] = {
        "task_type": "CAUSAL_LM",
        "target_modules": ["q_proj", "v_proj"],
        "r": 2,
    }
    return peft.get_peft_model(model or base(), peft.LoraConfig(**{**settings, **options}))


def train(model: Any, optimizer: Any = None, steps: int = 2) -> Any:
    optimizer = optimizer or torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1
    )
    for step in range(steps):
        optimizer.zero_grad()
        ids = torch.tensor([[1, 2, 3, step + 1]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return optimizer


def assert_same(left: Any, right: Any) -> None:
    other = right.state_dict()
    for name, value in left.state_dict().items():
        assert torch.equal(value, other[name]), name


def logits(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    return found


def options_of(kind: str) -> Any:
    import peft

    prompt = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 2}
    return {
        "lora": lora,
        "dora": lambda: lora(use_dora=True),
        "bias": lambda: lora(bias="all"),
        "modules to save": lambda: lora(modules_to_save=["lm_head"]),
        "embedding": lambda: lora(target_modules=["embed_tokens", "q_proj"]),
        "ia3": lambda: peft.get_peft_model(
            base(),
            peft.IA3Config(
                task_type="CAUSAL_LM",
                target_modules=["k_proj", "down_proj"],
                feedforward_modules=["down_proj"],
            ),
        ),
        "loha": lambda: peft.get_peft_model(
            base(), peft.LoHaConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=2)
        ),
        "prompt": lambda: peft.get_peft_model(base(), peft.PromptTuningConfig(**prompt)),
        "p-tuning": lambda: peft.get_peft_model(
            base(), peft.PromptEncoderConfig(**prompt, encoder_hidden_size=4)
        ),
    }[kind]


KINDS = [
    "lora",
    "dora",
    "bias",
    "modules to save",
    "embedding",
    "ia3",
    "loha",
    "prompt",
    "p-tuning",
]


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_with_the_same_bits(tmp_path: pathlib.Path, kind: str) -> None:
    build = options_of(kind)
    saved = build()
    optimizer = train(saved)
    target = build()
    its_optimizer = train(target, steps=1)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=saved, optimizer=optimizer)
        report = checkpoints.restore(model=target, optimizer=its_optimizer)

    assert report.warnings == ()
    assert_same(saved, target)
    train(saved, optimizer)
    train(target, its_optimizer)
    assert_same(saved, target)


@pytest.mark.parametrize("kind", KINDS)
def test_peft_itself_opens_a_checkpoint(tmp_path: pathlib.Path, kind: str) -> None:
    import peft

    saved = options_of(kind)()
    train(saved)
    with CheckpointManager(tmp_path / "run") as checkpoints:
        path = checkpoints.save(2, model=saved).result().path
    saved.save_pretrained(str(tmp_path / "theirs"))

    assert torch.equal(logits(peft.PeftModel.from_pretrained(base(), str(path))), logits(saved))
    ours = safetensors.torch.load_file(str(path / "adapter_model.safetensors"))
    theirs = safetensors.torch.load_file(str(tmp_path / "theirs" / "adapter_model.safetensors"))
    assert sorted(ours) == sorted(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key
    mine, reference = (
        json.loads((folder / "adapter_config.json").read_text())
        for folder in (path, tmp_path / "theirs")
    )
    for config in (mine, reference):
        for key, value in config.items():
            # Older releases write an empty name where there is none.
            config[key] = sorted(value) if isinstance(value, list) else value or None
    assert mine == reference


def test_only_the_adapter_is_written(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        saved = checkpoints.save(1, model=lora()).result()

    names = {path.name for path in saved.path.rglob("*") if path.suffix == ".safetensors"}
    assert names == {"adapter_model.safetensors"}
    assert saved.components == ("model",)
    tensors = safetensors.torch.load_file(str(saved.path / "adapter_model.safetensors"))
    assert all("lora_" in key for key in tensors)


def with_second(model: Any, name: str = "default2") -> Any:
    import peft

    model.add_adapter(
        name, peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "o_proj"], r=3)
    )
    model.set_adapter(name)
    return model


def test_several_adapters_have_a_folder_each_and_come_back(tmp_path: pathlib.Path) -> None:
    import peft

    saved, target = with_second(lora()), with_second(lora())
    train(saved)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=saved).result().path
        checkpoints.restore(model=target)
        loaded = checkpoints.load(only=["model"])["model"]

    assert_same(saved, target)
    assert list(target.peft_config) == ["default", "default2"]
    assert set(loaded["adapters"]) == {"default", "default2"}
    found = peft.PeftModel.from_pretrained(base(), str(path / "default2"))
    assert torch.equal(logits(found), logits(saved))
    keys = set(safetensors.torch.load_file(str(path / "adapter_model.safetensors")))
    assert not any("o_proj" in key for key in keys)


def test_an_adapter_that_is_not_the_default_is_where_peft_looks_for_it(
    tmp_path: pathlib.Path,
) -> None:
    import peft

    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=2)
    saved, target = (peft.PeftModel(base(), config, adapter_name="mine") for _ in range(2))
    train(saved)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=saved).result().path
        checkpoints.restore(model=target)

    assert_same(saved, target)
    assert (path / "mine" / "adapter_model.safetensors").is_file()


def test_another_base_is_refused_by_name_and_nothing_is_touched(tmp_path: pathlib.Path) -> None:
    model = base()
    model.config._name_or_path = "org/base"
    model.config._commit_hash = "0123456789abcdef" * 2
    target = lora(base(seed=1))
    before = {name: value.clone() for name, value in target.state_dict().items()}
    saved = lora(model)
    train(saved)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=saved).result().path
        with pytest.raises(
            StateMismatchError, match=r"base was org/base at 0123456789ab .*is a base"
        ):
            checkpoints.restore(model=target)

    for name, value in target.state_dict().items():
        assert torch.equal(value, before[name])
    config = json.loads((path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "org/base"
    assert config["revision"] == "0123456789abcdef" * 2


def test_a_resized_base_is_another_base(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=lora())
        with pytest.raises(StateMismatchError, match="base was"):
            checkpoints.restore(model=lora(base(vocabulary=9)))


def test_the_folder_of_the_base_is_not_told(tmp_path: pathlib.Path) -> None:
    model = base()
    model.config._name_or_path = "/home/alice/base"
    saved = lora(model)
    saved.peft_config["default"].base_model_name_or_path = "/home/alice/base"
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=saved).result().path

    for file in path.rglob("*"):
        assert file.is_dir() or b"alice" not in file.read_bytes(), file
    assert json.loads((path / "adapter_config.json").read_text())["base_model_name_or_path"] is None
    assert saved.peft_config["default"].base_model_name_or_path == "/home/alice/base"
    assert saved.peft_config["default"].inference_mode is False


def test_an_adapter_of_other_layers_matches_nothing(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=lora(target_modules=["q_proj"]))
        with pytest.raises(
            StateMismatchError, match="none of the 2 saved tensors of adapter 'default'"
        ):
            checkpoints.restore(model=lora(target_modules=["o_proj"]))


@pytest.mark.parametrize(
    ("saved", "live", "message"),
    [
        (lambda: lora(r=2), lambda: lora(r=3), r"had shape \[2, 8\], and has \[3, 8\]"),
        (
            lambda: with_second(lora()),
            lora,
            "adapter 'default2' was saved, and is not there",
        ),
        (lora, lambda: with_second(lora()), "adapter 'default2' was not saved"),
        (lora, base, "a PEFT model was saved, and it is a model"),
        (base, lora, "a model was saved, and it is a PEFT model"),
    ],
    ids=["rank", "fewer adapters", "more adapters", "no adapter", "no adapter saved"],
)
def test_what_does_not_fit_is_named(
    tmp_path: pathlib.Path, saved: Any, live: Any, message: str
) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=saved())
        with pytest.raises(StateMismatchError, match=message):
            checkpoints.restore(model=live())


def test_another_scale_is_mentioned(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=lora(lora_alpha=8))
        report = checkpoints.restore(model=lora(lora_alpha=16))

    assert "lora_alpha was 8, and is 16" in report.warnings[0]


def test_what_is_trained_beside_the_adapter_is_not_lost(tmp_path: pathlib.Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.last(self.norm(self.first(x)))
            return found

    def build() -> Any:
        import peft

        torch.manual_seed(0)
        found = peft.get_peft_model(Net(), peft.LoraConfig(target_modules=["first"], r=2))
        found.base_model.model.last.weight.requires_grad_(True)
        return found

    saved, target = build(), build()
    optimizer = torch.optim.SGD([p for p in saved.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        saved(torch.rand(4, 3)).sum().backward()
        optimizer.step()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=saved)
        checkpoints.restore(model=target)

    assert_same(saved, target)
    assert target.base_model.model.norm.num_batches_tracked == 2


def test_saving_draws_nothing_even_behind_an_encoder_with_dropout(tmp_path: pathlib.Path) -> None:
    import peft

    model = peft.get_peft_model(
        base(),
        peft.PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=2,
            encoder_hidden_size=4,
            encoder_reparameterization_type="LSTM",
            encoder_dropout=0.5,
        ),
    ).train()
    before = torch.get_rng_state()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=model)

    assert torch.equal(torch.get_rng_state(), before)


def test_empty_adapters_are_refused(tmp_path: pathlib.Path) -> None:
    model = lora()
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            parameter.data = torch.empty(0)

    with pytest.raises(IncompleteModelError, match=r"lora_A.* has shape \[0\]"):
        CheckpointManager(tmp_path).save(1, model=model)


def test_an_adapter_whose_name_is_no_folder_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="a folder cannot|folder cannot have"):
        CheckpointManager(tmp_path).save(1, model=with_second(lora(), name="a b"))


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")]
)
def test_a_wrapper_around_the_model_leaves_no_mark(tmp_path: pathlib.Path, wrap: Any) -> None:
    saved, target = lora(), lora()
    train(saved)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=wrap(saved)).result().path
        checkpoints.restore(model=target)
        checkpoints.restore(model=wrap(lora()))

    assert_same(saved, target)
    for key in safetensors.torch.load_file(str(path / "adapter_model.safetensors")):
        assert "_orig_mod" not in key
        assert "module." not in key


def test_an_adapter_of_a_second_model_has_its_folder(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=nn.Linear(1, 1), policy=lora()).result().path
        checkpoints.restore(policy=lora())

    assert (path / "policy" / "adapter_model.safetensors").is_file()
