from __future__ import annotations

import http.client
import threading

import pytest

from hfl_core.errors import ConfigError
from hfl_localhub import Faults, LocalHub


@pytest.fixture
def faults(hub):
    yield hub.faults
    hub.faults.clear()


@pytest.fixture
def repo(ann):
    name = ann.new_repo()
    ann.commit_large(name, {"w.bin": b"0123456789" * 1000})
    return name


def test_an_answer_is_given_so_often_and_no_more(ann, repo, faults):
    fault = faults.answer(503, path=f"/{repo}/resolve/*", times=2, error="busy", code="Busy")
    for _ in range(2):
        answer = ann.get(f"/{repo}/resolve/main/w.bin")
        assert (answer.status, answer.code, answer.json()["error"]) == (503, "Busy", "busy")
        assert answer.headers["x-request-id"]
    assert ann.get(f"/{repo}/resolve/main/w.bin").status == 200
    assert ann.get(f"/api/models/{repo}").status == 200
    assert fault.hits == 2


def test_a_rate_limit_says_when_to_come_back(ann, repo, faults):
    faults.answer(429, retry_after=7, headers={"RateLimit": '"api";r=0;t=7'}, method="HEAD")
    answer = ann.call("HEAD", f"/{repo}/resolve/main/w.bin")
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["ratelimit"] == '"api";r=0;t=7'


def test_an_error_before_the_commit_leaves_nothing_and_one_after_it_leaves_the_commit(
    ann, repo, faults
):
    faults.answer(500, path="*/commit/*")
    assert ann.commit(repo, {"before.txt": b"1"}).status == 500
    assert "before.txt" not in ann.paths(repo)
    faults.answer(502, path="*/commit/*", after=True)
    assert ann.commit(repo, {"after.txt": b"1"}).status == 502
    assert "after.txt" in ann.paths(repo)


def test_some_requests_pass_first(ann, repo, faults):
    faults.answer(500, path="*/tree/*", skip=2)
    statuses = [ann.get(f"/api/models/{repo}/tree/main").status for _ in range(4)]
    assert statuses == [200, 200, 500, 200]


def test_chance_is_the_same_every_time():
    def statuses(seed):
        faults = Faults()
        faults.answer(500, times=None, probability=0.5, seed=seed)
        return [len(faults.take("GET", "/x")) for _ in range(50)]

    assert statuses(1) == statuses(1) != statuses(2)
    assert 10 < sum(statuses(1)) < 40


def test_the_commit_quota_lasts_longer_than_retry_after_admits(tmp_path, api_for):
    now = [1_000_000.0]
    with LocalHub(tmp_path, clock=lambda: now[0]) as hub:
        api = api_for(hub, hub.create_user("ann"))
        one, two = api.new_repo(), api.new_repo()
        hub.faults.commit_quota(2, window=3600, retry_after=60)
        for number in range(2):
            assert api.commit(one, {"a": str(number).encode()}).status == 200
        answer = api.commit(one, {"a": b"more"})
        assert (answer.status, answer.headers["retry-after"]) == (429, "60")
        assert "60 minutes" in answer.json()["error"]
        now[0] += 61
        assert api.commit(one, {"a": b"more"}).status == 429
        assert api.commit(two, {"a": b"more"}).status == 200  # the quota is per repository
        now[0] += 3600
        assert api.commit(one, {"a": b"more"}).status == 200


def test_a_download_ends_after_so_many_bytes(ann, repo, faults):
    faults.drop(2500, path="*/resolve/*")
    connection = http.client.HTTPConnection(ann.hub.endpoint.split("//")[1])
    connection.request(
        "GET", f"/{repo}/resolve/main/w.bin", headers={"Authorization": f"Bearer {ann.token}"}
    )
    with pytest.raises(http.client.IncompleteRead) as error:
        connection.getresponse().read()
    connection.close()
    assert error.value.partial == (b"0123456789" * 1000)[:2500]
    answer = ann.get(f"/{repo}/resolve/main/w.bin", Range="bytes=2500-")
    assert len(answer.body) == 7500


def test_a_connection_ends_without_an_answer(ann, repo, faults):
    faults.drop(0, path=f"/api/models/{repo}")
    with pytest.raises(http.client.RemoteDisconnected):
        ann.get(f"/api/models/{repo}")
    assert ann.get(f"/api/models/{repo}").status == 200


def test_an_upload_ends_after_so_many_bytes_and_leaves_nothing(ann, faults):
    repo, data = ann.new_repo(), b"cut short" * 100_000
    faults.drop(100_000, direction="upload", method="PUT", path="/_lfs/*")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ann.upload_large(repo, data)
    assert list((ann.hub.root / "tmp").iterdir()) == []
    ann.upload_large(repo, data)


@pytest.mark.parametrize("at", [0, 5000, 9999])
def test_one_byte_of_a_download_is_another(ann, repo, faults, at):
    faults.corrupt(at, path="*/resolve/*")
    body = ann.get(f"/{repo}/resolve/main/w.bin").body
    right = b"0123456789" * 1000
    assert [index for index in range(len(right)) if body[index] != right[index]] == [at]


def test_one_byte_of_an_upload_is_another_and_the_digest_tells(ann, faults):
    repo, data = ann.new_repo(), b"damaged on its way" * 1000
    faults.corrupt(7, direction="upload", method="PUT")
    with pytest.raises(AssertionError, match="sha256"):
        ann.upload_large(repo, data)
    assert ann.upload_large(repo, data)


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_a_transfer_stalls_until_it_is_released(ann, repo, faults, direction):
    data = b"patience" * 50_000 + direction.encode()
    if direction == "download":
        ann.commit_large(repo, {"p.bin": data})
        fault = faults.stall(1000, path="*/p.bin")
        work = threading.Thread(target=ann.get, args=[f"/{repo}/resolve/main/p.bin"])
    else:
        fault = faults.stall(1000, direction="upload", method="PUT")
        work = threading.Thread(target=ann.upload_large, args=[repo, data])
    work.start()
    assert fault.wait_until_reached()
    assert work.is_alive()
    fault.release()
    work.join(30)
    assert not work.is_alive()


def test_stopping_the_hub_lets_go_of_what_is_stalled(tmp_path, api_for):
    hub = LocalHub(tmp_path).start()
    api = api_for(hub, hub.create_user("ann"))
    fault = hub.faults.stall(path="/api/whoami-v2")
    work = threading.Thread(target=api.get, args=["/api/whoami-v2"])
    work.start()
    assert fault.wait_until_reached()
    hub.stop()
    work.join(30)
    assert not work.is_alive()


def test_a_slow_transfer_arrives_whole(ann, repo, faults):
    fault = faults.slow(1_000_000, path="*/resolve/*")
    assert len(ann.get(f"/{repo}/resolve/main/w.bin").body) == 10_000
    assert fault.hits == 1


def test_a_token_expires_or_only_reads_while_the_fault_is_armed(ann, repo, faults):
    faults.token("expired", times=1)
    assert ann.get("/api/whoami-v2").headers["x-error-message"].startswith("Invalid credentials")
    faults.token("read-only")
    assert ann.get("/api/whoami-v2").json()["auth"]["accessToken"]["role"] == "read"
    assert ann.commit(repo, {"a": b"1"}).status == 403
    faults.clear()
    assert ann.commit(repo, {"a": b"1"}).status == 200


@pytest.mark.parametrize("after", [0, 300_000])
def test_a_full_disk_refuses_and_keeps_nothing(ann, repo, faults, after):
    data = b"no room" * 100_000 + str(after).encode()
    faults.disk_full(after, method="PUT")
    with pytest.raises(AssertionError, match="disk is full"):
        ann.upload_large(repo, data)
    assert list((ann.hub.root / "tmp").iterdir()) == []
    faults.disk_full(path="*/commit/*")
    answer = ann.commit(repo, {"a.txt": b"1"})
    assert (answer.status, answer.code) == (507, "InsufficientStorage")
    assert "a.txt" not in ann.paths(repo)
    assert ann.upload_large(repo, data)


@pytest.mark.parametrize(
    "arm",
    [
        lambda faults: faults.answer(200),
        lambda faults: faults.answer(500, route="x"),
        lambda faults: faults.drop(1, direction="sideways"),
        lambda faults: faults.slow(0),
        lambda faults: faults.token("stolen"),
        lambda faults: faults.disk_full(),
    ],
)
def test_a_fault_that_makes_no_sense_is_not_armed(arm):
    faults = Faults()
    with pytest.raises(ConfigError):
        arm(faults)
    assert faults.take("GET", "/x") == []


def test_what_arrived_is_noted_with_its_bytes(ann, hub):
    repo, data = ann.new_repo(), b"counted" * 1000
    hub.requests.clear()
    ann.commit_large(repo, {"a.bin": data})
    ann.get(f"/{repo}/resolve/main/a.bin", **{"User-Agent": "mine/1"})
    assert hub.requests.count("PUT", "/_lfs/*") == 1
    assert hub.requests.bytes_in("PUT", "/_lfs/*") == len(data)
    assert hub.requests.bytes_out("GET", "*/resolve/*") == len(data)
    last = list(hub.requests)[-1]
    assert (last.method, last.status, last.user_agent) == ("GET", 200, "mine/1")
    assert len(hub.requests) == 4
    hub.requests.clear()
    assert len(hub.requests) == 0
