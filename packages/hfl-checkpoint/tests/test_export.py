"""Checkpoints for programs that know nothing of this package, and the commands for both directions."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import nn

from hfl_checkpoint import (
    CheckpointManager,
    CheckpointNotFoundError,
    MissingComponentError,
    export_checkpoint,
    import_checkpoint,
)
from hfl_checkpoint.cli import checkpoint as commands
from hfl_core import ConfigError, ConflictError

from .conftest import gpt2

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight


def invoke(*arguments: Any) -> Any:
    return CliRunner().invoke(commands, [str(item) for item in arguments])


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters())
    model.first(torch.rand(1, 2)).sum().backward()
    optimizer.step()
    with CheckpointManager(tmp_path / "run") as checkpoints:
        checkpoints.save(1, model=model, critic=nn.Linear(1, 1), optimizer=optimizer, a={"x": 1})
    return tmp_path / "run"


def test_a_folder_of_weights(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = export_checkpoint(run, "latest", tmp_path / "out")

    found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    assert found == ["critic/model.safetensors", "model.safetensors"]
    assert list(safetensors.torch.load_file(str(path / "model.safetensors"))) == ["first.weight"]
    only = export_checkpoint(run, 1, tmp_path / "only", only=["critic"])
    assert [file.name for file in only.iterdir()] == ["critic"]


def test_from_pretrained_opens_an_exported_folder(tmp_path: pathlib.Path) -> None:
    import transformers

    model = gpt2()
    with CheckpointManager(tmp_path / "run") as checkpoints:
        checkpoints.save(1, model=model)
    path = export_checkpoint(tmp_path / "run", "latest", tmp_path / "out")

    again = transformers.AutoModelForCausalLM.from_pretrained(str(path))
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_an_adapter_is_exported_as_one(tmp_path: pathlib.Path) -> None:
    import peft

    model = peft.get_peft_model(
        nn.Sequential(nn.Linear(2, 2)), peft.LoraConfig(target_modules=["0"], r=1)
    )
    model.add_adapter("other", peft.LoraConfig(target_modules=["0"], r=2))
    with CheckpointManager(tmp_path / "run") as checkpoints:
        checkpoints.save(1, model=model)
    path = export_checkpoint(tmp_path / "run", "latest", tmp_path / "out")

    found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    names = ["adapter_config.json", "adapter_model.safetensors"]
    assert found == [*names, *(f"other/{name}" for name in names)]
    peft.PeftModel.from_pretrained(nn.Sequential(nn.Linear(2, 2)), str(path))


def test_a_file_of_torch(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = export_checkpoint(run, "latest", tmp_path / "all.pt", form="torch")
    whole = torch.load(str(path), weights_only=True)
    assert set(whole) == {"model", "critic", "optimizer", "a", "step"}
    torch.optim.AdamW(Tied().parameters()).load_state_dict(whole["optimizer"])
    alone = export_checkpoint(run, 1, tmp_path / "model.pt", form="torch", only=["model"])
    target = Tied()
    target.load_state_dict(torch.load(str(alone), weights_only=True))
    assert torch.equal(target.first.weight, whole["model"]["first.weight"])


def test_a_file_of_torch_is_imported_again_at_its_step(tmp_path: pathlib.Path) -> None:
    manager = CheckpointManager(tmp_path / "run", background=False)
    manager.save(1, step={"a": 1}, model=Tied())
    manager.save(30, epoch=2, model=Tied())
    for which, step, epoch in ((30, 30, 2), (1, {"a": 1}, None)):  # a component's name is its own
        path = export_checkpoint(tmp_path / "run", which, tmp_path / f"{which}.pt", form="torch")
        whole = torch.load(str(path), weights_only=True)
        assert (whole["step"], whole.get("epoch")) == (step, epoch)
    imported = import_checkpoint(tmp_path / "30.pt")
    assert (imported.step, imported.epoch, set(imported)) == (30, 2, {"model"})


def test_what_cannot_be_exported_writes_nothing(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="no model to export: optimizer holds training state"):
        export_checkpoint(run, "latest", tmp_path / "out", only=["optimizer"])
    with pytest.raises(MissingComponentError, match="has no 'ema'"):
        export_checkpoint(run, "latest", tmp_path / "out", only=["ema"])
    with pytest.raises(CheckpointNotFoundError):
        export_checkpoint(run, 99, tmp_path / "out")
    with pytest.raises(ConfigError, match="no export form 'onnx'"):
        export_checkpoint(run, "latest", tmp_path / "out", form="onnx")  # type: ignore[arg-type]  # refused when it runs
    with pytest.raises(ConflictError, match="already"):
        export_checkpoint(run, "latest", run)
    assert sorted(tmp_path.iterdir()) == before


def test_the_commands(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = invoke("export", run, "1", tmp_path / "m.pt", "--as", "torch", "--only", "model")
    assert done.exit_code == 0, done.output
    done = invoke("export", run, "latest", tmp_path / "folder", "--format", "json")
    assert json.loads(done.stdout)["form"] == "safetensors"
    done = invoke("import", tmp_path / "m.pt", tmp_path / "new", "--step", "7", "--format", "json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["step"], answer["components"], answer["skipped"]) == (7, ["model"], [])
    shown = invoke("show", tmp_path / "new").stdout
    assert [line for line in shown.splitlines() if line.split() == ["classes", "-"]]
    target = Tied()
    report = CheckpointManager(tmp_path / "new").resume(model=target)
    assert report is not None
    saved = torch.load(str(tmp_path / "m.pt"), weights_only=True)
    assert torch.equal(target.first.weight, saved["first.weight"])
