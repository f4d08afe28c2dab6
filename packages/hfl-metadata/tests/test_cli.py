"""``hfl metadata``: what people see, what programs read, and how it ends when something is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from hfl_core import HflError
from hfl_metadata import RunMetadata, read_metadata
from hfl_metadata.cli import metadata

RECORD = Path(__file__).with_name("records") / "schema-1.json"
PROGRAM = """
import sys
sys.argv[0] = "hfl-metadata"
from hfl_metadata.cli import main
try:
    main()
finally:
    print("LOADED", *sorted({"torch", "numpy", "psutil", "pynvml"} & {*sys.modules}), file=sys.stderr)
"""


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(metadata, list(map(str, arguments)))


def process(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write(
    place: Path, *, step: int | None = None, sequence: int = 1, run_id: str = "r", **changes: Any
) -> Path:
    place.mkdir(parents=True)
    values = {**json.loads(RECORD.read_text()), **changes}
    (place / "metadata.json").write_text(json.dumps(values))
    if step is not None:
        manifest = {
            "sequence": sequence,
            "step": step,
            "run_id": run_id,
            "metrics": {"loss": 1 / step},
        }
        (place / "manifest.json").write_text(json.dumps(manifest))
    return place


@pytest.fixture
def a_run(tmp_path: Path) -> Path:
    run_path = tmp_path / "digits"
    # The newest one is known by its manifest, and not by its name or its age.
    write(run_path / "b", step=20, sequence=2, hyperparameters={"lr": 0.2})
    write(run_path / "a", step=10, sequence=3, hyperparameters={"lr": 0.3}, extra={"note": "again"})
    write(run_path / "c", step=30, sequence=1, hyperparameters={"lr": 0.1})
    write(run_path / "z-of-another-run", step=40, sequence=9, run_id="other")
    write(run_path / ".staging" / "x", step=50, sequence=10)
    write(run_path / "no-manifest")
    (run_path / "no-metadata").mkdir()
    (run_path / "run.json").write_text('{"run_id": "r"}')
    return run_path


@pytest.mark.parametrize("command", ["", "show", "export", "diff"])
@pytest.mark.skipif(sys.version_info < (3, 11), reason="click wraps a little differently there")
def test_the_help_stays_as_it_is(command, snapshot):
    shown = CliRunner().invoke(metadata, [*command.split(), "--help"], terminal_width=80)
    assert shown.output == snapshot


@pytest.mark.skipif(sys.version_info < (3, 11), reason="one version is enough")
@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["show", "--format", "json"],
        ["show", "--section", "git", "--section", "hyperparameters"],
        ["export", "--format", "requirements"],
        ["export", "--format", "csv", "--select", "git.*", "--select", "hyperparameters"],
    ],
    ids=" ".join,
)
def test_what_is_shown_stays_as_it_is(arguments, snapshot):
    shown = run(arguments[0], RECORD, *arguments[1:])
    assert shown.exit_code == 0, shown.exception
    assert shown.output == snapshot


def test_the_newest_checkpoint_of_a_run_is_shown(a_run):
    assert json.loads(run("show", a_run, "--format", "json").output)["hyperparameters"] == {
        "lr": 0.3
    }
    assert read_metadata(a_run).hyperparameters == {"lr": 0.3}
    assert read_metadata(a_run / "c").hyperparameters == {"lr": 0.1}
    assert read_metadata(a_run / "c" / "metadata.json").hyperparameters == {"lr": 0.1}


def test_the_folder_one_stands_in_is_the_default(a_run, monkeypatch):
    monkeypatch.chdir(a_run)
    assert "lr=0.3" in run("show").output


def test_every_format_holds_all_of_the_record(a_run):
    record = read_metadata(a_run)
    assert RunMetadata.from_json(run("show", a_run, "--format", "json").output) == record
    assert RunMetadata.from_yaml(run("show", a_run, "--format", "yaml").output) == record
    rows = list(csv.DictReader(io.StringIO(run("show", a_run, "--format", "csv").output)))
    assert {"path": "git.commit", "value": record.git.commit} in rows


def test_a_section_is_shown_alone(a_run):
    shown = run("show", a_run, "--section", "packages", "--format", "json").output
    assert json.loads(shown) == {"packages": {"torch": "2.4.1", "numpy": "1.24.4"}}
    assert "packages.torch" in run("show", a_run, "--section", "packages").output
    empty = process("show", a_run, "--section", "seeds")
    assert "Nothing is on record about seeds." in empty.stderr


def test_a_file_of_yaml_is_read(a_run, tmp_path):
    done = run("export", a_run, "--format", "yaml", "-o", tmp_path / "x.yaml")
    assert done.exit_code == 0
    assert read_metadata(tmp_path / "x.yaml") == read_metadata(a_run)


def test_a_run_is_exported_as_a_table_for_analysis(a_run):
    done = run("export", a_run, "--all", "--format", "csv", "--select", "hyperparameters.*")
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert [(row["checkpoint"], row["step"], row["hyperparameters.lr"]) for row in rows] == [
        ("c", "30", "0.1"), ("b", "20", "0.2"), ("a", "10", "0.3"),
    ]  # fmt: skip
    assert float(rows[2]["metrics.loss"]) == 0.1
    assert set(rows[0]) == {"checkpoint", "step", "metrics.loss", "hyperparameters.lr"}


def test_several_records_are_a_list_and_one_is_one(a_run):
    one = json.loads(run("export", a_run).output)
    assert RunMetadata.from_dict(one) == read_metadata(a_run)
    many = json.loads(run("export", a_run / "a", a_run / "b").output)
    assert [item["checkpoint"] for item in many] == ["a", "b"]
    assert list(many[0]) == ["checkpoint", "step", "metrics", "metadata"]
    assert RunMetadata.from_dict(many[0]["metadata"]) == read_metadata(a_run / "a")
    assert yaml.safe_load(run("export", a_run, "--all", "--format", "yaml").output)[0]["step"] == 30


def test_what_was_installed_can_be_installed_again(a_run, tmp_path):
    origins = {
        "numpy": {"kind": "git", "url": "https://example.com/numpy.git", "commit": "abc"},
        "torch": {"kind": "archive", "url": "https://example.com/torch.whl"},
        "mine": {"kind": "editable", "url": "file://~/mine"},
    }
    packages = {"mine": "0.1", "numpy": "2.0", "rich": "13.7", "torch": "2.4"}
    place = write(tmp_path / "x", schema=2, origins=origins, packages=packages)
    assert run("export", place, "--format", "requirements").output.splitlines()[1:] == [
        "# mine==0.1 was installed from file://~/mine",
        "numpy @ git+https://example.com/numpy.git@abc",
        "rich==13.7",
        "torch @ https://example.com/torch.whl",
    ]


def test_the_patch_is_exported_as_it_is(a_run, tmp_path):
    patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-caf\udce9\n+caf\u00e9\n"
    git = {"commit": "a" * 40, "dirty": True, "patch": patch}
    place = write(tmp_path / "x", schema=2, git=git)
    assert run("export", place, "--format", "patch", "-o", tmp_path / "p").exit_code == 0
    assert (tmp_path / "p").read_bytes() == patch.encode("utf-8", "surrogateescape")
    assert process("export", place, "--format", "patch").returncode == 0


def test_two_runs_are_compared(a_run, tmp_path):
    shown = json.loads(run("diff", a_run / "b", a_run, "--format", "json").output)
    assert shown == [
        {"path": "hyperparameters.lr", "kind": "changed", "before": 0.2, "after": 0.3},
        {"path": "extra.note", "kind": "changed", "before": "baseline", "after": "again"},
    ]
    table = run("diff", a_run / "b", a_run).output.splitlines()
    assert table[0].split() == ["Path", "Before", "After"]
    assert table[1].split() == ["hyperparameters.lr", "0.2", "0.3"]
    same = process("diff", a_run, a_run)
    assert (same.returncode, same.stdout) == (0, "")
    assert "Nothing differs." in same.stderr
    older = write(tmp_path / "older", captured_at="2020-01-01T00:00:00+00:00")
    assert json.loads(run("diff", older, RECORD, "--format", "json").output) == []
    assert len(json.loads(run("diff", older, RECORD, "--all", "--format", "json").output)) == 1


def test_commands_load_nothing_heavy(a_run):
    for arguments in (["show", a_run], ["export", a_run], ["diff", a_run / "a", a_run / "b"]):
        done = process(*arguments)
        assert done.returncode == 0
        assert done.stderr.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"{", 5, "is damaged. Expecting"),
        (b"\xff\xfe\x00\x01", 5, "is damaged"),
        (b"[" * 100_000, 5, "is damaged"),
        (b"[]", 1, "not the metadata of a run"),
        (b'{"schema": 99}', 1, "reads up to 2"),
        (b'{"schema": 2}', 1, "lacks captured_at, git"),
    ],
)
def test_a_file_that_is_no_record_ends_with_a_line_and_a_code(tmp_path, content, code, message):
    (tmp_path / "metadata.json").write_bytes(content)
    error = run("show", tmp_path).exception
    assert isinstance(error, HflError)
    assert message in error.message
    assert error.hint
    assert error.exit_code == code


def test_a_damaged_manifest_costs_its_checkpoint(a_run):
    for content in (b"{", b"[]", b'{"sequence": "x"}', b'{"sequence": true}'):
        (a_run / "a" / "manifest.json").write_bytes(content)
        assert read_metadata(a_run).hyperparameters == {"lr": 0.2}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "nowhere"], 4, "There is no file and no directory 'nowhere'"),
        (["show", "hf://me/digits"], 4, "hfl checkpoint download"),
        (["show", "."], 4, "holds no metadata.json"),
        (["show", str(RECORD), "--section", "pakages"], 4, "Did you mean 'packages'?"),
        (["show", str(RECORD), "--section", "xyz"], 4, "There are captured_at"),
        (["export"], 2, "Missing argument"),
        (["export", str(RECORD), str(RECORD), "--format", "patch"], 2, "about one record, and 2"),
        (["export", str(RECORD), "--format", "patch"], 4, "Capture it: capture(patch=True)"),
        (["export", str(RECORD), "-o", "nowhere/x"], 4, "There is no directory"),
        (["shwo"], 2, "Did you mean 'show'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_end_with_a_line_a_hint_and_a_code(arguments, code, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_clean_run_has_no_patch_and_says_which_commit_it_was(tmp_path):
    place = write(tmp_path / "x", schema=2, git={"commit": "a" * 40, "dirty": False})
    error = run("export", place, "--format", "patch").exception
    assert isinstance(error, HflError)
    assert f"Check out {'a' * 40}" in str(error)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads all")
def test_a_file_that_cannot_be_read_is_a_matter_of_rights(tmp_path):
    place = write(tmp_path / "x")
    (place / "metadata.json").chmod(0)
    assert process("show", place).returncode == 9


def test_the_group_is_a_command_of_hfl():
    from importlib.metadata import distribution

    points = [p for p in distribution("hfl-metadata").entry_points if p.group == "hfl.commands"]
    assert [(point.name, point.value) for point in points] == [
        ("metadata", "hfl_metadata.cli:metadata")
    ]
    assert isinstance(metadata, click.Group)
