from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hfl_registry.cli import model
from hfl_repo import RepoManager


@pytest.fixture
def repo(local_hub):
    repo = RepoManager("local/digits", endpoint=local_hub.endpoint)
    repo.create()
    repo.commit({"config.json": b'{"model_type": "bert"}'}, message="A model")
    return repo


@pytest.fixture
def run(local_hub, repo):
    def run(*arguments):
        options = ["--endpoint", local_hub.endpoint]
        done = CliRunner().invoke(model, [*arguments, *options], catch_exceptions=False)
        return done.exit_code, done.output

    return run


def test_a_model_is_put_into_a_stage_and_shown_there(run, repo):
    code, _ = run("stage", "local/digits", "staging")
    assert code == 0
    code, out = run(
        "stage", "local/digits", "production", "--revision", "staging", "--format", "json"
    )
    assert json.loads(out)["commit"] == repo.info().sha
    code, out = run("stages", "local/digits", "--format", "json")
    assert [row["stage"] for row in json.loads(out)] == ["staging", "production"]
    code, out = run("show", "local/digits", "--format", "json")
    found = json.loads(out)
    assert sorted(found["stages"]) == ["production", "staging"]
    assert found["tags"] == []


def test_the_history_is_shown_newest_first(run, repo):
    run("stage", "local/digits", "production")
    later = repo.commit({"a.txt": b"b"}, message="Later").commit
    run("stage", "local/digits", "production")
    _, out = run("stages", "local/digits", "--history", "--format", "json")
    assert json.loads(out)[0]["commit"] == later
    assert len(json.loads(out)) == 2


def test_a_stage_is_cleared(run):
    run("stage", "local/digits", "candidate")
    code, out = run("stage", "local/digits", "candidate", "--clear", "--format", "json")
    assert (code, json.loads(out)["commit"]) == (0, None)
    code, _ = run("stage", "local/digits", "candidate", "--clear", "--revision", "main")
    assert code == 2


def test_nothing_in_any_stage_is_said(run):
    assert "Nothing has been put into a stage." in run("stages", "local/digits")[1]
