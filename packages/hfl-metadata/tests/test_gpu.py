"""The driver's answers, from a stand-in for the NVIDIA bindings in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BINDINGS = """
class NVMLError(Exception):
    pass

class Memory:
    total = 85 * 10**9

def nvmlInit():
    if {dead}:
        raise NVMLError("Driver Not Loaded")

def nvmlShutdown():
    pass

def nvmlSystemGetDriverVersion():
    return b"550.54"

def nvmlDeviceGetCount():
    return 2

def nvmlDeviceGetHandleByIndex(index):
    return index

def nvmlDeviceGetName(handle):
    return "NVIDIA H100"

def nvmlDeviceGetMemoryInfo(handle):
    if handle == 1:
        raise NVMLError("Not Supported")
    return Memory

def nvmlDeviceGetCudaComputeCapability(handle):
    return (9, 0)
"""


def gpus(tmp_path: Path, *, dead: bool) -> list:
    (tmp_path / "pynvml.py").write_text(BINDINGS.replace("{dead}", str(dead)))
    code = """
import hfl_metadata, json
from hfl_metadata import _gpu
_gpu.SIGNS = ("/",)
print(json.dumps(json.loads(hfl_metadata.capture().to_json())["gpus"]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    return json.loads(answer.stdout)


def test_every_gpu_is_described_and_a_refused_question_costs_one_field(tmp_path):
    common = {"name": "NVIDIA H100", "compute_capability": "9.0", "driver": "550.54"}
    assert gpus(tmp_path, dead=False) == [
        {"index": 0, "memory": 85 * 10**9, **common},
        {"index": 1, "memory": None, **common},
    ]


def test_without_a_driver_there_are_no_gpus(tmp_path):
    assert gpus(tmp_path, dead=True) == []
