from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import hfl_localhub
from hfl_core.errors import ConfigError
from hfl_localhub import LocalHub
from hfl_localhub._shared_lock import SharedLock
from hfl_localhub._weighted_cache import WeightedCache


def test_the_public_names_are_these():
    assert sorted(hfl_localhub.__all__) == [
        "Fault",
        "Faults",
        "LocalHub",
        "RequestLog",
        "RequestRecord",
        "__version__",
    ]
    for name in hfl_localhub.__all__:
        assert getattr(hfl_localhub, name)


def test_importing_the_package_and_its_plugin_is_cheap():
    code = (
        "import sys, hfl_localhub, hfl_localhub.pytest_plugin;"
        "heavy = {'dulwich', 'starlette', 'uvicorn', 'yaml', 'lz4', 'torch', 'huggingface_hub'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


FIXTURE_TEST = """
import json, os, urllib.request

def test_it(local_hub):
    assert os.environ["HF_ENDPOINT"] == local_hub.endpoint
    assert os.environ["HF_TOKEN"] != "hf_public"
    assert "HF_HUB_CACHE" not in os.environ
    assert "HFL_ENDPOINT" not in os.environ
    assert os.environ["HF_HOME"].startswith(str(local_hub.root))
    request = urllib.request.Request(
        local_hub.endpoint + "/api/whoami-v2",
        headers={"Authorization": "Bearer " + os.environ["HF_TOKEN"]},
    )
    with urllib.request.urlopen(request) as response:
        assert json.load(response)["name"] == "local"

def test_afterwards():
    assert os.environ["HF_TOKEN"] == "hf_public"
    assert os.environ["HF_HUB_CACHE"] == "/public/cache"
"""


def test_the_fixture_keeps_a_process_away_from_the_public_hub(tmp_path):
    (tmp_path / "test_it.py").write_text(FIXTURE_TEST)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            str(tmp_path),
        ],
        env={
            **os.environ,
            "HF_TOKEN": "hf_public",
            "HF_HUB_CACHE": "/public/cache",
            "HFL_ENDPOINT": "https://huggingface.co",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "hub.example", "::"])
def test_a_hub_does_not_listen_where_others_reach_it_unasked(tmp_path, host):
    with pytest.raises(ConfigError, match="allow_remote"):
        LocalHub(tmp_path / "hub", host=host)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9"])
def test_a_hub_listens_on_loopback(tmp_path, host):
    with LocalHub(tmp_path, host=host) as hub:
        assert hub.endpoint.startswith(f"http://{host}:")


def test_an_environment_for_children_holds_no_other_token(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_CO_STAGING"):
        monkeypatch.setenv(name, "public")
    with LocalHub(tmp_path / "hub") as hub:
        environment = hub.environment()
        assert "public" not in environment.values()
        assert environment["HF_ENDPOINT"] == hub.endpoint
        token = hub.create_user("ann")
        assert hub.environment(token)["HF_TOKEN"] == token
        hub.log_in(token)
        assert (tmp_path / "hub" / "client" / "token").read_text() == token
        assert hub.user_of(token) == "ann"
        assert hub.user_of("hf_other") is None


def test_a_folder_of_a_newer_format_is_left_alone(tmp_path):
    with LocalHub(tmp_path) as hub:
        hub.create_user("ann")
    (tmp_path / "hub.json").write_text('{"format": 2, "key": "00"}')
    with pytest.raises(ConfigError, match="format 2"):
        LocalHub(tmp_path).start()


def test_the_cache_forgets_what_was_not_used_for_longest():
    cache = WeightedCache(capacity=3)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 2)
    assert [cache.get(name) for name in "abc"] == [1, None, 3]
    cache.put("huge", 4, 9)
    assert cache.get("huge") is None
    cache.put("a", 5, 3)
    assert [cache.get(name) for name in "ac"] == [5, None]


def test_who_waits_to_be_alone_is_let_in_before_newcomers():
    lock, order = SharedLock(), []
    inside, asked = threading.Event(), threading.Event()

    def alone():
        asked.set()
        with lock.alone():
            order.append("alone")

    def shared():
        with lock.shared():
            order.append("shared")

    with lock.shared():
        first = threading.Thread(target=alone)
        first.start()
        asked.wait()
        while not lock._waiting_alone:
            inside.wait(0.001)
        second = threading.Thread(target=shared)
        second.start()
        assert order == []
    first.join()
    second.join()
    assert order == ["alone", "shared"]
