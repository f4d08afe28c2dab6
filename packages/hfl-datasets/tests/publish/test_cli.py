from __future__ import annotations

import csv
import io
import json

import pytest

ROWS = "id,petal,kind\n" + "".join(f"{n},{n * 0.5},{'abc'[n % 3]}\n" for n in range(30))


@pytest.fixture
def flowers(dataset, tmp_path):
    (tmp_path / "train.csv").write_text(ROWS)
    (tmp_path / "test.csv").write_text("id,petal,kind\n100,1.5,a\n101,2.5,b\n")
    return dataset().repo_id


def published(cli, flowers, *more):
    code, out, err = cli("upload", "train.csv", flowers, "--no-example", "--format", "json", *more)
    assert code == 0, err
    return json.loads(out)


def test_upload_list_versions_diff_and_download(cli, flowers, tmp_path) -> None:
    code, out, err = cli(
        "upload", "train=train.csv", "test=test.csv", flowers,
        "--version", "1.0.0", "--no-example", "--set", "license=mit", "-m", "First flowers",
    )  # fmt: skip
    assert code == 0, err
    assert "1.0.0" in out
    code, out, _ = cli("list", "--format", "json")
    assert flowers in [row["repo_id"] for row in json.loads(out)]
    (tmp_path / "test.csv").write_text("id,petal,kind\n100,1.5,a\n101,9.5,b\n")
    code, out, err = cli(
        "upload",
        "test=test.csv",
        flowers,
        "--no-example",
        "--version",
        "minor",
        "--key",
        "id",
        "--format",
        "json",
    )
    assert json.loads(out)["changes"] == {"test": "2 rows, +0 -0 ~1"}, err
    code, out, _ = cli("versions", flowers, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["version"] for row in rows] == ["1.1.0", "1.0.0"]
    assert rows[1]["message"] == "First flowers"
    code, out, _ = cli("diff", flowers, "1.0.0")
    assert "petal" in out
    assert "mean" in out
    code, out, _ = cli("diff", flowers, "1.0.0", "1.0.0", "--format", "json")
    assert json.loads(out)["is_same"] is True
    code, out, err = cli("diff", flowers, "1.1.0")
    assert "the same rows" in err
    code, out, _ = cli("download", flowers, "test", "--revision", "1.0.0", "--to", "here")
    assert code == 0
    assert (tmp_path / "here" / "data" / "test-00000-of-00001.parquet").is_file()


def test_the_card_is_shown_and_changed(cli, flowers) -> None:
    published(cli, flowers, "--no-verify")
    _, out, _ = cli("card", flowers)
    assert out.startswith("---\n")
    assert "## Statistics" in out
    _, out, err = cli("card", flowers, "--set", "language=[en]", "--format", "json")
    assert json.loads(out)["changed"] == ["language"], err
    _, out, _ = cli("card", flowers, "--format", "json")
    assert json.loads(out)["metadata"]["language"] == ["en"]
    _, out, _ = cli("card", flowers, "--unset", "language", "--format", "json")
    assert json.loads(out)["changed"] == ["language"]


def test_a_dry_run_sends_nothing(cli, flowers) -> None:
    code, _, err = cli("upload", "train.csv", flowers, "--dry-run", "--no-example")
    assert code == 0
    assert "Nothing was sent" in err
    assert cli("versions", flowers)[0] == 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("upload", "train.csv", "test.csv", "ann/x"), 2),
        (("upload", "train.csv", "ann/x", "--set", "license"), 2),
        (("upload", "train.csv", "ann/x", "--set", "license=[a"), 2),
        (("upload", "none.csv", "ann/x"), 4),
        (("upload", "train.csv", "ann/x", "--no-example", "--set", "license=no-such-one"), 1),
        (("download", "ann/none"), 4),
    ],
)
def test_what_makes_no_sense_has_an_exit_code(cli, flowers, arguments, code) -> None:
    found, _, err = cli(*arguments)
    assert found == code, err
    assert err


def test_the_commands_are_those_of_the_design() -> None:
    from hfl_datasets.cli import dataset

    names = {"upload", "list", "validate", "card", "versions", "diff", "download"}
    assert names <= set(dataset.commands)
    for name in names:
        assert dataset.commands[name].help
