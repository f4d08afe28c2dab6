"""The whole record, and what it costs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import psutil
import pytest
import torch

import hfl_metadata
from hfl_core import ValidationError
from hfl_metadata import Omission, RunMetadata, capture


def test_a_record_describes_this_process():
    metadata = capture()
    assert metadata.python.version == ".".join(str(part) for part in sys.version_info[:3])
    assert metadata.packages["psutil"] == psutil.__version__
    assert metadata.packages["hfl-core"] == hfl_metadata.__version__
    assert list(metadata.packages) == sorted(metadata.packages)
    assert metadata.platform.system == platform.system()
    assert metadata.cpu.logical_cores == psutil.cpu_count()
    assert metadata.memory.total == psutil.virtual_memory().total
    assert metadata.captured_at.endswith("+00:00")
    assert metadata.model is None
    assert metadata.hyperparameters == {}
    assert metadata.data is None
    assert metadata.omissions == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_the_affinity_is_that_of_the_process():
    assert capture().cpu.affinity == sorted(os.sched_getaffinity(0))


def test_json_loses_nothing(repository, monkeypatch):
    monkeypatch.chdir(repository)
    metadata = capture(
        torch.nn.Linear(2, 3),
        {"lr": 0.1, "bad": object(), "name": "caf\u00e9 \udcff"},
        {"rows": 10},
        note=[1, None, float("inf")],
    )
    assert metadata.git.branch == "trunk"
    text = metadata.to_json()
    assert text.isascii()
    assert RunMetadata.from_json(text) == metadata
    assert RunMetadata.from_json(text.encode()) == metadata
    assert RunMetadata.from_json(text).to_json() == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "[]", "no schema version"),
        (lambda _: "{", "not JSON"),
        (lambda values: json.dumps({**values, "schema": 99}), "reads up to 2"),
        (lambda values: json.dumps({**values, "surprise": 1}), "surprise"),
        (lambda values: json.dumps({**values, "cpu": 7}), "cpu is missing or not an object"),
        (lambda values: json.dumps({**values, "gpus": [{}]}), r"gpus\[0\]"),
    ],
)
def test_what_is_not_a_record_is_refused_by_name(change, message):
    with pytest.raises(ValidationError, match=message):
        RunMetadata.from_json(change(json.loads(capture().to_json())))


def test_a_model_is_described_without_its_weights():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(False)
    model[1].to(torch.bfloat16)
    described = capture(model).model
    assert described.type == "torch.nn.modules.container.Sequential"
    assert described.parameters == 15 + 8
    assert described.trainable_parameters == 8
    assert described.bytes == 15 * 4 + 8 * 2
    assert described.dtypes == {"bfloat16": 8, "float32": 15}
    assert described.config is None


def test_a_tied_parameter_counts_once():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
    )
    model[1].weight = model[0].weight
    assert capture(model).model.parameters == 9


def test_a_configuration_comes_along_without_a_home_path():
    model = torch.nn.Linear(1, 1)
    model.config = SimpleNamespace(to_dict=lambda: {"_name_or_path": "/home/alice/x", "layers": 2})
    assert capture(model).model.config == {"_name_or_path": "~/x", "layers": 2}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_a_parameter_without_a_shape_is_named():
    metadata = capture(torch.nn.LazyLinear(3))
    assert metadata.model.parameters == 0
    assert [omission.path for omission in metadata.omissions] == [
        "model.parameters[0]",
        "model.parameters[1]",
    ]


def test_something_that_is_no_model_is_named():
    metadata = capture("bert-base")
    assert metadata.model is None
    assert metadata.omissions == [Omission("model", "str", None)]


def test_hyperparameters_come_as_a_namespace_or_an_object_too():
    assert capture(None, argparse.Namespace(lr=0.1)).hyperparameters == {"lr": 0.1}
    options = SimpleNamespace(to_dict=lambda: {"lr": 0.2})
    assert capture(hyperparameters=options).hyperparameters == {"lr": 0.2}
    assert capture(hyperparameters=[1, 2]).hyperparameters == {"value": [1, 2]}


def test_a_dataset_is_described_without_its_content():
    rows = torch.utils.data.TensorDataset(torch.zeros(7, 2))
    described = capture(data=rows).data
    assert described == {"type": "torch.utils.data.dataset.TensorDataset", "length": 7}


def test_a_dataset_s_fingerprint_and_splits_are_recorded():
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": ["a", "b"]})
    described = capture(data={"train": table, "source": "digits"}).data
    assert described["train"]["fingerprint"] == table._fingerprint
    assert described["train"]["columns"] == ["text"]
    assert described["train"]["length"] == 2
    assert described["source"] == "digits"


def test_a_stream_has_no_length():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(())

    assert "length" not in capture(data=Stream()).data


def test_the_second_capture_asks_nothing_again(repository, git, monkeypatch, tmp_path):
    monkeypatch.chdir(repository)
    first = capture()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert capture().git == first.git
    assert capture().packages == first.packages


def test_changing_a_record_does_not_change_the_next():
    capture().packages.clear()
    assert capture().packages


def run_python(code: str, **environment: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, **environment},
    )
    return answer.stdout.decode()


def test_a_capture_without_a_model_loads_nothing_heavy():
    loaded = run_python("""
        import sys
        import hfl_metadata
        assert "psutil" not in sys.modules
        hfl_metadata.capture({}.get("model"), {"lr": 0.1}, [1, 2], note="x").to_json()
        print([m for m in ("torch", "numpy", "transformers", "datasets", "huggingface_hub")
               if m in sys.modules])
        """)
    assert loaded.strip() == "[]"


@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0),
    reason="CPython 3.13.0 fails with a SystemError when anything is imported in a folder that is gone",
)
def test_a_removed_working_directory_does_not_end_a_capture(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    problem = run_python(f"""
        import os, pathlib
        os.chdir({str(gone)!r})
        pathlib.Path({str(gone)!r}).rmdir()
        from hfl_metadata import capture
        print(capture().git.problem)
        """)
    assert problem.strip() == "the working directory no longer exists"


def test_a_record_from_a_hostile_environment_holds_no_secret(repository, git, tmp_path):
    token = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"
    git(repository, "remote", "add", "origin", f"https://alice:{token}@example.com/a.git")
    script = tmp_path / "train.py"
    script.write_text("from hfl_metadata import capture\nprint(capture().to_json())\n")
    answer = subprocess.run(
        [sys.executable, str(script), "--token", token, "--password=hunter2", "--lr", "0.1"],
        stdout=subprocess.PIPE,
        check=True,
        cwd=str(repository),
        env={**os.environ, "HF_TOKEN": token, "HOME": str(tmp_path), "LOGNAME": "alicesmith"},
    )
    text = answer.stdout.decode()
    for secret in (token, "hunter2", str(tmp_path), "alicesmith"):
        assert secret not in text
    metadata = RunMetadata.from_json(text)
    assert metadata.command[-2:] == ["--lr", "0.1"]
    assert metadata.command[1] == "~/train.py"


def test_the_exported_names_are_exactly_these():
    names = [
        "BackendInfo", "CpuInfo", "DataSource", "DurationInfo", "GitInfo", "GpuInfo", "LauncherInfo",
        "LockFileInfo", "MemoryInfo", "MetadataChange", "MetadataDiff", "ModelInfo", "ModuleInfo",
        "Omission", "PackageOrigin", "PlatformInfo", "PythonInfo", "RunClock", "RunMetadata",
        "SubmoduleInfo", "__version__", "capture", "read_metadata",
    ]  # fmt: skip
    assert sorted(hfl_metadata.__all__) == names
    for name in names:
        assert getattr(hfl_metadata, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hfl_metadata.nothing  # noqa: B018  # the access is what is tested
