"""What a person at a terminal sees of the demo."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

SCRIPT = """
import sys
from hf_lifecycle._demo.spectator import Spectator
from hfl_core.cli import Output

with Spectator(Output(format="table")) as spectator:
    for description in ("With kills", "Undisturbed"):
        spectator.begin(description, 500)
        for step in range(1, 501):  # a process that is read when it has ended says all at once
            spectator.advance(step)
"""


def test_every_bar_ends_at_the_last_step(tmp_path):
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=slave, stderr=slave, env=environment
    ) as process:
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
    assert process.returncode == 0, shown.decode()
    for description in ("With kills", "Undisturbed"):
        last = [line for line in shown.decode().splitlines() if description in line][-1]
        assert "500 / 500" in last
