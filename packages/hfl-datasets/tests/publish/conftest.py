from __future__ import annotations

import base64
import itertools
import json

import huggingface_hub.constants
import pyarrow as pa
import pytest

from hfl_core import RetryPolicy
from hfl_datasets import DatasetManager
from hfl_localhub import LocalHub

QUICK = RetryPolicy(attempts=4, base_delay=0.0)
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def token(hub):
    return hub.create_user("ann")


@pytest.fixture(autouse=True)
def _clean(request, monkeypatch, tmp_path):
    """No setting, token or file of the person who runs the tests; no fault of another test."""
    for name in ("HF_TOKEN", "HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # for processes that a test starts
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    if "hub" in request.fixturenames:
        running = request.getfixturevalue("hub")
        for name, value in running.settings(request.getfixturevalue("token")).items():
            monkeypatch.setenv(name, value)
        running.faults.clear()


@pytest.fixture
def dataset(hub, token):
    """Make a manager that does not wait between attempts."""

    def make(name=None):
        made = DatasetManager(name or f"ann/set{next(_NUMBERS)}")
        made.repo._hub.retry = QUICK
        return made

    return make


@pytest.fixture
def publish():
    """Upload without the example, which takes a process of its own, and without validation."""

    def publish(dataset, source, **options):
        if isinstance(source, list):
            source = pa.Table.from_pylist(source)
        elif isinstance(source, dict):
            source = {
                split: pa.Table.from_pylist(rows) if isinstance(rows, list) else rows
                for split, rows in source.items()
            }
        return dataset.upload(source, **{"example": False, "validate": False, **options})

    return publish


@pytest.fixture
def commit(hub, token):
    """Commit as somebody else would, without this library."""
    import http.client
    from urllib.parse import urlsplit

    def commit(repo_id, files, message="By hand"):
        lines = [{"key": "header", "value": {"summary": message, "description": ""}}]
        lines += [
            {
                "key": "file",
                "value": {
                    "path": path,
                    "content": base64.b64encode(content).decode(),
                    "encoding": "base64",
                },
            }
            for path, content in files.items()
        ]
        connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc)
        connection.request(
            "POST",
            f"/api/datasets/{repo_id}/commit/main",
            "\n".join(map(json.dumps, lines)),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
        )
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return json.loads(body)["commitOid"]

    return commit


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run `hfl-dataset` with its arguments; return exit code, stdout and stderr."""
    import logging
    import sys

    def run(*arguments):
        from hfl_datasets.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["hfl-dataset", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield run
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)
