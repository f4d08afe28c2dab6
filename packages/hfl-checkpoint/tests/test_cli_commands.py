"""The commands that compare, diff, clean and pin, and the shape of everything that is shown."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest
import torch
import yaml
from click.testing import CliRunner

from hfl_checkpoint import CheckpointManager, _difference
from hfl_checkpoint._comparison import sparkline
from hfl_checkpoint._manifest import ComponentEntry, FileEntry, Manifest
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint.cli import checkpoint as group

COMMANDS = sorted(group.list_commands(None))  # type: ignore[arg-type]  # the group looks at none
one_python = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="click words its help by version"
)


def invoke(*arguments: Any, stdin: Optional[str] = None) -> Any:
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]  # until click 8.2
    except TypeError:
        runner = CliRunner()
    ended = runner.invoke(
        group, [str(item) for item in arguments], input=stdin, prog_name="hfl checkpoint"
    )
    return SimpleNamespace(
        exit_code=ended.exit_code,
        exception=ended.exception,
        stdout=ended.stdout,
        output=ended.stdout + ended.stderr,
    )


def told(*arguments: Any) -> Any:
    ended = invoke(*arguments, "--format", "json")
    assert ended.exception is None, ended.output
    return json.loads(ended.stdout)


def write(
    run: Path, step: int, sequence: int, metrics: Dict[str, float], *, size: int = 1 << 20
) -> None:
    """Put down a checkpoint of fixed content, with a hole for its data."""
    path = run / f"step-{step:08d}"
    path.mkdir(parents=True)
    manifest = Manifest(
        run_id="0123456789abcdef0123456789abcdef",
        sequence=sequence,
        step=step,
        epoch=step // 300,
        created_at=datetime.datetime(2030, 1, 1, 12, 0, sequence, tzinfo=datetime.timezone.utc),
        parent=None,
        world_size=1,
        metrics=metrics,
        reason="interval",
        components={"model": ComponentEntry("model", "torch.nn.Linear", ("model.bin",))},
        files=(FileEntry("model.bin", size * sequence, "0" * 32),),
        versions={"torch": "2.4.0"},
        name=path.name,
    )
    with (path / "model.bin").open("wb") as file:
        file.truncate(size * sequence)
    (path / "manifest.json").write_bytes(manifest.to_bytes())


@pytest.fixture
def fixed_run(tmp_path: Path) -> Path:
    """A run that looks the same whenever and wherever it is made."""
    run = tmp_path / "digits"
    for sequence, step in enumerate((100, 200, 300, 400, 500, 600), start=1):
        metrics = {"loss": 1.0 / sequence, "accuracy": 0.5 + 0.05 * sequence}
        if sequence % 2 == 0:
            metrics["eval_loss"] = float("nan") if sequence == 4 else 0.1 * (5 - sequence) ** 2
        write(run, step, sequence, metrics)
    directory = RunDirectory(run)
    directory._write_run_file("0123456789abcdef0123456789abcdef", "step-{step:08d}")
    directory.set_pins({"step-00000200": ("paper",)})
    return run


@pytest.fixture
def real_run(tmp_path: Path) -> Path:
    """A run of a model with an optimizer; steps 1 and 2 differ, steps 2 and 3 do not."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    run = tmp_path / "digits"
    with CheckpointManager(run, background=False) as manager:
        for step in (1, 2):
            model(torch.ones(4, 3)).square().mean().backward()
            optimizer.step()
            manager.save(
                step,
                metrics={"loss": 1 / step},
                model=model,
                optimizer=optimizer,
                counters={"seen": step, "name": "x", "nothing": None},
            )
        manager.save(
            3,
            model=model,
            optimizer=optimizer,
            counters={"seen": 2, "name": "x", "nothing": None},
        )
    return run


# Shapes


@one_python
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "command", [[], *[[name] for name in COMMANDS]], ids=lambda c: c[0] if c else ""
)
def test_the_help_stays_as_it_is(command: List[str], columns: int, snapshot: Any) -> None:
    shown = CliRunner().invoke(
        group, [*command, "--help"], prog_name="hfl checkpoint", terminal_width=columns
    )
    assert shown.exit_code == 0
    assert shown.output == snapshot


def test_every_command_can_be_loaded_and_describes_itself() -> None:
    for name in COMMANDS:
        command = group.get_command(None, name)  # type: ignore[arg-type]  # as above
        assert command is not None
        assert command.help
        assert command.name == name
    assert {"clean", "compare", "list", "push", "verify"} <= set(COMMANDS)
    assert group.get_command(None, "nonsense") is None  # type: ignore[arg-type]  # refused when it runs


def commands_shown(run: Path) -> Dict[str, List[Any]]:
    return {
        "list": ["list", run],
        "compare": ["compare", run],
        "compare-three": ["compare", run, "100..300"],
        "clean": ["clean", run, "--keep", "last:1 | best:eval_loss", "--dry-run"],
    }


@one_python
@pytest.mark.parametrize("format_", ["table", "json", "yaml", "csv"])
@pytest.mark.parametrize("name", ["list", "compare", "compare-three", "clean"])
def test_what_is_shown_stays_as_it_is(
    name: str, format_: str, fixed_run: Path, snapshot: Any
) -> None:
    ended = invoke(*commands_shown(fixed_run)[name], "--format", format_)
    assert ended.exit_code == 0
    assert ended.stdout.replace(str(fixed_run), "digits") == snapshot


@one_python
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["list", "compare", "clean"])
def test_what_a_terminal_shows_stays_as_it_is(
    name: str, columns: int, fixed_run: Path, snapshot: Any
) -> None:
    master, slave = pty.openpty()
    program = "from hfl_checkpoint.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, commands_shown(fixed_run)[name])],
        stdout=slave,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(60) == 0
    lines = [line.rstrip() for line in shown.decode().splitlines()]
    assert max(map(len, lines)) <= columns
    assert "\n".join(lines) == snapshot


def test_json_yaml_and_the_library_tell_the_same(fixed_run: Path) -> None:
    rows = told("list", fixed_run)
    assert yaml.safe_load(invoke("list", fixed_run, "--format", "yaml").stdout) == rows
    shown = told("show", fixed_run, "200")
    assert {key: shown[key] for key in rows[1]} == rows[1]
    assert rows[1]["metrics"]["eval_loss"] == pytest.approx(0.9)
    assert rows[3]["metrics"]["eval_loss"] == "nan"
    assert rows[1]["labels"] == ["paper"]
    flat = list(
        csv.DictReader(io.StringIO(invoke("show", fixed_run, "200", "--format", "csv").stdout))
    )
    assert flat[0]["metrics.loss"] == "0.5"
    assert flat[0]["name"] == "step-00000200"


def test_a_list_mentions_what_is_odd(fixed_run: Path) -> None:
    (fixed_run / "step-00000100" / "manifest.json").rename(fixed_run / "step-00000100" / "old.json")
    (fixed_run / "step-00000100" / "state").mkdir()
    ended = invoke("list", fixed_run)
    assert "step-00000100" not in ended.stdout
    assert "Warning: step-00000100 holds files of a checkpoint and no manifest.json" in ended.output


# Clean


def steps_on_disk(run: Path) -> List[int]:
    return [item.step for item in CheckpointManager(run).checkpoints()]


def save_some(run: Path, *, metrics: bool = True) -> Path:
    with CheckpointManager(run, background=False) as manager:
        for step in (1, 2, 3, 4):
            manager.save(
                step, metrics={"loss": step / 10} if metrics else {}, counters={"step": step}
            )
    return run


def test_a_dry_run_touches_nothing_and_tells_every_vote(tmp_path: Path, tree: Any) -> None:
    run = save_some(tmp_path / "run")
    before = tree(run)
    rows = told("clean", run, "--keep", "last:1 | best:loss", "--dry-run")
    assert tree(run) == before
    assert [(row["step"], row["decision"]) for row in rows] == [
        (1, "keep"),
        (2, "delete"),
        (3, "delete"),
        (4, "keep"),
    ]
    assert rows[1]["votes"] == [
        {"policy": "KeepLast(n=1)", "keeps": False, "reason": "newest is another one"},
        {
            "policy": "KeepBest(metric='loss', n=1, mode='min')",
            "keeps": False,
            "reason": "its loss of 0.2 is not among the best 1",
        },
    ]


@pytest.mark.parametrize(
    ("answer", "left"), [("n\n", [1, 2, 3, 4]), ("", [1, 2, 3, 4]), ("y\n", [4])]
)
def test_it_asks_before_it_deletes(answer: str, left: List[int], tmp_path: Path) -> None:
    run = save_some(tmp_path / "run")
    ended = invoke("clean", run, "--keep", "last:1", stdin=answer)
    assert "Delete 3 checkpoints?" in ended.output
    assert ended.output.count("step-00000001") == 1
    assert (ended.exit_code == 0) == (left == [4])
    assert steps_on_disk(run) == left


def test_scripts_do_not_get_asked_and_learn_what_was_done(tmp_path: Path) -> None:
    run = save_some(tmp_path / "run")
    ended = invoke("clean", run, "--keep", "last:2", "--yes", "--format", "json")
    assert ended.exit_code == 0
    assert [row["decision"] for row in json.loads(ended.stdout)] == [
        "delete",
        "delete",
        "keep",
        "keep",
    ]
    assert "Deleted 2 checkpoints" in ended.output
    assert steps_on_disk(run) == [3, 4]
    assert "Nothing to delete." in invoke("clean", run, "--keep", "last:2", "--yes").output
    assert "Nothing to delete." in invoke("clean", run, "--keep", "last:2").output


def test_the_setting_says_what_to_keep_where_the_command_does_not(
    tmp_path: Path, monkeypatch: Any
) -> None:
    run = save_some(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    ended = invoke("clean", run, "--yes")
    assert "Nothing says what to keep" in str(ended.exception)
    monkeypatch.setenv("HFL_KEEP", "last:3")
    assert invoke("clean", run, "--yes").exit_code == 0
    assert steps_on_disk(run) == [2, 3, 4]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("best:typo", "No checkpoint has the metric 'typo'"),
        ("last:1 | best:typo:2", "No checkpoint has the metric 'typo'"),
        ("last:0", "cannot keep 0 checkpoints"),
        ("first:3", "no policy 'first'"),
    ],
)
def test_a_policy_that_makes_no_sense_deletes_nothing(
    keep: str, message: str, tmp_path: Path
) -> None:
    run = save_some(tmp_path / "run")
    ended = invoke("clean", run, "--keep", keep, "--yes")
    assert message in str(ended.exception)
    assert steps_on_disk(run) == [1, 2, 3, 4]


def test_what_is_pinned_stays_and_the_bytes_that_are_freed_are_told(tmp_path: Path) -> None:
    run = save_some(tmp_path / "run")
    assert invoke("pin", run, "2", "--label", "paper").exit_code == 0
    ended = invoke("clean", run, "--keep", "last:1", "--dry-run")
    assert "pinned (paper)" in ended.output
    assert "Would delete 2 checkpoints" in ended.output
    shared = run / "step-00000001" / "metadata.json"
    before = told("clean", run, "--keep", "last:1", "--dry-run")
    shared.unlink()
    os.link(run / "step-00000004" / "metadata.json", shared)
    less = invoke("clean", run, "--keep", "last:1", "--dry-run").output
    assert less.splitlines()[-1] != ended.output.splitlines()[-1]
    assert [row["decision"] for row in before] == ["delete", "protected", "delete", "keep"]


# Pins


def test_pins_go_by_range_and_pattern_and_a_label_by_one(tmp_path: Path) -> None:
    run = save_some(tmp_path / "run")
    assert [row["pinned"] for row in told("pin", run, "2..3")] == [True, True]
    assert told("pin", run, "best:loss", "--label", "best-one")[0]["labels"] == ["best-one"]
    ended = invoke("pin", run, "*", "--label", "all-of-them")
    assert ended.exit_code == 2
    assert "A label belongs to one checkpoint, and 4 are meant" in ended.output
    assert [row["pinned"] for row in told("list", run)] == [True, True, True, False]
    assert [row["name"] for row in told("unpin", run, "best-one", "3")] == [
        "step-00000001",
        "step-00000003",
    ]
    assert [row["pinned"] for row in told("list", run)] == [False, True, False, False]


def test_verify_goes_by_range_and_pattern(tmp_path: Path) -> None:
    run = save_some(tmp_path / "run")
    assert [row["name"][-1] for row in told("verify", run, "1..2", "*4")] == ["1", "2", "4"]
    (run / "step-00000002" / "state" / "counters.json").unlink()
    ended = invoke("verify", run, "1..2", "--format", "json")
    assert ended.exit_code == 5
    (bad,) = [row for row in json.loads(ended.stdout) if not row["ok"]]
    assert bad["problems"] == ["state/counters.json cannot be read (No such file or directory)"]


# Compare


def test_compare_follows_every_metric(fixed_run: Path) -> None:
    rows = {row["metric"]: row for row in told("compare", fixed_run)}
    assert list(rows) == ["accuracy", "eval_loss", "loss"]
    found = rows["eval_loss"]
    assert found["values"] == {
        "step-00000100": None,
        "step-00000200": pytest.approx(0.9),
        "step-00000300": None,
        "step-00000400": "nan",
        "step-00000500": None,
        "step-00000600": pytest.approx(0.1),
    }
    assert (found["first"], found["last"]) == (pytest.approx(0.9), pytest.approx(0.1))
    assert (found["lowest_at"], found["highest_at"]) == ("step-00000600", "step-00000200")
    assert "trend" not in found


def test_compare_of_what_has_no_metrics_says_so(tmp_path: Path) -> None:
    run = save_some(tmp_path / "run", metrics=False)
    assert "have no metrics" in invoke("compare", run).output
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoint" in invoke("compare", tmp_path / "empty").output


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([None, float("nan")], ""),
        ([3.0], "▁"),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([0.0, None, float("inf"), 1.0], "▁  █"),
        ([-1.7e308, 0.0, 1.7e308], "▁▅█"),
        (list(range(8)), "▁▂▃▄▅▆▇█"),
    ],
    ids=str,
)
def test_a_sparkline_shows_the_course(values: Any, line: str) -> None:
    assert sparkline(values) == line


def test_a_long_sparkline_averages_and_a_plain_one_is_ascii() -> None:
    assert sparkline([float(n) for n in range(1000)], width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.0, 0.5, 1.0], plain=True).isascii()


def test_a_terminal_that_knows_ascii_alone_gets_ascii(fixed_run: Path) -> None:
    program = "from hfl_checkpoint.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "compare", str(fixed_run)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=True,
    )
    assert ended.stdout.isascii()
    assert b"\\u" not in ended.stdout
    assert b"@" in ended.stdout


# Diff


def test_diff_names_what_changed_and_by_how_much(real_run: Path) -> None:
    rows = {(row["component"], row["item"]): row for row in told("diff", real_run, "1", "2")}
    weight = rows["model", "weight"]
    load = CheckpointManager(real_run).load
    one, two = (load(step, only=["model"])["model"]["weight"].double() for step in (1, 2))
    assert weight["kind"] == "changed"
    assert weight["max_abs"] == pytest.approx(float((two - one).abs().max()))
    assert weight["rel_l2"] == pytest.approx(float((two - one).norm() / one.norm()))
    assert (weight["changed"], weight["total"], weight["new_nans"]) == (6, 6, 0)
    assert rows["counters", "seen"]["before"] == "1"
    assert rows["counters", "seen"]["after"] == "2"
    assert ("counters", "name") not in rows
    assert any(item.startswith("state/") for component, item in rows if component == "optimizer")


def test_diff_of_equal_checkpoints_says_so(real_run: Path) -> None:
    ended = invoke("diff", real_run, "2")
    assert ended.exit_code == 0
    assert "step-00000002 and step-00000003 hold the same." in ended.output
    assert told("diff", real_run, "2", "3") == []
    summaries = told("diff", real_run, "2", "3", "--summary")
    assert {row["component"]: row["kind"] for row in summaries} == {
        "model": "same",
        "optimizer": "same",
        "counters": "same",
    }
    header = invoke("diff", real_run, "2", "3", "--format", "csv").stdout.splitlines()
    assert header[0].startswith("component,item,kind,")


def test_diff_of_some_components_and_of_one_that_is_not_there(real_run: Path) -> None:
    assert {row["component"] for row in told("diff", real_run, "1", "2", "--only", "model")} == {
        "model"
    }
    ended = invoke("diff", real_run, "1", "2", "--only", "ema")
    assert "has a component 'ema'" in str(ended.exception)


def test_a_long_table_is_cut_and_says_so(real_run: Path) -> None:
    ended = invoke("diff", real_run, "1", "2", "--limit", "2")
    assert len(ended.stdout.splitlines()) >= 3
    assert "more differ; --limit 0 shows all." in ended.output
    assert "more differ" not in invoke("diff", real_run, "1", "2", "--limit", "0").output


SPECIAL = {
    "bf16": torch.arange(6, dtype=torch.bfloat16),
    "fp8": torch.arange(6).to(torch.float8_e4m3fn),
    "complex": torch.complex(torch.arange(6.0), torch.ones(6)),
    "int64": torch.arange(6) + 2**60,
    "uint8": torch.arange(6, dtype=torch.uint8),
    "uint64": torch.arange(6, dtype=torch.int64).view(torch.uint64),
    "bool": torch.tensor([True, False] * 3),
    "scalar": torch.tensor(1.0),
    "empty": torch.empty(0),
    "strided": torch.arange(6.0).reshape(2, 3).t(),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_diff_measures_every_kind_of_tensor(name: str, tmp_path: Path) -> None:
    tensor = SPECIAL[name]
    with CheckpointManager(tmp_path / "run", background=False) as manager:
        manager.save(1, data={"t": tensor})
        manager.save(2, data={"t": tensor.clone(), "more": 1})
        raw = tensor.clone().contiguous().reshape(-1)
        if raw.numel():
            raw.view(torch.uint8)[-1 if name != "bool" else 0] ^= 1
        manager.save(3, data={"t": raw.reshape(tensor.shape)})
    assert [row["item"] for row in told("diff", tmp_path / "run", "1", "2")] == ["more"]
    rows = told("diff", tmp_path / "run", "1", "3")
    if tensor.numel() == 0:
        assert rows == []
        return
    (row,) = rows
    assert row["item"] == "t"
    assert row["changed"] == 1
    assert row["max_abs"] > 0


def test_diff_tells_nans_shapes_and_what_came_and_went(tmp_path: Path) -> None:
    nan = float("nan")
    with CheckpointManager(tmp_path / "run", background=False) as manager:
        manager.save(
            1,
            a={
                "same": torch.tensor([nan, 1.0]),
                "bad": torch.ones(4),
                "shape": torch.ones(2),
                "f": nan,
            },
            gone={"x": 1},
        )
        manager.save(
            2,
            a={
                "same": torch.tensor([nan, 1.0]),
                "bad": torch.tensor([1.0, nan, nan, 3.0]),
                "shape": torch.ones(2, dtype=torch.float64),
                "f": nan,
                "list": [1, [2, torch.zeros(1)]],
            },
            came={"y": torch.zeros(3), "z": 1},
        )
    rows = {row["item"]: row for row in told("diff", tmp_path / "run", "1", "2")}
    assert set(rows) == {"bad", "shape", "list/0", "list/1/0", "list/1/1"}
    assert (rows["bad"]["changed"], rows["bad"]["new_nans"], rows["bad"]["max_abs"]) == (3, 2, 2.0)
    assert rows["shape"]["kind"] == "replaced"
    assert (rows["shape"]["before"], rows["shape"]["after"]) == ("float32[2]", "float64[2]")
    assert (rows["list/1/1"]["kind"], rows["list/1/1"]["after"]) == ("added", "float32[1]")
    ended = invoke("diff", tmp_path / "run", "1", "2")
    assert "2 became NaN" in ended.stdout
    assert "Component gone was removed." in ended.output
    kinds = {row["component"]: row for row in told("diff", tmp_path / "run", "1", "2", "--summary")}
    assert kinds["came"]["kind"] == "added"
    assert (kinds["gone"]["kind"], kinds["gone"]["items"]) == ("removed", 1)
    assert kinds["a"]["max_abs"] == 2.0


def test_diff_reads_large_tensors_in_pieces(tmp_path: Path) -> None:
    torch.manual_seed(0)
    count = _difference._PIECE * 2 + 7
    one = torch.randn(count)
    two = one + torch.randn(count) * (torch.arange(count) > count - 10)
    with CheckpointManager(tmp_path / "run", background=False) as manager:
        manager.save(1, data={"t": one})
        manager.save(2, data={"t": two})
    (row,) = told("diff", tmp_path / "run", "1", "2")
    apart = (two.double() - one.double()).abs()
    assert (row["changed"], row["total"]) == (int((one != two).sum()), count)
    assert row["max_abs"] == float(apart.max())
    assert row["rel_l2"] == pytest.approx(float(apart.norm() / one.double().norm()))


def test_diff_holds_both_checkpoints_while_it_reads(real_run: Path) -> None:
    seen: List[Any] = []
    is_looking = [True]

    def look(event: str, arguments: Any) -> None:
        if is_looking[0] and event == "open" and str(arguments[0]).endswith("model.json"):
            seen.append(
                sorted(path.name.split(".")[0] for path in (real_run / ".leases").iterdir())
            )

    sys.addaudithook(look)
    try:
        told("diff", real_run, "1", "2")
    finally:
        is_looking[0] = False  # a hook stays for good
    assert seen
    assert all(names == ["step-00000001", "step-00000002"] for names in seen)


# The shell


@pytest.mark.parametrize(("rest", "status"), [(">/dev/full", 8), (">&-", 1), ("2>&-", 0)])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_results_that_go_nowhere_are_an_error(rest: str, status: int, fixed_run: Path) -> None:
    program = "from hfl_checkpoint.cli import main; main()"
    command = f'exec "$0" -c "$1" list "$2" {rest}'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, program, str(fixed_run)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status
    assert ("Error: The results" in ended.stderr) == (status != 0)
    assert "Traceback" not in ended.stderr
