"""The plugin, of which Lightning calls the first process's only, says so instead of waiting for the others."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import torch.distributed as distributed
from hfl_core import ConfigError
from hfl_integrations.lightning import LifecycleCheckpointIO

distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}/store", rank=int(sys.argv[2]), world_size=2)
if sys.argv[2] == "0":
    try:
        LifecycleCheckpointIO().save_checkpoint({"global_step": 1}, f"{sys.argv[1]}/one")
    except ConfigError as error:
        print(error.message)
distributed.barrier()
"""


def test_a_plugin_among_several_processes_is_refused(tmp_path) -> None:
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), str(rank)],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=240)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert "several train here" in said[0]
    assert not (tmp_path / "one").exists()
