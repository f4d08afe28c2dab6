from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hfl_core import Progress, Settings

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
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=tmp_path
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
