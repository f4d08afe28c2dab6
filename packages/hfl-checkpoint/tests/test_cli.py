"""``hfl checkpoint``, in processes of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import click
import pytest
from click.testing import CliRunner

from hfl_checkpoint.cli import checkpoint

# What the command must not load to look at a run; it says on stderr what it has loaded.
PROGRAM = """
import atexit, os, sys
heavy = {"torch", "numpy", "safetensors", "transformers", "huggingface_hub"}
def tell():
    found = sorted(heavy & {*sys.modules})
    if found:
        print("LOADED", *found, file=sys.stderr)
atexit.register(tell)
sys.argv[0] = "hfl-checkpoint"
from hfl_checkpoint.cli import main
main()
"""


# What every command tells about a checkpoint, under these keys.
FACTS = {
    "name",
    "step",
    "epoch",
    "metrics",
    "reason",
    "size",
    "created_at",
    "pinned",
    "labels",
    "run_id",
    "sequence",
    "components",
    "path",
}


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        timeout=120,
        check=False,
    )
    assert "LOADED" not in ended.stderr
    return ended


def rows(*arguments: Any) -> Any:
    ended = run(*arguments, "--format", "json")
    return json.loads(ended.stdout)


@pytest.fixture
def a_run(open_manager: Any, live: Any, run_path: Path) -> Path:
    manager = open_manager()
    for step, loss in ((10, 0.5), (20, 0.25), (30, 0.75)):
        manager.save(step, epoch=step // 20, metrics={"loss": loss}, **live(step).components)
    manager.pin(20, "good")
    return run_path


def damage_a_tensor(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def test_list_shows_a_table_in_the_order_of_commits(a_run: Path) -> None:
    ended = run("list", a_run)
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    for word in ("Name", "Step", "Epoch", "loss", "Reason", "Size", "Created (UTC)", "Pinned"):
        assert word in lines[0]
    found = [line.split()[0] for line in lines if "step-" in line]
    assert found == ["step-00000010", "step-00000020", "step-00000030"]
    assert "0.25" in next(line for line in lines if "step-00000020" in line)


def test_the_keys_of_a_list_in_json_do_not_change(a_run: Path) -> None:
    found = rows("list", a_run)
    for row in found:
        assert set(row) == FACTS
    assert [row["step"] for row in found] == [10, 20, 30]
    assert [row["metrics"] for row in found] == [{"loss": 0.5}, {"loss": 0.25}, {"loss": 0.75}]
    assert [row["pinned"] for row in found] == [False, True, False]
    assert isinstance(found[0]["size"], int)
    assert found[0]["created_at"].endswith(("+00:00", "Z"))


def test_list_writes_csv(a_run: Path) -> None:
    ended = run("list", a_run, "--format", "csv")
    found = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [row["name"] for row in found] == ["step-00000010", "step-00000020", "step-00000030"]
    assert found[1]["metrics.loss"] == "0.25"


def test_list_of_a_directory_without_checkpoints_says_so(tmp_path: Path) -> None:
    ended = run("list", tmp_path)
    assert ended.returncode == 0
    assert "holds no checkpoint" in ended.stdout + ended.stderr
    assert rows("list", tmp_path) == []


@pytest.mark.parametrize("command", ["list", "show", "verify"])
def test_a_directory_that_does_not_exist_is_not_found(command: str, tmp_path: Path) -> None:
    ended = run(command, tmp_path / "nowhere")
    assert ended.returncode == 4
    assert "There is no directory" in ended.stderr
    assert ended.stdout == ""


def test_show_tells_everything_about_one_checkpoint(a_run: Path) -> None:
    found = rows("show", a_run, "good")
    more = {"parent", "classes", "files", "versions", "unique_size", "compression"}
    more |= {"world_size", "ranks"}
    assert set(found) == FACTS | more
    assert (found["step"], found["sequence"], found["parent"]) == (20, 2, "step-00000010")
    assert found["labels"] == ["good"]
    assert set(found["components"]) == {"model", "optimizer", "counters"}
    assert {item["path"] for item in found["files"]} > {"model.safetensors", "metadata.json"}
    assert set(found["files"][0]) == {"path", "size", "xxh3-128"}


@pytest.mark.parametrize(
    ("which", "step"),
    [((), 30), (("10",), 10), (("best:loss",), 20), (("best:loss:max",), 30), (("good",), 20)],
)
def test_show_understands_every_way_to_name_a_checkpoint(
    which: Any, step: int, a_run: Path
) -> None:
    ended = run("show", a_run, *which)
    assert ended.returncode == 0
    assert f"step-000000{step}" in ended.stdout


def test_an_absent_checkpoint_is_not_found_and_the_existing_ones_are_named(a_run: Path) -> None:
    ended = run("show", a_run, "999")
    assert ended.returncode == 4
    assert "No checkpoint for step 999" in ended.stderr
    assert "step-00000020" in ended.stderr
    assert "Hint:" in ended.stderr
    assert ended.stdout == ""


def test_verify_of_intact_checkpoints_ends_well(a_run: Path) -> None:
    assert run("verify", a_run).returncode == 0
    found = rows("verify", a_run, "--all", "--level", "quick")
    assert found == [
        {"name": f"step-000000{step}", "ok": True, "level": "quick", "problems": []}
        for step in (10, 20, 30)
    ]


def test_verify_names_the_file_and_the_tensor_and_ends_with_5(a_run: Path) -> None:
    damage_a_tensor(a_run / "step-00000030")
    ended = run("verify", a_run)
    assert ended.returncode == 5
    assert "model.safetensors (tensor 'weight')" in ended.stdout
    assert "NO" in ended.stdout
    assert run("verify", a_run, "--level", "quick").returncode == 0
    assert run("verify", a_run, "10", "good").returncode == 0
    every = run("verify", a_run, "--all", "--format", "json")
    assert every.returncode == 5
    assert [row["ok"] for row in json.loads(every.stdout)] == [True, True, False]


@pytest.mark.parametrize("arguments", [(), ("--all",), ("step-00000030",)])
def test_verify_does_not_pass_over_a_damaged_manifest(arguments: Any, a_run: Path) -> None:
    path = a_run / "step-00000030" / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(b"")
    ended = run("verify", a_run, *arguments)
    assert ended.returncode == 5
    assert "step-00000030" in ended.stdout + ended.stderr
    assert "manifest.json is not valid JSON" in (ended.stdout + ended.stderr).replace("\n", " ")


def test_list_mentions_a_directory_whose_manifest_is_damaged(a_run: Path) -> None:
    path = a_run / "step-00000030" / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(b"{}")
    ended = run("list", a_run, "--format", "json")
    assert ended.returncode == 0
    assert [row["step"] for row in json.loads(ended.stdout)] == [10, 20]
    assert "step-00000030" in ended.stderr


def test_verify_all_of_an_empty_directory_is_not_found(tmp_path: Path) -> None:
    assert run("verify", tmp_path, "--all").returncode == 4


@pytest.mark.parametrize(
    "arguments",
    [["list", "a", "b"], ["show"], ["verify", ".", "--level", "deep"], ["list", "--format", "xml"]],
)
def test_wrong_usage_ends_with_2(arguments: List[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "Usage:" in ended.stderr
    assert ended.stdout == ""


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    ended = run("list", path)
    assert ended.returncode == 2
    assert "is a file" in ended.stderr


def test_looking_changes_nothing(a_run: Path, tree: Any) -> None:
    before = tree(a_run)
    for arguments in (["list", a_run], ["show", a_run], ["verify", a_run, "--all"]):
        assert run(*arguments).returncode == 0
    assert tree(a_run) == before


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (["list"], 0, "step-00000020"),
        (["show", "good"], 0, "loss 0.25"),
        (["verify"], 0, "yes"),
        (["verify", "--all"], 5, "manifest.json is not valid JSON"),
        (["verify", "10", "good"], 0, "step-00000010"),
    ],
)
def test_the_group_works_inside_another_command(
    arguments: List[str], status: int, shown: str, a_run: Path
) -> None:
    if status:
        path = a_run / "step-00000010" / "manifest.json"
        path.chmod(0o644)
        path.write_bytes(b"")

    @click.group()
    def hfl() -> None:
        """Stand for the command that the groups of all packages are composed into."""

    hfl.add_command(checkpoint)
    command, *rest = arguments
    ended = CliRunner().invoke(hfl, ["checkpoint", command, str(a_run), *rest])
    assert ended.exit_code == status
    assert shown in " ".join(ended.output.split())
