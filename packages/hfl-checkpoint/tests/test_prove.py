"""``hfl checkpoint prove``: trainings that resume exactly, and ones that only seem to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from click.testing import CliRunner

from hfl_checkpoint._prove import prove
from hfl_checkpoint.cli import checkpoint
from hfl_core import ConfigError, HflError, NotFoundError

CLI = [sys.executable, "-c", "from hfl_checkpoint.cli import main; main()"]

# A training that is a sum of random numbers: whoever loses the state of its generator ends elsewhere.
SCRIPT = """
import os, random, sys, time
from hfl_checkpoint import CheckpointManager

mode = sys.argv[1]
chance, counts = random.Random(None if mode == "unseeded" else 0), {"step": 0, "sum": 0.0, "rng": []}
with CheckpointManager(os.environ["HFL_RUN"], background=False, metadata={}) as checkpoints:
    if mode != "anew" and checkpoints.resume(counts=counts) is not None and mode != "inexact":
        chance.setstate((counts["rng"][0], tuple(counts["rng"][1]), counts["rng"][2]))
    while counts["step"] < 12:
        counts["step"] += 1
        counts["sum"] += chance.random()
        counts["rng"] = [*chance.getstate()]
        clock = {"now": time.time()}
        checkpoints.save(counts["step"], counts=counts, clock=clock)
        time.sleep(0.1)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Any]:
    """The command that runs the training in one of its modes."""
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return lambda mode: [sys.executable, str(path), mode]


def test_a_training_that_resumes_exactly_is_proved(script, tmp_path):
    command = [
        *CLI,
        "prove",
        "--seed",
        "3",
        "--format",
        "json",
    ]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path / "proof"), "--", *script("exact")],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["holds"], said["step"], len(said["kills"])) == (True, 12, 2)
    assert said["kills"][0] < said["kills"][1] < "step-00000012"
    assert [part["component"] for part in said["components"]] == ["counts"]  # the clock may differ
    assert "bit by bit, after 2 kills" in done.stderr
    assert (tmp_path / "proof/killed/step-00000012").is_dir()


def test_what_an_inexact_training_lost_is_named(script, tmp_path):
    command = [*CLI, "prove", "--kills", "1", "--seed", "3", "--format", "json"]
    done = subprocess.run(
        [*command, "--", *script("inexact")],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "it does not resume exactly (seed 3)" in done.stderr
    said = json.loads(done.stdout)
    assert (said["holds"], said["is_repeatable"]) == (False, True)
    (part,) = said["components"]
    assert any(text.startswith("sum changed from") for text in part["differences"]), part


def test_a_training_that_is_not_repeatable_is_told_from_one_that_does_not_resume(script, tmp_path):
    options = ["--kills", "1", "--seed", "3", "--directory", str(tmp_path / "proof")]
    done = CliRunner().invoke(checkpoint, ["prove", *options, "--", *script("unseeded")])
    assert done.exit_code == 1, done.output
    assert "sum changed from" in " ".join(done.output.split())
    assert "Two undisturbed runs differ as well" in done.output


def test_a_training_that_begins_anew_is_not_proved_by_ending_with_the_same(script, tmp_path):
    with pytest.raises(ConfigError, match="began anew"):
        prove(script("anew"), tmp_path / "proof", kills=2, seed=3)


def test_what_fails_says_what_it_said(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such dataset')"]
    with pytest.raises(HflError, match="no such dataset"):
        prove(command, tmp_path / "proof")
    with pytest.raises(NotFoundError, match="cannot be started"):
        prove(["no-such-program-anywhere"], tmp_path / "other")
    with pytest.raises(NotFoundError, match="wrote no checkpoint"):
        prove([sys.executable, "-c", ""], tmp_path / "third")


def test_what_takes_too_long_is_ended(tmp_path):
    with pytest.raises(HflError, match=r"did not end within 0\.5 s"):
        prove(
            [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "proof", timeout=0.5
        )


def test_bad_input_runs_nothing(tmp_path, script):
    with pytest.raises(ConfigError, match="proves nothing"):
        prove(script("exact"), tmp_path / "proof", kills=0)
    (tmp_path / "used/killed").mkdir(parents=True)
    with pytest.raises(ConfigError, match="exists already"):
        prove(script("exact"), tmp_path / "used")
    assert not (tmp_path / "proof").exists()
    assert list((tmp_path / "used/killed").iterdir()) == []


def test_a_training_that_saves_too_rarely_is_refused(tmp_path, script):
    with pytest.raises(ConfigError, match="too few for 50 kills"):
        prove(script("exact"), tmp_path / "proof", kills=50)
