from __future__ import annotations

import dataclasses

import pytest

from hfl_core.errors import NetworkError
from hfl_repo import HeadMovedError, UploadConflictError


@pytest.fixture
def meanwhile(hub, repo):
    """Do something once, between the look at the repository and the commit."""

    def meanwhile(action):
        hub.faults.answer(503, path="*/preupload/*")
        left = [action]

        def sleep(_):
            if left:
                left.pop()()

        repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=sleep)

    return meanwhile


def test_other_files_of_others_do_not_matter(ann, repo, folder, meanwhile, snapshot_of) -> None:
    meanwhile(lambda: ann.commit(repo.repo_id, {"theirs.txt": b"theirs"}))
    report = repo.upload(folder({"ours.txt": "ours", "m.bin": 20_000}))
    assert set(snapshot_of(repo)) == {"ours.txt", "m.bin", "theirs.txt"}
    assert report.retries >= 1
    assert report.commit == repo.info().sha


def test_large_files_are_not_sent_again_for_it(ann, repo, folder, meanwhile, sent) -> None:
    meanwhile(lambda: ann.commit(repo.repo_id, {"theirs.txt": b"x"}))
    seen = sent()
    repo.upload(folder({"m.bin": 20_000}))
    assert seen.content == 20_000


def test_the_same_file_is_a_conflict_that_names_it(
    ann, repo, folder, meanwhile, snapshot_of
) -> None:
    meanwhile(lambda: ann.commit(repo.repo_id, {"a.txt": b"theirs", "b.txt": b"theirs"}))
    with pytest.raises(UploadConflictError) as caught:
        repo.upload(folder({"a.txt": "ours", "b.txt": "ours", "c.txt": "ours"}))
    assert caught.value.paths == ("a.txt", "b.txt")
    assert snapshot_of(repo) == {"a.txt": b"theirs", "b.txt": b"theirs"}


@pytest.mark.parametrize(("on_conflict", "content"), [("ours", b"ours"), ("theirs", b"theirs")])
def test_one_side_wins_when_told_to(
    on_conflict, content, ann, repo, folder, meanwhile, snapshot_of
) -> None:
    meanwhile(lambda: ann.commit(repo.repo_id, {"a.txt": b"theirs"}))
    report = repo.upload(folder({"a.txt": "ours", "c.txt": "ours"}), on_conflict=on_conflict)
    assert snapshot_of(repo) == {"a.txt": content, "c.txt": b"ours"}
    assert report.kept == (("a.txt",) if on_conflict == "theirs" else ())


def test_the_same_change_by_others_is_no_conflict(ann, repo, folder, meanwhile) -> None:
    meanwhile(lambda: ann.commit(repo.repo_id, {"a.txt": b"same"}))
    report = repo.upload(folder({"a.txt": "same", "b.txt": "b"}))
    assert [change.path for change in report.files] == ["b.txt"]
    meanwhile(lambda: ann.commit(repo.repo_id, {"c.txt": b"same"}))
    report = repo.upload(folder({"c.txt": "same"}))
    assert report.is_empty
    assert report.head == repo.info().sha


def test_a_file_that_is_as_it_was_here_stays_as_others_made_it(
    ann, repo, folder, meanwhile, snapshot_of
) -> None:
    ann.commit(repo.repo_id, {"README.md": b"# first\n"})
    meanwhile(lambda: ann.commit(repo.repo_id, {"README.md": b"# edited on the Hub\n"}))
    repo.upload(folder({"README.md": "# first\n", "m.bin": 20_000}))
    assert snapshot_of(repo)["README.md"] == b"# edited on the Hub\n"


def test_deletions_are_conflicts_too(ann, repo, folder, meanwhile, snapshot_of) -> None:
    ann.commit(repo.repo_id, {"old.txt": b"1", "gone.txt": b"1"})

    def others():
        ann.commit(repo.repo_id, {"old.txt": b"2"}, delete=["gone.txt"])

    meanwhile(others)
    here = folder({"a.txt": "a"})
    with pytest.raises(UploadConflictError) as caught:
        repo.upload(here, delete=True)
    assert caught.value.paths == ("old.txt",)
    repo.upload(here, delete=True)
    assert set(snapshot_of(repo)) == {"a.txt"}


def test_a_branch_that_never_rests_is_an_error_in_the_end(repo, folder, hub, snapshot_of) -> None:
    fault = hub.faults.answer(412, path="*/commit/*", times=None)
    with pytest.raises(HeadMovedError):
        repo.upload(folder({"a.txt": "a"}))
    assert fault.hits > 8
    assert snapshot_of(repo) == {}


def test_a_412_of_the_hub_alone_is_tried_again(repo, folder, hub, history) -> None:
    hub.faults.answer(412, path="*/commit/*", times=2)
    repo.upload(folder({"a.txt": "a"}), message="Once")
    assert history(repo).count("Once") == 1


def test_a_commit_that_landed_and_was_answered_with_412_is_found(
    repo, folder, hub, history
) -> None:
    hub.faults.answer(500, path="*/commit/*", after=True)
    hub.faults.answer(500, path="*/commits/*", times=1)  # and the first look fails, too
    repo.upload(folder({"a.txt": "a"}), message="Once")
    assert history(repo).count("Once") == 1


def test_errors_that_stay_leave_the_repository_alone(repo, folder, hub, snapshot_of) -> None:
    hub.faults.answer(500, path="*/commit/*", times=None)
    with pytest.raises(NetworkError):
        repo.upload(folder({"a.txt": "a"}))
    assert snapshot_of(repo) == {}
