"""``hfl report`` of real runs: what it says, and that nothing in a run can break the page."""

from __future__ import annotations

import html.parser
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import hf_lifecycle
from hf_lifecycle._report import _html, _markdown
from hf_lifecycle._report._charts import line_chart, stacked
from hf_lifecycle._report._facts import gather
from hf_lifecycle.cli import report
from hfl_core import ConfigError, NotFoundError


def train(path: Path, *steps: int, lr: float = 0.1, name: str = "loss", **more: Any) -> Path:
    model = torch.nn.Linear(2, 2)
    metadata = {"model": model, "hyperparameters": {"lr": lr, "note": "<script>|"}, **more}
    with hf_lifecycle.CheckpointManager(path, background=False, metadata=metadata) as checkpoints:
        components = {"model": model, **({"clock": more["durations"]} if more else {})}
        checkpoints.resume(**components)
        for step in steps:
            checkpoints.save(step, metrics={name: 1 / step, "accuracy": step / 10}, **components)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    train(tmp_path / "digits", 1, 2)
    return train(tmp_path / "digits", 3, 4, lr=0.2)


class Page(html.parser.HTMLParser):
    """Sees to it that every tag is closed, and collects the text and what a page would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.dangers: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        names = dict(attrs)
        if tag in {"script", "img", "link", "iframe", "b"} or {"href", "src", "onclick"} & set(
            names
        ):
            self.dangers.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_says_what_the_run_was(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(report, ["digits"], catch_exceptions=False)
    assert done.stdout == "digits-report.html\n"
    text = Path("digits-report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.dangers == []
    for words in (
        "digits",
        "step-00000004",
        "lowest 0.25 (step-00000004)",
        "resumed; its first checkpoint is step 3",
        "Linear, 6 parameters, float32",
        "hyperparameters.lr",
        "<script>|",  # as text
        "CPython",
    ):
        assert words in page.text, words
    charts = [ET.fromstring(f"{part}</svg>") for part in text.split("</svg>")[:-1] for part in [part[part.index("<svg") :]]]  # fmt: skip
    assert [len(chart.findall("circle")) for chart in charts[:2]] == [4, 4]


def test_the_run_is_left_as_it_was(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    gather(run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_sessions_and_what_changed_between_them(run):
    found = gather(run)
    assert [(each["first_step"], each["last_step"]) for each in found["sessions"]] == [
        (1, 2),
        (3, 4),
    ]
    (change,) = (each for each in found["changes"] if each["path"] == "hyperparameters.lr")
    assert (change["before"], change["after"]) == (0.1, 0.2)


def test_json_goes_to_standard_output_and_one_metric_can_be_chosen(run):
    done = CliRunner().invoke(
        report, [str(run), "--format", "json", "--metric", "loss"], catch_exceptions=False
    )
    found = json.loads(done.stdout)
    assert list(found["metrics"]) == ["loss"]
    assert found["metrics"]["loss"]["min"] == {"value": 0.25, "checkpoint": "step-00000004"}
    assert found["checkpoints"][0]["metrics"] == {"loss": 1.0}


def test_the_ending_of_the_name_says_the_format(run, tmp_path):
    target = tmp_path / "said.md"
    CliRunner().invoke(report, [str(run), "-o", str(target)], catch_exceptions=False)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# digits\n")
    assert "| step-00000004 | 4 |" in text
    assert r"\<script\>\|" in text


def test_measured_time_is_told_apart(tmp_path):
    clock = hf_lifecycle.RunClock()
    with clock.measure("training"):
        pass
    found = gather(train(tmp_path / "run", 1, durations=clock))
    assert found["time"]["measured"].keys() == {
        "wall",
        "training",
        "saving",
        "evaluating",
        "other",
    }
    assert "measured no durations" not in _html.write(found)
    assert "measured no durations" in _html.write(gather(train(tmp_path / "other", 1)))


def test_a_damaged_and_an_unreadable_checkpoint_are_named(run):
    (run / "step-00000002" / "metadata.json").chmod(0o644)
    (run / "step-00000002" / "metadata.json").write_text("{")
    (run / "step-00000003" / "manifest.json").chmod(0o644)
    (run / "step-00000003" / "manifest.json").write_text("{")
    found = gather(run)
    assert [row["step"] for row in found["checkpoints"]] == [1, 2, 4]
    assert any("step-00000002" in text for text in found["problems"])
    assert any("step-00000003" in text for text in found["problems"])
    assert "What is wrong" in Page(_html.write(found)).text
    assert "What is wrong" in _markdown.write(found)


def test_a_metric_that_is_not_finite_and_names_that_are_code_break_nothing(tmp_path):
    name = '</title><script>alert("x")</script>'
    with hf_lifecycle.CheckpointManager(tmp_path / "run", background=False) as checkpoints:
        for step, value in enumerate((1e308, -1e308, float("nan"), float("inf")), start=1):
            checkpoints.save(step, metrics={name: value}, counters={"n": step})
    found = gather(tmp_path / "run")
    json.dumps(found, allow_nan=False)
    text = _html.write(found)
    assert Page(text).dangers == []
    assert "nan" not in text.partition("<h2>Checkpoints")[0]
    assert "<script" not in _markdown.write(found).replace("\\<script", "")


def test_what_is_no_run_is_an_error_that_says_so(tmp_path, run):
    with pytest.raises(NotFoundError, match="There is no run in"):
        gather(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="holds no checkpoint"):
        gather(tmp_path / "empty")
    with pytest.raises(ConfigError, match="is a checkpoint"):
        gather(run / "step-00000001")
    with pytest.raises(NotFoundError, match="No checkpoint has the metric 'los'") as caught:
        gather(run, metrics=["los"])
    assert "loss, accuracy" in caught.value.hint


def test_a_chart_of_one_point_and_of_no_time():
    assert line_chart("loss", [(5, 0.5, "step-5")]).count("<circle") == 1
    assert stacked([("training", 0.0)]) == ""


def test_a_run_of_a_home_folder_does_not_name_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = gather(train(tmp_path / "digits", 1))
    for text in (json.dumps(found), _html.write(found), _markdown.write(found)):
        assert str(tmp_path) not in text
