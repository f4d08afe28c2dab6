"""What people type and scripts read: every help, and the tables and documents of the commands of this package."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import click
import pytest
from click.testing import CliRunner

from hf_lifecycle import cli
from hfl_cli.cli import hfl

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="frozen on one Python version"
)
# Each is frozen where it is made.
ELSEWHERE = {"dataset", "model"}


def commands(command: click.Command, name: str) -> Iterator[Tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=command.name)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and below not in ELSEWHERE:
                yield from commands(found, f"{name} {below}")


def groups() -> List[str]:
    context = click.Context(hfl)
    return [name for name in hfl.list_commands(context) if name not in ELSEWHERE]


@pytest.mark.parametrize("group", groups())
def test_every_help_is_frozen(group: str, snapshot: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    context = click.Context(hfl)
    top = hfl.get_command(context, group)
    assert top is not None
    shown = [
        CliRunner().invoke(each, ["--help"], prog_name=name, terminal_width=80).output
        for name, each in commands(top, f"hfl {group}")
    ]
    assert "\n".join(shown) == snapshot


def test_every_help_has_a_sentence_and_an_example():
    lacking = [
        name
        for name, each in commands(hfl, "hfl")
        if not isinstance(each, click.Group)
        and ("Example" not in (each.help or "") or name not in (each.help or ""))
    ]
    assert lacking == []


def test_every_option_says_what_it_does():
    silent = [
        f"{name} {option.opts[0]}"
        for name, each in commands(hfl, "hfl")
        for option in each.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    assert silent == []


FORMS = {
    "status": (cli.status, ["runs", "--offline"]),
    "config list": (cli.config, ["list"]),
    "config get": (cli.config, ["get", "timeout"]),
    "config path": (cli.config, ["path"]),
}


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_result_is_frozen(
    name: str, form: str, make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Any
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HFL_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "hfl.toml").write_text("timeout = 60\n")
    make_run("runs/digits", metrics={"loss": 0.25})
    command, arguments = FORMS[name]
    done = CliRunner().invoke(command, [*arguments, "--format", form], catch_exceptions=False)
    # A column is as wide as the test's folder is long, which is frozen nowhere.
    assert re.sub(" {3,}", "   ", _stable(done.stdout, tmp_path)) == snapshot


def test_the_report_in_json_is_frozen(make_run: Any, tmp_path: Path, snapshot: Any):
    run = make_run("digits", metrics={"loss": 0.25})
    done = CliRunner().invoke(cli.report, [str(run), "--format", "json"], catch_exceptions=False)
    known: Dict[str, Any] = json.loads(done.stdout)
    machine = {"summary", "modules", "changes"}
    text = json.dumps({key: known[key] for key in known if key not in machine}, indent=1)
    assert _stable(text, tmp_path) == snapshot


def _stable(text: str, tmp_path: Path) -> str:
    text = text.replace(str(tmp_path), "<folder>").replace(os.path.realpath(tmp_path), "<folder>")
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z| UTC)", "<moment>", text)
    text = re.sub(r"[0-9a-f]{32}", "<run>", text)
    text = re.sub(r'("(sessions|between_sessions|size)": |size: )[\d.]+', r"\1<number>", text)
    text = re.sub(r"\d+(\.\d+)? [KM]iB", "<size>", text)
    text = re.sub(r"(,0,\{\},)\d+", r"\1<number>", text)
    return re.sub(r'"command": "[^"]*"', '"command": "<command>"', text)
