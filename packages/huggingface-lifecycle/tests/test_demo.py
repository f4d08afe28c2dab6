"""The demo itself: real processes, real kills, and the facts that it reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "hf_lifecycle.cli"]


@pytest.fixture
def environment(tmp_path: Path) -> dict:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return {**os.environ, "TMPDIR": str(temporary), "HFL_DEBUG": "0"}


def left_behind(environment: dict) -> list:
    # torch leaves a cache of its own in the same place.
    return list(Path(environment["TMPDIR"]).glob("hfl-demo-*"))


@pytest.fixture(scope="module")
def performed(tmp_path_factory):
    """Perform the demo once, the way that a script would."""
    stage = tmp_path_factory.mktemp("demo") / "runs"
    done = subprocess.run(
        [*DEMO, "--format", "json", "--seed", "11", "--directory", str(stage)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout), stage, done.stderr.decode()


def test_a_killed_training_ends_with_the_same_bits(performed):
    facts, _, _ = performed
    assert facts["identical"] is True
    assert facts["differences"] == []
    assert facts["accuracy"] == facts["accuracy_undisturbed"] > 0.9
    names = {part["name"] for part in facts["components"]}
    assert {"model", "optimizer", "scheduler", "loader", "progress", "rng"} <= names
    assert all(part["identical"] and part["digests"] for part in facts["components"])


def test_the_best_model_went_to_a_local_hub_and_came_back(performed):
    facts, stage, _ = performed
    published = facts["published"]
    assert published["identical"] is True
    assert published["accuracy"] > 0.9
    best = min(facts["kept"], key=lambda kept: kept["eval_loss"])
    assert published["checkpoint"] == best["name"]
    file = stage / "killed" / best["name"] / "model.safetensors"
    assert published["bytes"] == file.stat().st_size
    assert len(published["commit"]) == 40


def test_the_run_was_resumed_from_the_hub_in_an_empty_folder(performed):
    facts, stage, _ = performed
    arrived = facts["resumed_elsewhere"]
    assert arrived["identical"] is True
    assert arrived["accuracy"] == facts["accuracy"]
    assert arrived["step"] == facts["steps"]
    assert (stage / "elsewhere" / arrived["checkpoint"] / "manifest.json").is_file()


def test_it_was_killed_twice_in_mid_epoch_and_once_in_the_middle_of_a_save(performed):
    facts, _, _ = performed
    moments = [kill["moment"] for kill in facts["kills"]]
    assert moments[:2] == ["in mid-epoch", "in mid-epoch"]
    assert moments[-1] == "during a save"
    assert set(moments[2:-1]) <= {"just after a save"}
    for kill in facts["kills"][:2]:
        assert kill["batch"] > 0
        assert kill["repeated_steps"] > 0
    for kill in facts["kills"]:
        assert kill["resumed_from"].startswith("step-")
    assert facts["kills"][-1]["debris"]


def test_the_debris_of_the_killed_save_is_gone_and_the_checkpoints_are_listed(performed):
    facts, stage, _ = performed
    staging = stage / "killed" / ".staging"
    assert not staging.exists() or not list(staging.iterdir())
    on_disk = {path.parent.name for path in (stage / "killed").glob("*/manifest.json")}
    assert {kept["name"] for kept in facts["kept"]} == on_disk
    assert 3 <= len(on_disk) <= 5  # the last three and the best two, which may be among them
    assert all(kept["why"] for kept in facts["kept"])


def test_people_are_told_on_stderr(performed):
    facts, _, talk = performed
    assert "seed 11" in talk
    assert talk.count("Killed ") == len(facts["kills"])
    assert talk.count("Resumed from ") == len(facts["kills"])


def test_a_directory_that_is_in_use_is_refused(performed, environment):
    _, stage, _ = performed
    done = subprocess.run(
        [*DEMO, "--directory", str(stage)], capture_output=True, check=False, env=environment
    )
    assert done.returncode == 6
    assert b"is not empty" in done.stderr
    assert done.stdout == b""


def test_without_scikit_learn_the_extra_is_named(environment):
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.argv = ['hfl'];"
        "from hf_lifecycle.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert b"pip install 'huggingface-lifecycle[demo]'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is not a signal there")
def test_ctrl_c_leaves_no_process_and_no_folder(environment):
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as demo:
        first_line = demo.stderr.readline()
        assert b"Training a small network" in first_line
        second_line = demo.stderr.readline()  # the first kill, so a training has really run
        assert b"Killed in mid-epoch" in second_line
        children = psutil.Process(demo.pid).children(recursive=True)
        assert children
        assert left_behind(environment)
        demo.send_signal(signal.SIGINT)
        _, talk = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert b"Interrupted." in talk
    assert b"Traceback" not in talk
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert left_behind(environment) == []


def test_the_training_program_s_own_error_is_reported(environment, tmp_path):
    (tmp_path / "torch.py").write_text("raise RuntimeError('no torch today')\n")
    done = subprocess.run(
        DEMO, capture_output=True, check=False, env={**environment, "PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert b"no torch today" in done.stderr
    assert left_behind(environment) == []
