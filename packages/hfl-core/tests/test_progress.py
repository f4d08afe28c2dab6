from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from hfl_core import ConfigError, Progress, ProgressUpdate, Settings

SCRIPT = """
from hfl_core import Progress
with Progress() as progress:
    with progress.task("Copying [all] files", total=3_000_000, unit="bytes") as task:
        for _ in range(3):
            task.advance(1_000_000)
    with progress.task("Counting") as task:
        task.advance(7)
print("data")
"""


def run_on_terminal(tmp_path: Path, **env: str) -> tuple[str, str]:
    """Run the script with a pseudo-terminal as stderr; return stdout and what the terminal got."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "HOME": str(tmp_path), **env}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
        cwd=tmp_path,
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
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    return out.decode(), shown.decode()


def test_a_terminal_sees_bars_with_sizes_and_counts(tmp_path: Path):
    out, shown = run_on_terminal(tmp_path)
    assert out == "data\n"
    assert "Copying [all] files" in shown
    assert "2.86 MiB / 2.86 MiB" in shown
    assert "Counting" in shown
    assert "7" in shown
    assert "\x1b[" in shown


def test_no_color_leaves_the_bar_without_colour(tmp_path: Path):
    _, shown = run_on_terminal(tmp_path, NO_COLOR="1")
    assert "Copying" in shown
    assert "m" not in [part[-1:] for part in shown.split("\x1b[")[1:]]
    assert "\x1b[3" not in shown


@pytest.mark.parametrize("env", [{"HFL_PROGRESS": "0"}, {"TERM": "dumb"}])
def test_a_terminal_stays_silent_when_it_should(tmp_path: Path, env: dict[str, str]):
    assert run_on_terminal(tmp_path, **env) == ("data\n", "")


def test_a_pipe_sees_nothing(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert (done.stdout, done.stderr) == ("data\n", "")


def test_a_silent_task_counts_from_many_threads():
    with Progress(stream=io.StringIO()) as progress, progress.task("x", total=4000) as task:
        threads = [
            threading.Thread(target=lambda: [task.advance() for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert task.completed == 4000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_drawn_task_counts_from_many_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with Progress(Settings(), stream=stream) as progress, progress.task("Work", total=4000) as task:
        threads = [
            threading.Thread(target=lambda: [task.advance() for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert task.completed == 4000
    assert "4000 / 4000" in stream.getvalue()


def test_settings_may_forbid_bars():
    stream = Terminal()
    with Progress(Settings(progress=False), stream=stream) as progress, progress.task("x") as task:
        task.advance(3)
    assert stream.getvalue() == ""
    assert task.completed == 3


def test_the_bar_ends_when_the_work_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(Settings(), stream=stream)
    with pytest.raises(ValueError, match="x"), progress, progress.task("Work"):
        raise ValueError("x")
    assert stream.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_a_task_after_the_end_only_counts():
    progress = Progress(stream=io.StringIO())
    task = progress.task("late")
    task.advance(2)
    assert task.completed == 2


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_callback_is_told_how_far_how_fast_and_how_long_yet():
    clock, told = Clock(), []
    progress = Progress(mode="off", callback=told.append, clock=clock)
    with progress, progress.task("Sending", total=1000, unit="bytes") as task:
        for _ in range(4):
            clock.now += 1
            task.advance(100)
    assert [(each.completed, each.speed, each.eta, each.is_done) for each in told] == [
        (100, 100.0, 9.0, False),
        (200, 100.0, 8.0, False),
        (300, 100.0, 7.0, False),
        (400, 100.0, 6.0, False),
        (400, 100.0, 6.0, True),
    ]
    assert told[-1].path == ("Sending",)
    assert (told[-1].seconds, told[-1].unit, told[-1].total) == (4.0, "bytes", 1000)


def test_a_callback_is_not_called_for_every_byte():
    clock, told = Clock(), []
    progress = Progress(mode="off", callback=told.append, clock=clock)
    with progress, progress.task("Sending") as task:
        for _ in range(1000):
            clock.now += 0.001
            task.advance()
    assert 9 <= len(told) <= 11
    assert (told[-1].completed, told[-1].total, told[-1].eta) == (1000, None, None)


def test_speed_is_that_of_the_last_half_minute():
    clock, told = Clock(), []
    progress = Progress(mode="off", callback=told.append, clock=clock)
    with progress, progress.task("Sending") as task:
        for amount in [1000] * 60 + [10] * 60:
            clock.now += 1
            task.advance(amount)
    assert told[59].speed == 1000
    assert told[-2].speed == 10


def test_a_callback_that_raises_is_not_called_again(caplog: pytest.LogCaptureFixture):
    clock, told = Clock(), []

    def broken(update: ProgressUpdate) -> None:
        told.append(update)
        raise RuntimeError("no")

    progress = Progress(mode="off", callback=broken, clock=clock)
    with progress, progress.task("Sending") as task:
        for _ in range(5):
            clock.now += 1
            task.advance()
    assert (len(told), task.completed) == (1, 5)
    assert "is not called again" in caplog.text


def test_a_part_counts_for_the_whole():
    clock, told = Clock(), []
    progress = Progress(mode="off", callback=told.append, clock=clock)
    with progress, progress.task("Sending", total=10, unit="bytes") as whole:
        clock.now += 1
        with whole.task("model.safetensors", total=6) as part:
            part.advance(6)
        with whole.task("Hashing", total=1, unit="items", adds=False) as other:
            other.advance()
        whole.advance(4)
    assert (whole.completed, part.completed, other.completed) == (10, 6, 1)
    assert (part.unit, part.depth, other.unit) == ("bytes", 1, "items")
    assert {each.path for each in told} == {
        ("Sending",),
        ("Sending", "model.safetensors"),
        ("Sending", "Hashing"),
    }
    assert whole.update().completed == 10


def test_a_total_may_become_known_later_and_work_be_taken_back():
    clock, told = Clock(), []
    progress = Progress(mode="off", callback=told.append, clock=clock)
    with progress, progress.task("Sending") as task:
        task.advance(10)
        task.total = 20
        clock.now += 1
        task.advance(-10)
    assert (told[0].completed, told[0].total, told[0].speed, told[0].eta) == (0, 20, None, None)


def test_a_log_gets_a_line_every_few_seconds():
    clock, stream = Clock(), io.StringIO()
    with Progress(mode="lines", stream=stream, every=10, clock=clock) as progress:
        with progress.task("Sending", total=100 * 2**20, unit="bytes") as task:
            for _ in range(25):
                clock.now += 1
                task.advance(2 * 2**20)
            with task.task("short") as short:
                clock.now += 1
                short.advance()
        with progress.task("Counting") as count:
            clock.now += 4000
            count.advance(12345)
    assert stream.getvalue().splitlines() == [
        "Sending: 20 MiB / 100 MiB (20%), 2 MiB/s, 0:00:40 left",
        "Sending: 40 MiB / 100 MiB (40%), 2 MiB/s, 0:00:30 left",
        "Sending: 50 MiB / 100 MiB (50%) in 0:00:26",
        "Counting: 12,345, 3/s",
        "Counting: 12,345 in 1:06:40",
    ]


def test_a_log_that_nobody_reads_any_more_stops_nothing():
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    clock = Clock()
    progress = Progress(mode="lines", stream=Closed(), every=1, clock=clock)
    with progress, progress.task("Sending") as task:
        clock.now += 2
        task.advance()
    assert task.completed == 1


def shown_in_a_pipe(monkeypatch: pytest.MonkeyPatch, settings: Settings, **env: str) -> str:
    for name in ("CI", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    clock, stream = Clock(), io.StringIO()
    progress = Progress(settings, stream=stream, clock=clock)
    with progress, progress.task("Sending", total=2) as task:
        clock.now += 11
        task.advance()
    return stream.getvalue()


def test_lines_are_for_continuous_integration_and_for_whoever_asks(monkeypatch):
    assert shown_in_a_pipe(monkeypatch, Settings()) == ""
    assert shown_in_a_pipe(monkeypatch, Settings(), CI="false") == ""
    assert "Sending: 1 / 2" in shown_in_a_pipe(monkeypatch, Settings(), CI="true")
    assert "Sending: 1 / 2" in shown_in_a_pipe(monkeypatch, Settings(progress="lines"))
    assert shown_in_a_pipe(monkeypatch, Settings(progress=False), CI="true") == ""


def test_only_the_first_rank_shows_anything(monkeypatch):
    wish = Settings(progress="lines")
    assert shown_in_a_pipe(monkeypatch, wish, RANK="1", WORLD_SIZE="2") == ""
    assert shown_in_a_pipe(monkeypatch, wish, RANK="0", WORLD_SIZE="2") != ""


def test_settings_that_are_wrong_are_no_reason_to_stop(tmp_path: Path, monkeypatch):
    (tmp_path / "hfl.toml").write_text("progess = false\n")
    monkeypatch.chdir(tmp_path)
    with Progress(stream=io.StringIO()) as progress, progress.task("x") as task:
        task.advance()
    assert task.completed == 1


def test_a_description_is_shown_without_secrets():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(mode="lines", stream=stream, every=1, clock=clock)
    with progress, progress.task("Sending /home/ann/x to https://a:pw123@h/x") as task:
        clock.now += 2
        task.advance()
    assert stream.getvalue().startswith("Sending ~/x to https://***@h/x: 1")


@pytest.mark.parametrize(
    ("options", "message"), [({"mode": "loud"}, "called 'loud'"), ({"every": 0}, "every 0 s")]
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Progress(**options)


def test_the_bar_of_a_part_goes_when_it_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    progress = Progress(mode="bars", stream=stream)
    with progress, progress.task("Sending", total=2) as whole, whole.task(
        "part.bin", total=2
    ) as part:
        part.advance(2)
    last = stream.getvalue().rpartition("Sending")[2]
    assert "part.bin" in stream.getvalue()
    assert "part.bin" not in last
    assert "2 / 2" in last


class ZMQInteractiveShell:
    """What IPython calls the shell of a notebook's kernel."""


class Kernel(types.ModuleType):
    @staticmethod
    def get_ipython() -> ZMQInteractiveShell:
        return ZMQInteractiveShell()


def test_a_notebook_gets_tqdm_s_bars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "IPython", Kernel("IPython"))
    clock = Clock()
    with Progress(Settings(), clock=clock) as progress:
        with progress.task("Sending", total=4 * 2**20, unit="bytes") as whole:
            with whole.task("part", total=2**20) as part:
                clock.now += 1
                part.advance(2**20)
            clock.now += 1
            whole.advance(3 * 2**20)
        progress.task("left open")
    err = capsys.readouterr().err
    assert "Sending: 100%" in err
    assert "4.00M/4.00M" in err
    assert "  part" in err
    assert "left open" in err
