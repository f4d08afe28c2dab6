from __future__ import annotations

import dataclasses
import json
import logging
import re
import socket
import threading

import pytest

from hfl_core import RetryPolicy
from hfl_core.errors import (
    DiskSpaceError,
    IntegrityError,
    NetworkError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
)
from hfl_localhub import LocalHub
from hfl_repo import RepoManager, TransferTimeoutError

FILES = {"a.bin": 120_000, "b.bin": 110_000, "c.txt": "text"}
TOKEN = "hf_" + "abcdEFGH1234ijklMNOP5678qrstUVWX90"


@pytest.mark.parametrize("answer", [(500, False), (503, False), (500, True), (502, True)], ids=str)
def test_an_error_of_the_commit_is_found_out_about(
    answer, repo, folder, hub, sent, history, snapshot_of, content_of
) -> None:
    here, seen = folder(FILES), sent()
    status, after = answer
    hub.faults.answer(status, after=after, path="*/commit/*", method="POST")
    report = repo.upload(here, message="Once")
    assert history(repo).count("Once") == 1
    assert snapshot_of(repo) == content_of(here)
    assert report.commit == repo.info().sha
    assert report.retries == 1
    assert len(report.files) == 3
    assert seen.commits == (1 if after else 2)
    assert seen.content == 230_000


def test_a_commit_that_landed_is_found_below_what_others_did_since(
    repo, folder, hub, ann, history, snapshot_of
) -> None:
    hub.faults.answer(500, after=True, path="*/commit/*", method="POST")

    def others(_):
        ann.commit(repo.repo_id, {"theirs.txt": b"1"})
        ann.commit(repo.repo_id, {"c.txt": b"and this one, too"})

    repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=others)
    report = repo.upload(folder(FILES), message="Once")
    assert history(repo).count("Once") == 1
    assert history(repo)[2] == "Once"
    assert snapshot_of(repo)["c.txt"] == b"and this one, too"
    assert report.commit != repo.info().sha


def test_a_pull_request_that_was_opened_is_found(repo, folder, hub, ann, sent) -> None:
    hub.faults.answer(500, after=True, path="*/commit/*", method="POST")
    seen = sent()
    report = repo.upload(folder(FILES), message="Once", create_pr=True)
    assert report.pull_request.endswith("/discussions/1")
    assert seen.commits == 1
    hub.faults.answer(500, path="*/commit/*", method="POST")
    assert repo.upload(folder(FILES), create_pr=True).pull_request.endswith("/discussions/2")


def test_a_lost_connection_of_the_commit_is_found_out_about(
    repo, folder, hub, history, snapshot_of, content_of
) -> None:
    here = folder(FILES)
    hub.faults.drop(0, path="*/commit/*", method="POST")
    repo.upload(here, message="Once")
    assert history(repo).count("Once") == 1
    assert snapshot_of(repo) == content_of(here)


@pytest.mark.parametrize("fault", ["drop", "busy", "expired"])
def test_one_file_that_fails_does_not_send_the_others_again(
    fault, repo, folder, hub, sent, snapshot_of, content_of
) -> None:
    here, seen = folder({f"{n}.bin": 100_000 for n in range(4)}), sent()
    if fault == "drop":
        hub.faults.drop(90_000, direction="upload", path="/_lfs/*", method="PUT")
    else:
        hub.faults.answer(503 if fault == "busy" else 403, path="/_lfs/*", method="PUT")
    report = repo.upload(here)
    assert snapshot_of(repo) == content_of(here)
    assert seen.count("PUT", "/_lfs/") == 5
    assert report.retries == 1
    assert report.bytes_sent >= 400_000


def test_what_arrives_damaged_is_sent_again(
    repo, folder, hub, sent, snapshot_of, content_of
) -> None:
    here, seen = folder(FILES), sent()
    hub.faults.corrupt(50_000, direction="upload", path="/_lfs/*", method="PUT")
    report = repo.upload(here)
    assert snapshot_of(repo) == content_of(here)
    assert report.retries == 1
    assert seen.count("PUT", "/_lfs/") == 3


def test_what_arrives_damaged_every_time_is_told_and_nothing_is_committed(
    repo, folder, hub, snapshot_of
) -> None:
    hub.faults.corrupt(50_000, direction="upload", path="/_lfs/*", method="PUT", times=None)
    with pytest.raises(IntegrityError, match=r"'.\.bin' arrives damaged again and again"):
        repo.upload(folder(FILES))
    assert snapshot_of(repo) == {}


def test_large_files_travel_in_parts_where_the_hub_wants_it(tmp_path, monkeypatch) -> None:
    with LocalHub(tmp_path / "hub", multipart_threshold=100_000, part_size=40_000) as hub:
        for name, value in hub.settings(hub.create_user("ann")).items():
            monkeypatch.setenv(name, value)
        repo = RepoManager("ann/parts")
        repo._hub.retry = RetryPolicy(attempts=5, base_delay=0.001, max_delay=0.01)
        repo.create()
        here = tmp_path / "upload"
        here.mkdir()
        (here / "a.bin").write_bytes(bytes(range(256)) * 500)
        hub.faults.drop(30_000, direction="upload", path="/_lfs/*/parts/*", method="PUT", skip=1)
        report = repo.upload(here)
        assert hub.requests.count("PUT", "/_lfs/*/parts/*") == 5
        assert report.retries == 1
        assert (repo.download("a.bin", to=tmp_path / "out") / "a.bin").read_bytes() == (
            here / "a.bin"
        ).read_bytes()


class Time:
    """A clock that goes on when somebody waits."""

    def __init__(self):
        self.now = 1_000_000.0
        self.waits = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    @property
    def policy(self):
        return RetryPolicy(attempts=5, jitter=0, clock=self.clock, sleep=self.sleep)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def quota_hub(tmp_path, time, monkeypatch):
    """A Hub whose commits are counted by a clock of our own."""
    with LocalHub(tmp_path / "quota", clock=time.clock) as hub:
        for name, value in hub.settings(hub.create_user("ann")).items():
            monkeypatch.setenv(name, value)
        yield hub


def test_the_quota_of_commits_is_waited_out_as_long_as_it_really_lasts(
    quota_hub, time, folder, caplog
) -> None:
    repo = RepoManager("ann/quota")
    repo.create()
    repo._hub.retry = time.policy
    quota_hub.faults.commit_quota(2, window=3600, retry_after=60)
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            repo.upload(folder({"n.txt": str(number), f"{number}.bin": 20_000}))
    long = [wait for wait in time.waits if wait > 60]
    assert len(long) == 2
    assert all(3500 <= wait <= 3660 for wait in long)
    assert "Going on in 3600 s" in caplog.text
    assert len(list(repo.history())) == 6
    assert quota_hub.requests.count("PUT", "/_lfs/*") == 5


def test_a_quota_that_lasts_longer_than_the_time_given_is_told_at_once_and_loses_nothing(
    quota_hub, time, folder
) -> None:
    repo = RepoManager("ann/quota")
    repo.create()
    repo._hub.retry = time.policy
    quota_hub.faults.commit_quota(1, window=3600, retry_after=60)
    repo.upload(folder({"n.txt": "0"}))
    here = folder({"big.bin": 70_000})
    with pytest.raises(TransferTimeoutError, match=r"asks to wait 3,600 s.*given 600 s") as caught:
        repo.upload(here, timeout=600)
    assert isinstance(caught.value, (TimeoutError, NetworkError))
    assert time.waits == []
    time.now += 3700
    quota_hub.requests.clear()
    assert repo.upload(here, timeout=600).commit
    assert quota_hub.requests.count("PUT", "/_lfs/*") == 0


@pytest.mark.parametrize(
    "asked",
    [({"Retry-After": "7"}, 7), ({"RateLimit": '"api";r=0;t=90', "Retry-After": "7"}, 90)],
    ids=["Retry-After", "RateLimit"],
)
@pytest.mark.parametrize(
    "path", ["*/commit/*", "*/preupload/*", "*/objects/batch", "/_lfs/*", "*/tree/*"]
)
def test_a_rate_limit_anywhere_is_waited_out(
    path, asked, repo, time, folder, hub, snapshot_of, content_of
) -> None:
    repo._hub.retry = time.policy
    headers, wait = asked
    hub.faults.answer(429, path=path, headers=headers)
    here = folder(FILES)
    repo.upload(here)
    assert snapshot_of(repo) == content_of(here)
    assert [round(each) for each in time.waits] == [wait]


def test_a_limit_that_never_ends_is_an_error_in_the_end(repo, time, folder, hub) -> None:
    repo._hub.retry = time.policy
    hub.faults.answer(429, path="*/commit/*", times=None)
    with pytest.raises(RateLimitError):
        repo.upload(folder(FILES))
    hub.faults.clear()
    hub.faults.answer(500, path="*/commit/*", times=None)
    with pytest.raises(NetworkError, match="status 500"):
        repo.upload(folder(FILES))


def test_the_time_given_ends_an_upload_between_requests(repo, time, folder, hub) -> None:
    repo._hub.retry = dataclasses.replace(time.policy, attempts=1000)
    hub.faults.answer(503, path="*/commit/*", times=None)
    with pytest.raises(TransferTimeoutError, match="60 s"):
        repo.upload(folder(FILES), timeout=60)
    assert sum(time.waits) <= 60


def test_a_hub_that_says_nothing_is_given_up(repo, folder, hub) -> None:
    repo._hub.timeout = 0.05
    fault = hub.faults.stall(0, direction="download", path="*/preupload/*", times=None)
    try:
        with pytest.raises(NetworkError, match=r"did not answer in time|cannot be reached"):
            repo.upload(folder(FILES))
    finally:
        fault.release()


def test_a_hub_that_is_gone_is_told(repo, folder, hub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = RepoManager(repo.repo_id, endpoint=f"http://127.0.0.1:{port}")
    gone._hub.retry = RetryPolicy(attempts=2, base_delay=0.001)
    with pytest.raises((NetworkError, Exception), match="127"):
        gone.upload(folder(FILES))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (422, ValidationError),
        (403, PermissionDeniedError),
        (507, DiskSpaceError),
        (500, NetworkError),
    ],
)
def test_a_large_file_that_the_hub_does_not_take_is_named(code, kind, ann, altered, folder) -> None:
    def refuses(path, body, answer):
        if not path.endswith("/objects/batch"):
            return answer
        error = {"code": code, "message": "No."}
        objects = [{**item, "error": error} for item in json.loads(body)["objects"]]
        return json.dumps({"objects": objects}).encode()

    with pytest.raises(kind, match=r"does not take 'a\.bin': No\."):
        altered(ann.new_repo(), refuses).upload(folder({"a.bin": 10_000}))


def test_nothing_that_is_said_holds_the_token(
    repo, folder, hub, caplog, sign_in, monkeypatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    token = ann_token = repo._hub.credential.token
    assert ann_token
    hub.faults.answer(500, path="*/commit/*")
    hub.faults.answer(503, path="/_lfs/*")
    hub.faults.corrupt(5, direction="upload", path="/_lfs/*", method="PUT")
    with caplog.at_level(logging.DEBUG, logger="hfl"):
        report = repo.upload(folder(FILES))
        hub.faults.answer(400, path="*/commit/*", error=f"bad {token}", times=None)
        with pytest.raises(ValidationError) as caught:
            repo.upload(folder({"d.txt": "d"}))
    said = f"{report!r} {caught.value!r} {caught.value} {caught.value.__cause__!r}"
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("hfl"))
    for text in (said, ours):
        assert token not in text
        assert not re.search(r"[?&]sig=[^*]", text)


def test_eight_writers_all_land(
    ann, repo, manager, tmp_path, sign_in, snapshot_of, history
) -> None:
    errors, start = [], threading.Barrier(8)

    def write(number):
        here = tmp_path / f"writer-{number}"
        here.mkdir()
        (here / f"{number}.txt").write_text(str(number))
        (here / f"{number}.bin").write_bytes(bytes([number]) * 30_000)
        mine = manager(repo.repo_id)
        start.wait(30)
        try:
            mine.upload(here, message=f"Writer {number}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(snapshot_of(repo)) == {f"{n}.{kind}" for n in range(8) for kind in ("txt", "bin")}
    assert sorted(t for t in history(repo) if t.startswith("Writer")) == [
        f"Writer {number}" for number in range(8)
    ]


def test_xet_that_fails_is_told_and_leaves_the_repository_alone(
    repo, folder, hub, monkeypatch, snapshot_of, content_of
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    here = folder(FILES)
    hub.faults.answer(400, path="/xet/*/xorbs/*", times=None)
    with pytest.raises(NetworkError):
        repo.upload(here)
    assert snapshot_of(repo) == {}
    hub.faults.clear()
    repo.upload(here)
    assert snapshot_of(repo) == content_of(here)


def test_a_hub_without_xet_gets_large_files_all_the_same(
    ann, altered, folder, monkeypatch, snapshot_of, content_of, sent
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    offered = []

    def older(path, body, answer):
        if not path.endswith("/objects/batch"):
            return answer
        offered.append(json.loads(body)["transfers"])
        return json.dumps({**json.loads(answer), "transfer": "basic"}).encode()

    repo = altered(ann.new_repo(), older)
    here, seen = folder(FILES), sent()
    repo.upload(here)
    assert offered == [["basic", "multipart", "xet"]]
    assert seen.content == seen.bytes("PUT", "/_lfs/") == 230_000
    assert snapshot_of(repo) == content_of(here)


def test_a_card_is_not_worth_the_weights_when_the_hub_cannot_judge_it(
    repo, folder, hub, snapshot_of
) -> None:
    hub.faults.answer(500, path="*/validate-yaml", times=None)
    repo.upload(folder({"README.md": "# x\n", "a.bin": 20_000}))
    assert set(snapshot_of(repo)) == {"README.md", "a.bin"}


@pytest.mark.parametrize(
    ("part", "odd"),
    [
        ("/tree/", b'[{"type": "file", "path": "x"}]'),
        ("/preupload/", b'{"files": [{"path": "x"}]}'),
        ("/commit/", b'{"ok": true}'),
        ("/tree/", b"<html>Please sign in</html>"),
    ],
)
def test_answers_that_are_not_a_hubs_are_told(part, odd, ann, altered, folder, history) -> None:
    repo = altered(ann.new_repo(), lambda path, _, answer: odd if part in path else answer)
    here = folder(FILES)
    if part == "/commit/":  # it landed, whatever the answer was
        assert repo.upload(here, message="Once").commit == repo.info().sha
        assert history(repo).count("Once") == 1
        return
    with pytest.raises(NetworkError, match=r"not a Hub's|does not say|not what a Hub sends"):
        repo.upload(here)
