"""``hfl dataset validate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hfl_datasets.cli import dataset


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(dataset, ["validate", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text("x,who\n1,a\n2,b\n3,ann.lee@corp.io\n")
    (tmp_path / "test.csv").write_text("x,who\n1.5,c\n4,d\n")
    (tmp_path / "semi.txt").write_text("x;y\n1;2\n3;4\n")
    return tmp_path


def test_findings_are_shown_as_a_table_and_decide_the_status(folder: Path) -> None:
    result = run(f"train={folder}/train.csv", f"test={folder}/test.csv")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].split() == ["Severity", "Rule", "Where", "Column", "Count", "Found", "To", "do"]
    assert lines[1].startswith("error     number-drift  split 'test'")
    assert "ann.lee" not in result.output
    assert "train: 3 rows, test: 2 rows. Not fit to be published." in result.output


def test_json_holds_the_whole_report(folder: Path) -> None:
    result = run(folder / "train.csv", "--format", "json")
    assert result.exit_code == 0
    report = json.loads(result.output.partition("train: ")[0])  # old click mixes stderr in
    assert report["ok"] is True
    assert report["columns"] == {"train": {"x": "int64", "who": "string"}}
    assert [(item["rule"], item["number"]) for item in report["findings"]] == [("email", 4)]


def test_rules_are_refused_and_ignored(folder: Path) -> None:
    assert run(folder / "train.csv", "--refuse", "email").exit_code == 1
    result = run(folder / "train.csv", "--ignore", "email")
    assert (result.exit_code, "Nothing was found." in result.output) == (0, True)


def test_a_delimiter_and_a_format_are_taken(folder: Path) -> None:
    result = run(folder / "semi.txt", "--kind", "csv", "--delimiter", ";", "--format", "csv")
    assert result.exit_code == 0
    assert "train: 2 rows" in result.output


def test_expectations_come_from_a_file(folder: Path) -> None:
    (folder / "expect.yaml").write_text("- {column: x, max: 2}\n")
    result = run(folder / "train.csv", "--expect", folder / "expect.yaml")
    assert result.exit_code == 1
    assert "1 value is above 2." in result.output


def test_sources_that_make_no_sense_are_a_usage_error(folder: Path) -> None:
    result = run(folder / "train.csv", folder / "test.csv")
    assert result.exit_code == 2
    assert "each has a split" in result.output
    assert run(f"a={folder}/train.csv", f"a={folder}/test.csv").exit_code == 2


def test_a_split_that_cannot_be_loaded_is_a_finding(folder: Path) -> None:
    result = run(f"a-b={folder}/train.csv")
    assert result.exit_code == 1
    assert "Call it 'a_b'." in result.output
