from __future__ import annotations

import datetime as dt
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from hfl_core import ConfigError, configure_logging, get_logger
from hfl_core._log_file import RotatingFile
from hfl_core._log_format import JsonFormatter


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger("hfl")
    yield
    configure_logging()
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.NOTSET)


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def record(text: str, at: float) -> logging.LogRecord:
    made = logging.LogRecord("hfl.x", logging.INFO, "x.py", 1, text, None, None)
    made.created = at
    return made


def handler_for(path: Path, **options: Any) -> RotatingFile:
    made = RotatingFile(path, **{"max_bytes": 10_000, "backups": 3, **options})
    made.setFormatter(JsonFormatter())
    return made


def messages(path: Path) -> list[str]:
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_rotated_when_its_first_line_is_old(tmp_path: Path):
    path, clock = tmp_path / "x.log", Clock(1_000_000.0)
    handler = handler_for(path, max_age=60, clock=clock)
    for second in (0, 30, 59.9, 60, 61):
        clock.now = 1_000_000.0 + second
        handler.emit(record(f"at {second}", clock.now))
    handler.close()
    assert messages(tmp_path / "x.log.1") == ["at 0", "at 30", "at 59.9"]
    assert messages(path) == ["at 60", "at 61"]


def test_a_file_of_an_earlier_process_knows_its_age(tmp_path: Path):
    path, clock = tmp_path / "x.log", Clock(1_000_000.0)
    for second in (0, 50, 70):
        clock.now = 1_000_000.0 + second
        handler = handler_for(path, max_age=60, clock=clock)
        handler.emit(record(f"at {second}", clock.now))
        handler.close()
    assert messages(tmp_path / "x.log.1") == ["at 0", "at 50"]
    assert messages(path) == ["at 70"]


def test_the_age_of_a_foreign_file_is_that_of_its_last_line(tmp_path: Path):
    path = tmp_path / "x.log"
    path.write_text("plain text\n")
    os.utime(path, (1000, 1000))
    handler = handler_for(path, max_age=60, clock=Clock(2000))
    handler.emit(record("new", 2000))
    handler.close()
    assert (tmp_path / "x.log.1").read_text() == "plain text\n"
    assert messages(path) == ["new"]


def test_two_processes_agree_on_the_age_of_a_file_that_was_empty(tmp_path: Path):
    path, clock = tmp_path / "x.log", Clock(1_000_000.0)
    first, second = (handler_for(path, max_age=60, clock=clock) for _ in range(2))
    first.emit(record("first", clock.now))
    clock.now += 61
    second.emit(record("second", clock.now))
    first.emit(record("third", clock.now))
    first.close()
    second.close()
    assert messages(tmp_path / "x.log.1") == ["first"]
    assert messages(path) == ["second", "third"]


def test_backups_past_their_time_or_number_are_deleted(tmp_path: Path):
    path = tmp_path / "x.log"
    for number in (1, 2, 3, 9):
        (tmp_path / f"x.log.{number}").write_text("old\n")
    os.utime(tmp_path / "x.log.3", (0, 0))
    (tmp_path / "x.log.bak").write_text("not ours")
    (tmp_path / "x.log.\u0661").write_text("not ours")  # a digit, but none that we write
    handler_for(path, keep_for=3600).close()
    assert names(tmp_path) == ["x.log", "x.log.1", "x.log.2", "x.log.bak", "x.log.\u0661"]


def test_without_backups_the_file_begins_anew(tmp_path: Path):
    path = tmp_path / "x.log"
    handler = handler_for(path, max_bytes=150, backups=0)
    for number in range(4):
        handler.emit(record(f"line {number}", 0))
    handler.close()
    assert names(tmp_path) == ["x.log"]
    assert messages(path) == ["line 3"]


def test_a_line_that_is_longer_than_a_file_is_written_whole(tmp_path: Path):
    path = tmp_path / "x.log"
    handler = handler_for(path, max_bytes=100)
    handler.emit(record("x" * 1000, 0))
    handler.emit(record("y" * 1000, 0))
    handler.close()
    assert messages(path) == ["y" * 1000]
    assert messages(tmp_path / "x.log.1") == ["x" * 1000]


def test_a_file_that_somebody_moved_is_made_again(tmp_path: Path):
    path = tmp_path / "x.log"
    handler = handler_for(path)
    handler.emit(record("before", 0))
    path.rename(tmp_path / "archive.log")  # as logrotate does
    handler.emit(record("after", 0))
    path.unlink()
    handler.emit(record("again", 0))
    handler.close()
    assert messages(tmp_path / "archive.log") == ["before"]
    assert messages(path) == ["again"]


WRITER = """
import sys
from hfl_core import configure_logging, get_logger
configure_logging(-2, file=sys.argv[1], max_bytes=20_000, backups=500, file_verbosity=1)
log = get_logger("writer")
print("ready", flush=True)
sys.stdin.readline()
for number in range(400):
    log.info("%s-%d %s", sys.argv[2], number, "ü" * 200)
"""


def test_processes_that_share_a_file_lose_no_line_and_tear_none(tmp_path: Path):
    path = tmp_path / "shared.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=120)
        assert writer.returncode == 0
    files = list(tmp_path.iterdir())
    assert len(files) > 20  # it was rotated many times meanwhile
    assert all(each.stat().st_size <= 20_000 for each in files)
    found = [text.split()[0] for each in files for text in messages(each)]
    assert sorted(found) == sorted(f"{w}-{n}" for w in range(4) for n in range(400))


def test_the_lines_of_one_process_stay_in_order_across_files(tmp_path: Path):
    path = tmp_path / "x.log"
    configure_logging(-2, file=path, file_verbosity=1, max_bytes=1000, backups=100)
    for number in range(50):
        get_logger("x").info("%d", number)
    count = len(list(tmp_path.iterdir()))
    ordered = [tmp_path / f"x.log.{n}" for n in range(count - 1, 0, -1)] + [path]
    assert [int(text) for each in ordered for text in messages(each)] == list(range(50))


FORKER = """
import os, sys
from hfl_core import configure_logging, get_logger
configure_logging(-2, file=sys.argv[1], max_bytes=5_000, backups=500, file_verbosity=1)
log = get_logger("forker")
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            log.info("%d-%d", child, number)
        os._exit(0)
    children.append(pid)
for number in range(100):
    log.info("parent-%d", number)
sys.exit(any(os.waitpid(pid, 0)[1] for pid in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_share_the_file_too(tmp_path: Path):
    path = tmp_path / "forked.log"
    subprocess.run([sys.executable, "-c", FORKER, str(path)], check=True, timeout=120)
    found = [text for each in tmp_path.iterdir() for text in messages(each)]
    who = ["parent", "0", "1", "2"]
    assert sorted(found) == sorted(f"{each}-{n}" for each in who for n in range(100))


@pytest.mark.skipif(sys.platform == "win32", reason="needs file locks")
def test_a_stopped_process_that_holds_the_lock_stops_nobody(tmp_path: Path):
    import fcntl

    path = tmp_path / "x.log"
    handler = handler_for(path, max_bytes=200)
    handler.emit(record("first", 0))
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        handler.emit(record("second", 0))
        handler.emit(record("third", 0))
    handler.close()
    assert messages(path) == ["first", "second", "third"]  # whole, and not rotated without the lock


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "x.log").symlink_to("/dev/full")
    configure_logging(-2, file=tmp_path / "x.log", file_verbosity=1)
    for _ in range(3):
        get_logger("x").info("lost")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "cannot be written any more" in err


@pytest.mark.parametrize(
    ("environ", "per_rank", "name"),
    [
        ({}, None, "train.log"),
        ({}, True, "train.rank00000.log"),
        ({"RANK": "3", "WORLD_SIZE": "8"}, None, "train.rank00003.log"),
        ({"RANK": "3", "WORLD_SIZE": "8"}, False, "train.log"),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None, "train.log"),
        ({"SLURM_PROCID": "12", "SLURM_STEP_NUM_TASKS": "16"}, None, "train.rank00012.log"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "16"}, None, "train.log"),  # the batch script
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, None, "train.rank00001.log"),
        ({"RANK": "many", "WORLD_SIZE": "8"}, None, "train.log"),
    ],
)
def test_each_rank_has_a_file_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    per_rank: bool | None,
    name: str,
):
    for variable in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    configure_logging(file=tmp_path / "train.log", per_rank=per_rank)
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("option", ["max_age", "keep_for"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), dt.timedelta(0)])
def test_ages_that_make_no_sense_are_refused(tmp_path: Path, option: str, value: Any):
    with pytest.raises(ConfigError, match=option):
        configure_logging(file=tmp_path / "x.log", **{option: value})
    assert names(tmp_path) == []


def test_ages_may_be_timedeltas(tmp_path: Path):
    configure: Callable[..., None] = configure_logging
    configure(file=tmp_path / "x.log", max_age=dt.timedelta(days=1), keep_for=dt.timedelta(days=7))
    assert names(tmp_path) == ["x.log"]
