"""``hfl doctor`` on machines that are well and on ones that are not."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from hf_lifecycle._doctor._examine import examine
from hf_lifecycle._doctor._machine import folders
from hf_lifecycle._doctor._software import requirements


def by_check(findings):
    return {finding.check: finding for finding in findings}


def test_a_machine_that_is_well_has_no_problems(folder, local_hub, monkeypatch):
    token = local_hub.create_user("ann", orgs=("lab",))
    monkeypatch.setenv("HF_TOKEN", token)
    found = examine(folder)
    states = {finding.check: finding.state for finding in found}
    assert "problem" not in states.values(), found
    checks = by_check(found)
    assert local_hub.endpoint in checks["Hub"].found
    assert checks["account"].found == "ann (write token), member of lab"
    assert "HF_TOKEN" in checks["token"].found
    assert checks["clock"].state == "ok"
    assert token not in repr(found)


def test_offline_asks_nobody(folder, local_hub):
    before = len(local_hub.requests)
    assert by_check(examine(folder, offline=True))["Hub"].state == "note"
    assert len(local_hub.requests) == before


def test_offline_mode_of_the_environment_is_respected(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HFL_OFFLINE", "1")
    before = len(local_hub.requests)
    assert "offline mode is on" in by_check(examine(folder))["Hub"].found
    assert len(local_hub.requests) == before


def test_a_hub_that_does_not_answer_is_a_problem_with_a_remedy(folder):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        finding = by_check(examine(folder, endpoint=endpoint))["Hub"]
    assert (finding.state, endpoint in finding.found) == ("problem", True)
    assert "HTTPS_PROXY" in str(finding.remedy)


def test_a_token_that_the_hub_does_not_know_is_a_problem(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 34)
    finding = by_check(examine(folder))["account"]
    assert finding.state == "problem"
    assert "x" * 34 not in repr(finding)


class LateClock(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response_only(503)
        self.send_header("Date", "Thu, 01 Jan 2015 00:00:00 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_clock_that_is_wrong_and_a_hub_that_is_ill_are_pointed_out(folder):
    server = http.server.HTTPServer(("127.0.0.1", 0), LateClock)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        found = by_check(examine(folder, endpoint=f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (found["Hub"].state, "503" in found["Hub"].found) == ("warning", True)
    assert "ahead of the Hub" in found["clock"].found
    assert "NTP" in str(found["clock"].remedy)


@pytest.mark.parametrize("content", ["timeout = 'never'\n", "tmeout = 5\n", "= ="])
def test_a_settings_file_that_is_wrong_is_a_problem_and_the_rest_is_still_checked(content, folder):
    (folder / "hfl.toml").write_text(content, encoding="utf-8")
    found = by_check(examine(folder, offline=True))
    assert found["settings"].state == "problem"
    assert "hfl.toml" in found["settings"].found
    assert found["Python"].found
    assert found["GPU"].found


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="needs a folder that nobody may write to"
)
def test_a_folder_that_cannot_be_written_is_a_problem(folder):
    found = by_check(folders(Path("/proc/self")))
    assert found["this folder"].state == "problem"
    assert found["temporary files"].state != "problem"


def test_a_cache_that_does_not_exist_yet_is_no_problem(folder, monkeypatch):
    monkeypatch.setenv("HFL_CACHE_DIR", str(folder / "not" / "yet"))
    assert by_check(folders(folder))["cache"].state != "problem"
    assert not (folder / "not").exists()


def test_versions_that_do_not_fit_together_are_named(folder, monkeypatch, tmp_path):
    for name, version, needs in [("peft", "9.0", "numpy>99"), ("lightning", "9", "never-written")]:
        info = tmp_path / "site" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {needs}\n",
            encoding="utf-8",
        )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (finding,) = requirements()
    assert finding.state == "problem"
    assert "peft needs numpy >99" in finding.found
    assert "lightning needs never-written, which is not installed" in finding.found


def test_the_command_ends_with_1_where_something_is_wrong_and_can_be_pasted(folder, hfl, local_hub):
    token = local_hub.create_user("ann")
    well = hfl("doctor", "--format", "json", env={**os.environ, "HF_TOKEN": token})
    assert {row["state"] for row in json.loads(well.stdout)} <= {"ok", "note", "warning"}
    (folder / "hfl.toml").write_text("tmeout = 5\n", encoding="utf-8")
    ill = hfl("doctor", "--offline", code=1, env={**os.environ, "HF_TOKEN": token})
    assert "settings (problem): Did you mean 'timeout'?" in ill.stderr
    assert token not in well.stdout + well.stderr + ill.stdout + ill.stderr
    assert str(Path.home()) not in well.stdout
