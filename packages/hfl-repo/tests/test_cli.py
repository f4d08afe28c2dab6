from __future__ import annotations

import csv
import io
import json
import sys

import pytest
import yaml
from click.testing import CliRunner

from hfl_repo.cli import repo as group

COMMANDS = [
    [],
    *[[name] for name in sorted(group.commands)],
    *[[name, verb] for name in ("branch", "tag") for verb in ("list", "create", "delete")],
]


@pytest.fixture
def stable(hub):
    """Text with what differs between two runs taken out."""
    import re

    def stable(text):
        text = text.replace(hub.endpoint, "http://hub")
        text = re.sub(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{12}\b", "<commit>", text)
        return re.sub(r"\d{4}-\d\d-\d\d[ T][\d:.+Z]+", "<time>", text)

    return stable


@pytest.mark.skipif(sys.version_info < (3, 11), reason="click words its help by version")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_stays_as_it_is(command, snapshot) -> None:
    shown = CliRunner().invoke(
        group, [*command, "--help"], prog_name="hfl repo", env={"COLUMNS": "90"}
    )
    assert shown.exit_code == 0
    assert shown.output == snapshot


def test_the_life_of_a_repository(cli, manager, ann) -> None:
    code, out, err = cli("create", "ann/life", "--private", "--license", "mit", "--tag", "x")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()][:4] == [
        "Repository",
        "Type",
        "Page",
        "Private",
    ]
    assert cli("create", "ann/life", "--public")[0] == 6
    assert cli("create", "ann/life", "--on-conflict", "fail")[0] == 6
    assert json.loads(cli("info", "ann/life", "--format", "json")[1])["license"] == "mit"
    assert cli("move", "ann/life", "ann/later")[0] == 0
    assert json.loads(cli("archive", "ann/later", "--format", "json")[1])["is_archived"] is True
    assert (
        yaml.safe_load(cli("archive", "ann/later", "--undo", "--format", "yaml")[1])["is_archived"]
        is False
    )
    assert cli("delete", "ann/later", "--dry-run")[2].startswith("Would delete 'ann/later'")
    assert cli("delete", "ann/later", stdin="ann/other\n")[0] == 9
    assert cli("delete", "ann/later", stdin="")[0] == 1
    assert manager("ann/later").exists()
    code, out, err = cli("delete", "ann/later", stdin="ann/later\n")
    assert (code, out) == (0, "")
    assert "type its name (ann/later)" in err
    assert not manager("ann/later").exists()
    assert cli("delete", "ann/later", "--yes")[0] == 4
    assert cli("delete", "ann/later", "--yes", "--missing-ok")[0] == 0


def test_yes_deletes_without_asking(cli, repo) -> None:
    assert cli("delete", repo.repo_id, "--yes") == (0, "", f"Deleted '{repo.repo_id}'.\n")


def test_lists_and_searches(cli, manager, ann) -> None:
    found = ann.new_repo(name="needle-in-a-list")
    rows = list(csv.DictReader(io.StringIO(cli("list", "--format", "csv")[1])))
    assert found in {row["repo_id"] for row in rows}
    assert rows[0]["is_private"] in {"true", "false"}
    assert json.loads(cli("search", "needle-in", "--format", "json")[1])[0]["repo_id"] == found
    code, out, err = cli("search", "needle-in", "--tag", "none")
    assert (code, out, err) == (0, "", "There is none.\n")
    assert cli("list", "--license", "mti")[0] == 1


def test_branches_tags_and_history(cli, repo, stable, snapshot) -> None:
    name = repo.repo_id
    shown = [
        cli("branch", "create", name, "next"),
        cli("branch", "create", name, "next"),
        cli("branch", "list", name),
        cli("tag", "list", name),
        cli("tag", "create", name, "v1", "--message", "First", "--at", "next"),
        cli("tag", "list", name, "--format", "csv"),
        cli("history", name, "--revision", "v1"),
        cli("tag", "delete", name, "v1", stdin="n\n"),
        cli("tag", "delete", name, "v1", "--yes"),
        cli("tag", "delete", name, "v1", "--yes"),
        cli("branch", "delete", name, "next", stdin="y\n"),
        cli("branch", "delete", name, "main", "--yes"),
    ]
    assert [code for code, _, _ in shown] == [0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 9]
    text = stable("\n".join(f"{out}{err}" for _, out, err in shown)).replace(name, "ann/repo")
    assert text == snapshot


def test_cards(cli, repo, ann) -> None:
    name = repo.repo_id
    assert cli("card", name, "--set", "license=mit", "--set", "tags=[a, b]")[0] == 0
    assert "mit" in cli("card", name)[1]
    assert json.loads(cli("card", name, "--format", "json")[1])["metadata"]["tags"] == ["a", "b"]
    assert json.loads(cli("card", name, "--unset", "tags", "--format", "json")[1])["changed"] == [
        "tags"
    ]
    ann.commit(name, {"README.md": b"---\nlicense: gpl-3.0\n---\n"})
    code, _, err = cli("card", name, "--set", "license=apache-2.0")
    assert (code, "on_conflict='ours'" in err) == (6, True)
    assert cli("card", name, "--set", "license=apache-2.0", "--on-conflict", "ours")[0] == 0
    assert cli("card", name, "--set", "license")[0] == 2
    assert cli("card", name, "--set", "a=[")[0] == 2
    assert cli("card", name, "--set", "license=mti")[0] == 1
    update = cli("card", name, "--unset", "license")
    assert "Warning:" in update[2]  # the Hub does not like a card without metadata


def test_gitattributes_and_permissions(cli, repo, bob) -> None:
    name = repo.repo_id
    code, out, _ = cli("gitattributes", name, "*.new", "--file", "x.dat", "--format", "json")
    assert (code, json.loads(out)["added"]) == (0, ["*.new", "*.dat"])
    assert cli("gitattributes", name)[0] == 2
    assert json.loads(cli("permissions", name, "--format", "json")[1])["admin"] is True
    code, out, _ = cli("permissions", bob.new_repo())
    assert "'ann' is not a member of 'bob'." in out


def test_storage_and_reclaim(cli, repo, ann, stable, snapshot) -> None:
    name = repo.repo_id
    for number in range(3):
        ann.commit(name, large={"model.safetensors": bytes([number]) * 5000})
    shown = [
        cli("storage", name),
        cli("storage", name, "--files"),
        cli("reclaim", name, "--dry-run"),
        cli("reclaim", name, stdin="ann/other\n"),
    ]
    assert len(ann.large_files(name)) == 3
    shown += [cli("reclaim", name, stdin=f"{name}\n"), cli("reclaim", name, "--yes")]
    assert len(ann.large_files(name)) == 1
    assert [code for code, _, _ in shown] == [0, 0, 0, 9, 0, 0]
    text = stable("\n".join(f"{out}{err}" for _, out, err in shown)).replace(name, "ann/repo")
    assert text == snapshot


def test_other_types_endpoints_and_profiles_can_be_named(cli, hub, ann) -> None:
    found = ann.new_repo(kind="dataset")
    code, out, _ = cli(
        "info", found, "--type", "dataset", "--endpoint", hub.endpoint, "--format", "json"
    )
    assert (code, json.loads(out)["repo_type"]) == (0, "dataset")
    assert cli("info", found)[0] == 4
    assert cli("info", found, "--profile", "nobody")[0] == 4
    assert cli("info", found, "--type", "bucket")[0] == 2
