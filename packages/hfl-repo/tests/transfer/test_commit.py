"""Commits of many parts that stand on a known state of a branch."""

from __future__ import annotations

import threading

import pytest

from hfl_core.errors import ConflictError, HflError, RateLimitError, ValidationError
from hfl_repo import EntryNotFoundError, HeadMovedError, UnsafeUploadError, VisibilityMismatchError

LARGE = bytes(range(256)) * 400


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(LARGE)
    return path


def test_files_contents_and_deletions_are_one_commit(ann, repo, large, asked) -> None:
    ann.commit(repo.repo_id, {"old/a.txt": b"a", "old/b/c.txt": b"c", "older.txt": b"x"})
    before = repo.tree()
    requests = asked()
    report = repo.commit(
        {"new/weights.bin": large, "latest.json": b"{}"},
        delete=["old/", "missing/", "missing.txt"],
        message="Replace",
        on=before,
    )
    assert [pair for pair in requests("POST") if "/commit/" in pair[1]].__len__() == 1
    after = repo.tree()
    assert after.commit == report.commit
    assert sorted(after.files) == [
        ".gitattributes",
        "latest.json",
        "new/weights.bin",
        "older.txt",
    ]
    assert repo.read("latest.json") == b"{}"


def test_somebody_elses_commit_makes_it_raise_and_changes_nothing(ann, repo, large) -> None:
    before = repo.tree()
    ann.commit(repo.repo_id, {"theirs.txt": b"x"})
    with pytest.raises(HeadMovedError):
        repo.commit({"a.txt": b"a"}, message="Mine", on=before)
    assert "a.txt" not in repo.tree().files


def test_a_commit_in_the_last_moment_makes_it_raise_too(ann, hub, repo, large) -> None:
    stalled = hub.faults.stall(10, direction="upload", method="PUT")
    caught = []

    def work():
        try:
            repo.commit({"weights.bin": large}, message="Mine", on=repo.tree())
        except HflError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    if stalled.wait_until_reached():
        ann.commit(repo.repo_id, {"theirs.txt": b"x"})
    stalled.release()
    thread.join()
    assert [type(error) for error in caught] == [HeadMovedError]
    assert "weights.bin" not in repo.tree().files


def test_a_lost_answer_is_no_second_commit(hub, repo, ann) -> None:
    hub.faults.answer(500, after=True, path="*/commit/*")
    report = repo.commit({"a.txt": b"a"}, message="Once", on=repo.tree())
    assert [commit.title for commit in repo.history()].count("Once") == 1
    assert report.commit == repo.tree().commit


def test_a_commit_that_failed_is_sent_again(hub, repo) -> None:
    hub.faults.answer(503, path="*/commit/*")
    repo.commit({"a.txt": b"a"}, message="Once", on=repo.tree())
    assert repo.read("a.txt") == b"a"


def test_after_a_lost_answer_and_a_commit_of_somebody_else_it_is_still_found(
    hub, repo, ann, monkeypatch
) -> None:
    hub.faults.answer(500, after=True, path="*/commit/*")
    slept = []

    def sleep(_):
        if not slept:
            slept.append(ann.commit(repo.repo_id, {"theirs.txt": b"x"}))

    import dataclasses

    repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=sleep)
    report = repo.commit({"a.txt": b"a"}, message="Once", on=repo.tree())
    assert slept
    assert [commit.title for commit in repo.history()].count("Once") == 1
    assert report.commit == list(repo.history())[1].id


def test_a_known_content_that_is_there_is_copied_without_being_read(repo, large) -> None:
    first = repo.commit({"one/weights.bin": large}, message="One")
    digest = first.files[0].sha256
    large.write_bytes(bytes(len(LARGE)))  # whoever passes a digest answers for it
    report = repo.commit(
        {"two/weights.bin": large}, message="Two", digests={"two/weights.bin": digest}
    )
    assert (report.bytes_sent, report.bytes_hashed, report.bytes_copied) == (0, 0, len(LARGE))
    files = repo.tree().files
    assert files["two/weights.bin"].sha256 == files["one/weights.bin"].sha256


def test_a_known_content_that_is_not_there_is_read_and_sent(repo, large) -> None:
    report = repo.commit({"a.bin": large}, message="One", digests={"a.bin": "0" * 64})
    assert report.bytes_sent == len(LARGE)


def test_large_files_are_copied_from_another_branch(repo, large) -> None:
    repo.create_branch("other")
    repo.commit({"deep/weights.bin": large}, message="There", revision="other")
    file = repo.tree("other").files["deep/weights.bin"]
    report = repo.commit(copies={"weights.bin": file}, message="Here")
    assert (report.bytes_sent, report.files[0].kind) == (0, "copy")
    assert repo.tree().files["weights.bin"].sha256 == file.sha256
    assert repo.commit(copies={"weights.bin": file}, message="Again").commit is None


def test_small_files_are_not_copied(repo) -> None:
    repo.commit({"a.txt": b"a"}, message="Small")
    with pytest.raises(ValidationError, match="small"):
        repo.commit(copies={"b.txt": repo.tree().files["a.txt"]}, message="Copy")


def test_the_gate_looks_at_files_and_contents(hub, repo, large, tmp_path) -> None:
    link = tmp_path / "link.bin"
    link.symlink_to(large)
    secret = b'{"token": "' + b"hf_" + b"A1b2C3d4" * 5 + b'"}'
    before = repo.tree()
    with pytest.raises(UnsafeUploadError) as caught:
        repo.commit({"a/link.bin": link, "config.json": secret}, message="Leak")
    assert "a/link.bin" in str(caught.value)
    assert "config.json" in str(caught.value)
    assert repo.tree() == before


def test_visibility_is_checked_first(repo) -> None:
    with pytest.raises(VisibilityMismatchError):
        repo.commit({"a.txt": b"a"}, message="Private", private=True)


def test_a_quota_is_told_instead_of_waited_out(hub, repo) -> None:
    hub.faults.commit_quota(1, window=1800)
    repo.commit({"a.txt": b"a"}, message="One")
    with pytest.raises(RateLimitError) as caught:
        repo.commit({"a.txt": b"b"}, message="Two", wait_for_quota=False)
    assert caught.value.retry_after > 1700


def test_it_ends_when_it_is_told_to(repo, large) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(HflError):
        repo.commit({"a.bin": large}, message="Never", stop=stop)
    assert "a.bin" not in repo.tree().files


def test_what_is_gone_or_no_file_is_refused(repo, tmp_path) -> None:
    with pytest.raises(ConflictError):
        repo.commit({"a.bin": tmp_path / "gone"}, message="Gone")
    with pytest.raises(UnsafeUploadError):
        repo.commit({"a.bin": tmp_path}, message="Folder")
    with pytest.raises(ValidationError):
        repo.commit({"../a.bin": b""}, message="Outside")
    with pytest.raises(ValidationError):
        repo.commit({"a.bin": b""}, message=" ")


def test_a_dry_run_sends_nothing(repo, large) -> None:
    report = repo.commit({"a.bin": large}, message="Maybe", dry_run=True)
    assert report.is_dry_run
    assert [change.kind for change in report.files] == ["add"]
    assert "a.bin" not in repo.tree().files


def test_reading_what_is_not_there_says_so(repo) -> None:
    with pytest.raises(EntryNotFoundError):
        repo.read("nothing.json")
