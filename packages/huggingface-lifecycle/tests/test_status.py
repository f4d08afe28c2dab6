"""``hfl status`` in folders of every kind."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys

import pytest

from hf_lifecycle import CheckpointManager
from hf_lifecycle._status import age, look


@pytest.fixture
def runs(folder):
    """Two runs, the second one's newest checkpoint without a file."""
    for name in ("good", "deep/bad"):
        with CheckpointManager(folder / name, background=False) as checkpoints:
            for step in (1, 2):
                checkpoints.save(
                    step, metrics={"loss": 1 / step, "odd": float("nan")}, counter={"n": step}
                )
    (folder / "deep/bad/step-00000002/state/counter.json").unlink()
    return folder


def test_a_folder_tells_who_one_is_and_how_its_runs_stand(runs, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    found = look(runs)
    assert (found["account"], found["endpoint"]) == ("ann", local_hub.endpoint)
    bad, good = found["runs"]
    assert (good["name"], good["checkpoints"], good["latest"]) == ("good", 2, "step-00000002")
    assert good["best"] == {
        "loss": {
            "min": {"value": 0.5, "checkpoint": "step-00000002"},
            "max": {"value": 1.0, "checkpoint": "step-00000001"},
        }
    }
    assert (good["problems"], good["hub"], good["waiting"]) == ([], None, 0)
    assert "counter.json" in bad["problems"][0]
    assert found["next"] == [
        {"do": "hfl checkpoint verify deep/bad --all", "why": "deep/bad has a damaged checkpoint"}
    ]


def test_what_is_advised_can_be_run(runs, hfl):
    advice = look(runs, offline=True)["next"][0]["do"]
    assert "counter.json" in hfl(*advice.split()[1:], code=5).stdout


def test_what_waits_for_the_hub_is_advised_to_be_pushed(folder, local_hub, hfl, monkeypatch):
    token = local_hub.create_user("ann")
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setenv("HFL_OFFLINE", "1")
    with CheckpointManager(folder / "run", hub="ann/run", background=False) as checkpoints:
        checkpoints.save(1, counter={"n": 1})
    monkeypatch.delenv("HFL_OFFLINE")
    found = look(folder)
    assert found["runs"][0]["waiting"] == 1
    assert found["next"] == [
        {
            "do": "hfl checkpoint push run",
            "why": "1 checkpoint waits for ann/run@checkpoints",
        }
    ]
    hfl(*found["next"][0]["do"].split()[1:])
    after = look(folder, with_storage=True)
    assert (after["runs"][0]["waiting"], after["next"]) == (0, [])
    assert isinstance(after["runs"][0]["hub_size"], int)


def test_offline_asks_nobody(runs, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    before = len(local_hub.requests)
    assert look(runs, offline=True)["account"] is None
    monkeypatch.setenv("HFL_OFFLINE", "1")
    assert look(runs)["account"] is None
    assert len(local_hub.requests) == before


def test_without_a_token_signing_in_is_advised(folder):
    assert look(folder)["next"] == [{"do": "hfl auth login", "why": "nobody is signed in"}]


def test_a_folder_without_runs_and_one_that_does_not_exist(folder, hfl):
    assert "There are no runs here." in hfl("status", "--offline").stderr
    assert "There is no folder" in hfl("status", "nowhere", code=4).stderr


def test_every_format_holds_the_same_runs(runs, hfl):
    told = json.loads(hfl("status", "--offline", "--format", "json").stdout)
    assert [run["name"] for run in told["runs"]] == ["deep/bad", "good"]
    assert hfl("status", "--offline", "--format", "csv").stdout.startswith("name,")
    table = hfl("status", "--offline")
    assert "damaged" in table.stdout
    assert "sound" in table.stdout
    assert "0.5 (0.5 to 1)" in table.stdout
    assert "Next: hfl checkpoint verify deep/bad --all" in table.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_watching_looks_again_until_it_is_interrupted(runs):
    command = [sys.executable, "-m", "hfl_cli", "status", "--offline", "--watch", "0.1"]
    with subprocess.Popen(
        [*command, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watching:
        assert watching.stdout is not None
        seen = 0
        for line in watching.stdout:
            seen += line.startswith(b"{")
            if seen == 2:
                break
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (59, "just now"), (60, "1 min ago"), (7199, "1 h ago"), (200000, "2 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds, text):
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    assert age(now - datetime.timedelta(seconds=seconds), now) == text
    assert age(now + datetime.timedelta(seconds=60), now) == "in the future"
