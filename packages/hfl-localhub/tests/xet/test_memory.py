"""Memory stays bounded, whatever the size of a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from xet_objects import random_bytes

pytest.importorskip("hf_xet")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_file_of_several_xorbs_passes_through_little_memory(small_hub, client, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        for number in range(140):
            file.write(random_bytes(number, 1_000_000))
    [info] = client(small_hub, "upload", "models/ann/digits", tmp_path / "large")
    assert len(list((small_hub.root / "xet" / "xorbs").glob("*/*"))) >= 3
    before = peak_memory(small_hub)
    arguments = (info["hash"], info["size"], tmp_path / "back")
    client(small_hub, "download", "models/ann/digits", *arguments, cache="b")
    assert (tmp_path / "back").stat().st_size == info["size"] == 140_000_000
    assert before < 150 * 1024 * 1024
    assert peak_memory(small_hub) < 150 * 1024 * 1024


def peak_memory(hub):
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
