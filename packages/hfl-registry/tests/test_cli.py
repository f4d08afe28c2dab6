"""The commands as people type them."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hfl_registry.cli import model

pytestmark = pytest.mark.usefixtures("warm_process", "registry")

NET = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class {name}Config(PretrainedConfig):
    model_type = "{kind}"

    def __init__(self, size=4, **kwargs):
        super().__init__(**kwargs)
        self.size = size


class {name}Model(PreTrainedModel):
    config_class = {name}Config

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(config.size, 2)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, features):
        return (self.layer(features),)
"""


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run `hfl-model` with its arguments; return exit code, stdout and stderr."""

    def run(*arguments):
        from hfl_registry.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["hfl-model", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield run
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)


@pytest.fixture
def project(tmp_path, monkeypatch, request):
    """A folder with a model's module and the model, which nobody has registered yet."""
    kind = f"net{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{kind}.py").write_text(NET.format(name="Net", kind=kind))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(kind)
    module.NetModel(module.NetConfig()).save_pretrained("trained")
    yield kind
    del sys.modules[kind]


def test_a_model_goes_from_a_folder_to_the_hub_and_back(cli, project, name) -> None:
    code, out, err = cli(
        "register", f"{project}:NetModel", "--config", f"{project}:NetConfig", "--format", "json"
    )
    assert code == 0, err
    assert json.loads(out)["auto_classes"] == ["AutoConfig", "AutoModel"]
    assert json.loads(out)["files"] == [f"{project}.py"]
    code, out, err = cli("validate", "trained", "--format", "json")
    assert code == 0, err
    assert {each["status"] for each in json.loads(out)} == {"passed"}
    code, out, err = cli(
        "publish", "trained", name, "--tag", "v1", "--license", "mit", "--no-validate", "--format",
        "json",
    )  # fmt: skip
    assert code == 0, err
    commit = json.loads(out)["commit"]
    code, out, err = cli("show", name, "--format", "json")
    assert (json.loads(out)["commit"], json.loads(out)["tags"]) == (commit, ["v1"])
    code, out, err = cli("load", name, "--format", "json")
    assert json.loads(out)["parameters"] == 10
    code, out, err = cli("card", name)
    assert out.startswith("---\n")
    assert "license: mit" in out
    code, out, err = cli("list", "--format", "json")
    assert name in [each["repo_id"] for each in json.loads(out)]


def test_nothing_is_noted_in_a_dry_run(cli, project) -> None:
    code, out, _ = cli(
        "register", f"{project}:NetModel", "--config", f"{project}:NetConfig", "--dry-run"
    )
    assert code == 0
    assert project in out
    assert not Path("hfl-models.json").exists()


def test_a_dry_run_sends_nothing(cli, project, name) -> None:
    from hfl_repo import RepoManager

    RepoManager(name).create()
    cli("register", f"{project}:NetModel", "--config", f"{project}:NetConfig")
    code, _, err = cli("publish", "trained", name, "--dry-run", "--no-validate")
    assert code == 0
    assert "Nothing was sent." in err
    assert "config.json" not in RepoManager(name).tree().files


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("register", "nowhere:Net"), 4, "There is no module 'nowhere'."),
        (("register", "json:Net"), 4, "json has no class 'Net'."),
        (("register", "json"), 1, "'json' names no class."),
        (("load", "ann/nothing-here"), 4, "ann/nothing-here"),
        (("show", "ann/nothing-here"), 4, "ann/nothing-here"),
        (("publish", ".", "ann/x"), 4, "no config.json"),
        (("validate", "nowhere"), 2, "does not exist"),
    ],
)
def test_what_goes_wrong_has_a_message_and_a_status(
    arguments, code, text, cli, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = cli(*arguments)
    assert (found, out) == (code, "")
    assert text in err


def test_a_registration_file_that_is_damaged_is_named(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hfl-models.json").write_text("{")
    code, _, err = cli("list")
    assert code == 1
    assert "hfl-models.json cannot be read." in err


def test_every_command_says_what_it_does() -> None:
    for command in model.list_commands(None):
        done = CliRunner().invoke(model, [command, "--help"])
        assert done.exit_code == 0, done.output
        assert "Example" in done.output
