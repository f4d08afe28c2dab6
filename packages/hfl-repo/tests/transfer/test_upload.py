from __future__ import annotations

import dataclasses
import logging
import os
import time

import pytest

from hfl_core.errors import (
    ConfigError,
    ConflictError,
    IntegrityError,
    PermissionDeniedError,
    ValidationError,
)
from hfl_repo import (
    RepoArchivedError,
    RepoManager,
    RepoNotFoundError,
    RevisionNotFoundError,
    UnsafeUploadError,
    VisibilityMismatchError,
)

TOKEN = "hf_" + "abcdEFGH1234ijklMNOP5678qrstUVWX90"
FILES = {
    "config.json": '{"layers": 2}',
    "model.bin": 300_000,
    "sub/other.bin": 200_000,
    "empty.txt": "",
    "README.md": "# Digits\n",
}


def kinds(report):
    return {change.path: change.kind for change in report.files}


def test_a_folder_arrives_whole_in_one_commit(
    way, repo, folder, sent, snapshot_of, content_of, history
) -> None:
    here, seen = folder(FILES), sent()
    report = repo.upload(here, message="Everything\n\nFor the first time.")
    assert snapshot_of(repo) == content_of(here)
    assert seen.commits == 1
    assert history(repo)[0] == "Everything"
    assert kinds(report) == dict.fromkeys(FILES, "add")
    assert report.commit == report.head == repo.info().sha
    assert report.bytes_sent == sum(len(data) for data in content_of(here).values())
    assert (report.bytes_skipped, report.bytes_copied, report.retries) == (0, 0, 0)


def test_nothing_to_change_makes_no_commit_and_sends_nothing(
    way, repo, folder, sent, history
) -> None:
    here = folder(FILES)
    first, before = repo.upload(here), len(history(repo))
    seen = sent()
    report = repo.upload(here)
    assert report.is_empty
    assert report.commit is None
    assert report.head == first.commit
    assert report.bytes_sent == 0
    assert report.bytes_skipped == first.bytes_sent
    assert seen.count("POST") == seen.count("PUT") == 0
    assert len(history(repo)) == before


def test_one_of_many_changed_sends_that_one_and_reads_no_other(
    way, repo, folder, sent, tmp_path, snapshot_of, content_of
) -> None:
    here = folder({f"shard-{number}.bin": 100_000 for number in range(10)})
    _settle(here)
    repo.upload(here)
    assert repo.upload(here).bytes_hashed == 0
    folder({"shard-3.bin": 100_000})
    seen = sent()
    report = repo.upload(here)
    assert kinds(report) == {"shard-3.bin": "change"}
    assert report.bytes_hashed == report.bytes_sent == 100_000
    assert report.bytes_skipped == 900_000
    assert 100_000 <= seen.content < 102_000
    assert seen.count("GET", "/tree/") == 1
    assert snapshot_of(repo) == content_of(here)


def test_ten_thousand_unchanged_files_cost_one_listing_and_no_upload(
    ann, repo, tmp_path, sent
) -> None:
    here = tmp_path / "many"
    here.mkdir()
    for number in range(10_000):
        (here / f"{number:05d}.txt").write_text(str(number % 100))
    for start in range(0, 10_000, 2_500):  # as somebody else would have done it
        some = range(start, start + 2_500)
        ann.commit(repo.repo_id, {f"{n:05d}.txt": str(n % 100).encode() for n in some})
    repo.diff(here)  # the digests are known from now on
    repo._check_writable()
    seen = sent()
    report = repo.upload(here)
    assert report.is_empty
    assert report.bytes_hashed == 0
    assert seen.count() == 1 + 11  # the repository, and its files by the thousand
    assert seen.count("GET", "/tree/") == 11


def test_content_that_is_there_under_another_name_is_copied_there(
    way, repo, folder, sent, snapshot_of, content_of
) -> None:
    here = folder({"checkpoints/1/model.bin": 250_000})
    repo.upload(here)
    data = (here / "checkpoints/1/model.bin").read_bytes()
    folder({"checkpoints/2/model.bin": data, "model.bin": data})
    seen = sent()
    report = repo.upload(here)
    assert kinds(report) == {"checkpoints/2/model.bin": "copy", "model.bin": "copy"}
    assert {change.copied_from for change in report.files} == {"checkpoints/1/model.bin"}
    assert report.bytes_copied == 500_000
    assert report.bytes_sent == seen.content == 0
    assert snapshot_of(repo) == content_of(here)


def test_a_copy_that_the_hub_lost_is_sent(repo, folder, hub, sent, snapshot_of, content_of) -> None:
    here = folder({"a.bin": 50_000})
    repo.upload(here)
    folder({"b.bin": (here / "a.bin").read_bytes()})
    hub.faults.answer(400, path="*/commit/*", code="LfsObjectNotFound", error="b was not uploaded")
    report = repo.upload(here)
    assert report.bytes_copied == 0
    assert snapshot_of(repo) == content_of(here)


def test_a_large_file_that_is_on_another_branch_is_not_sent_again(repo, folder, sent) -> None:
    here = folder({"a.bin": 80_000})
    repo.create_branch("other")
    repo.upload(here, revision="other")
    seen = sent()
    report = repo.upload(here)
    assert seen.content == report.bytes_sent == 0
    assert report.bytes_skipped == 80_000
    assert report.commit


def test_the_same_content_twice_travels_once(way, repo, folder, sent) -> None:
    data = os.urandom(90_000)
    report_of = sent()
    repo.upload(folder({"a.bin": data, "b.bin": data}))
    assert report_of.content < 92_000


def test_a_file_goes_where_it_is_told(repo, folder, snapshot_of) -> None:
    here = folder({"a.txt": "a"})
    repo.upload(here / "a.txt")
    repo.upload(here / "a.txt", "deep/b.txt")
    repo.upload(here, "folder")
    assert set(snapshot_of(repo)) == {"a.txt", "deep/b.txt", "folder/a.txt"}


def test_datasets_travel_too(manager, ann, folder) -> None:
    repo = manager(ann.new_repo(kind="dataset"), repo_type="dataset")
    report = repo.upload(folder({"data/a.parquet": 40_000, "README.md": "# Data\n"}))
    assert len(report.files) == 2
    assert repo.diff(folder({})) == ()


@pytest.mark.parametrize(
    ("delete", "left"),
    [
        (False, {"in/a.txt", "in/old.txt", "in/old.bin", "out.txt"}),
        (True, {"in/a.txt", "out.txt"}),
        ("*.bin", {"in/a.txt", "in/old.txt", "out.txt"}),
        (["*.bin", "old.*"], {"in/a.txt", "out.txt"}),
    ],
)
def test_what_is_not_here_goes_as_far_as_told(delete, left, ann, repo, folder, snapshot_of) -> None:
    ann.commit(
        repo.repo_id, {"in/old.txt": b"x", "out.txt": b"x"}, large={"in/old.bin": b"y" * 3000}
    )
    repo.upload(folder({"a.txt": "a"}), "in", delete=delete)
    assert set(snapshot_of(repo)) == left


def test_what_is_excluded_is_neither_sent_nor_deleted(ann, repo, folder, snapshot_of) -> None:
    ann.commit(repo.repo_id, {"keep.log": b"x", "drop.txt": b"x"})
    repo.upload(
        folder({"a.txt": "a", "b.log": "b", "c.txt": "c"}),
        exclude=["*.log", "c.*"],
        delete=True,
    )
    assert set(snapshot_of(repo)) == {"a.txt", "keep.log"}
    assert repo.exists()
    assert ann.read(repo.repo_id, ".gitattributes")


def test_a_folder_in_the_way_of_a_file_is_told(ann, repo, folder, snapshot_of) -> None:
    ann.commit(repo.repo_id, {"a/b.txt": b"x"})
    with pytest.raises(ConflictError, match="'a' is"):
        repo.upload(folder({"a": "now a file"}))
    repo.upload(folder({"a": "now a file"}), delete=True)
    assert set(snapshot_of(repo)) == {"a"}
    with pytest.raises(ConflictError, match="'a' is"):
        repo.upload(folder({"a/b.txt": "again"}, "other"))


def test_a_pull_request_leaves_the_branch_alone(way, repo, folder, snapshot_of) -> None:
    report = repo.upload(folder({"a.txt": "a", "m.bin": 60_000}), create_pr=True)
    assert report.pull_request.endswith("/discussions/1")
    assert snapshot_of(repo) == {}
    assert set(snapshot_of(repo, "refs%2Fpr%2F1")) == {"a.txt", "m.bin"}
    more = repo.upload(folder({"b.txt": "b"}, "more"), revision="refs/pr/1")
    assert set(snapshot_of(repo, "refs%2Fpr%2F1")) == {"a.txt", "b.txt", "m.bin"}
    assert more.commit


def test_somebody_elses_repository_gets_a_pull_request_and_no_commit(
    bob, manager, folder, sent
) -> None:
    theirs = manager(bob.new_repo())
    seen = sent()
    with pytest.raises(PermissionDeniedError):
        theirs.upload(folder({"a.bin": 5_000}))
    assert seen.count("POST") == seen.count("PUT") == 0
    assert theirs.upload(folder({}), create_pr=True).pull_request


def test_a_branch_is_created_when_asked_to_and_only_then(repo, folder, ann, sent) -> None:
    here = folder({"a.bin": 9_000})
    seen = sent()
    with pytest.raises(RevisionNotFoundError, match=r"no revision 'exp/1'.*main"):
        repo.upload(here, revision="exp/1")
    assert seen.count("POST") == 0
    repo.upload(here, revision="exp/1", create_branch=True)
    assert ann.read(repo.repo_id, "a.bin", "exp/1") == (here / "a.bin").read_bytes()
    repo.upload(here, revision="exp/1", create_branch=True)


def test_a_tag_and_a_commit_are_not_written_to(repo, folder, sent) -> None:
    repo.create_tag("v1")
    here, seen = folder({"a.bin": 9_000}), sent()
    with pytest.raises(ValidationError, match="is a tag"):
        repo.upload(here, revision="v1")
    with pytest.raises((ValidationError, RevisionNotFoundError)):
        repo.upload(here, revision=repo.info().sha, create_branch=True)
    assert seen.count("POST") == seen.count("PUT") == 0


def test_a_public_repository_gets_nothing_private(repo, folder, sent) -> None:
    here, seen = folder({"a.bin": 9_000}), sent()
    with pytest.raises(VisibilityMismatchError, match="Nothing was sent"):
        repo.upload(here, private=True)
    assert seen.count("POST") == seen.count("PUT") == 0
    assert repo.upload(here, private=False).commit


def test_an_archived_repository_gets_nothing(repo, folder, sent) -> None:
    repo.archive()
    seen = sent()
    with pytest.raises(RepoArchivedError):
        repo.upload(folder({"a.bin": 9_000}))
    assert seen.count("POST") == seen.count("PUT") == 0


def test_a_token_for_reading_is_refused_before_anything_is_sent(
    hub, ann, repo, folder, sign_in, sent
) -> None:
    sign_in(hub.create_user("ann", role="read", token_name="reads"))
    reader, seen = RepoManager(repo.repo_id), sent()
    for create_pr in (False, True):
        with pytest.raises(PermissionDeniedError, match="reading only"):
            reader.upload(folder({"a.bin": 9_000}), create_pr=create_pr)
    assert seen.count("POST") == seen.count("PUT") == 0


def test_the_gate_stands_before_the_first_byte(repo, folder, sent) -> None:
    here, seen = folder({"a.bin": 9_000, "args.json": f'{{"hub_token": "{TOKEN}"}}'}), sent()
    with pytest.raises(UnsafeUploadError) as caught:
        repo.upload(here, "run")
    assert list(caught.value.findings) == ["run/args.json"]
    assert TOKEN not in str(caught.value)
    assert seen.count("POST") == seen.count("PUT") == 0
    repo.upload(here, "run", allow=["run/args.json:secret"])


def test_a_link_out_of_the_folder_is_refused(repo, folder, tmp_path, sent) -> None:
    (tmp_path / "secrets").write_text("x")
    here = folder({"a.txt": "a"})
    (here / "link").symlink_to(tmp_path / "secrets")
    seen = sent()
    with pytest.raises(UnsafeUploadError, match="link: a link that leaves the folder"):
        repo.upload(here)
    assert seen.count("POST") == 0
    repo.upload(here, allow=["link"])
    assert repo.diff(here) == ()


def test_what_is_there_already_is_not_looked_through_again(ann, repo, folder) -> None:
    ann.commit(repo.repo_id, {"old.txt": TOKEN.encode()})
    repo.upload(folder({"old.txt": TOKEN, "new.txt": "fine"}))


@pytest.mark.parametrize(
    ("path_in_repo", "error"),
    [("../up", ValidationError), ("/abs", ValidationError), ("a/../../b", ValidationError),
     (".git", ValidationError)],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_repository_is_refused(
    path_in_repo, error, repo, folder, sent
) -> None:
    here, seen = folder({"a.txt": "a"}), sent()
    with pytest.raises(error):
        repo.upload(here, path_in_repo)
    with pytest.raises(error):
        repo.upload(here / "a.txt", path_in_repo)
    assert seen.count() == 0


def test_nothing_to_upload_is_told_before_the_hub_is_asked(repo, tmp_path, folder, sent) -> None:
    (tmp_path / "empty").mkdir()
    seen = sent()
    with pytest.raises(ValidationError, match="no file to upload"):
        repo.upload(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        repo.upload(tmp_path / "absent")
    with pytest.raises(ConfigError, match="needs a message"):
        repo.upload(folder({"a": "a"}), message="  ")
    with pytest.raises(ConfigError, match="on_conflict"):
        repo.upload(folder({"a": "a"}), on_conflict="never")
    with pytest.raises(ConfigError, match="timeout"):
        repo.upload(folder({"a": "a"}), timeout=0)
    assert seen.count() == 0


def test_a_repository_that_is_not_there_is_told(manager, folder) -> None:
    with pytest.raises(RepoNotFoundError):
        manager("ann/absent").upload(folder({"a": "a"}))


def test_a_dry_run_passes_the_gate_and_sends_nothing(repo, folder, sent, history) -> None:
    here, seen = folder(FILES), sent()
    report = repo.upload(here, dry_run=True)
    assert report.is_dry_run
    assert report.commit is None
    assert set(kinds(report)) == set(FILES)
    assert seen.count("PUT") == seen.commits == 0
    with pytest.raises(UnsafeUploadError):
        repo.upload(folder({"x": TOKEN}), dry_run=True)


def test_a_sparse_file_needs_no_disk(repo, tmp_path, monkeypatch, sent) -> None:
    here = tmp_path / "sparse"
    here.mkdir()
    with (here / "big.bin").open("wb") as file:
        file.truncate(24 << 20)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    seen = sent()
    repo.upload(here)
    assert seen.content == 24 << 20
    assert list(scratch.iterdir()) == []


def test_the_gitignore_of_the_repository_is_told(ann, repo, folder, hub, snapshot_of) -> None:
    hub.faults.clear()
    here = folder({"a.txt": "a", ".gitignore": "*.log\n", "b.log": "b"})
    report = repo.upload(here)
    assert set(snapshot_of(repo)) | set(report.ignored) == {"a.txt", ".gitignore", "b.log"}


def test_a_card_that_the_hub_refuses_does_not_stop_the_weights(
    repo, folder, hub, snapshot_of, caplog
) -> None:
    here = folder({"README.md": "---\ntags: 7\n---\n# x\n", "m.bin": 20_000})
    with caplog.at_level(logging.WARNING):
        report = repo.upload(here)
    assert set(snapshot_of(repo)) == {"m.bin"}
    assert report.card_problems
    assert "README.md is left out" in caplog.text
    folder({"README.md": "---\ntags: [x]\n---\n# x\n"})
    assert not repo.upload(here).card_problems
    assert set(snapshot_of(repo)) == {"m.bin", "README.md"}


def test_a_card_that_the_hub_refuses_late_does_not_stop_the_weights(
    repo, folder, hub, snapshot_of
) -> None:
    hub.faults.answer(400, path="*/commit/*", error="Invalid metadata in README.md")
    report = repo.upload(folder({"README.md": "# x\n", "m.bin": 20_000}))
    assert set(snapshot_of(repo)) == {"m.bin"}
    assert "Invalid metadata" in report.card_problems[0]


def test_a_refused_commit_is_not_blamed_on_the_card(repo, folder, hub, snapshot_of) -> None:
    hub.faults.answer(400, path="*/commit/*", error="No.", times=None)
    with pytest.raises(ValidationError, match="No"):
        repo.upload(folder({"README.md": "# x\n", "m.bin": 20_000}))
    assert snapshot_of(repo) == {}


@pytest.mark.parametrize("its_time", ["told", "hidden"])
def test_a_file_that_is_written_while_it_is_sent_is_not_committed(
    its_time, repo, folder, hub, snapshot_of
) -> None:
    here = folder({"m.bin": 50_000})
    hub.faults.answer(503, path="/_lfs/*", method="PUT")

    def rewrite(_):
        status = (here / "m.bin").stat()
        (here / "m.bin").write_bytes(os.urandom(50_000))
        if its_time == "hidden":
            os.utime(here / "m.bin", ns=(status.st_atime_ns, status.st_mtime_ns))

    repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=rewrite)
    with pytest.raises((ConflictError, IntegrityError)):
        repo.upload(here)
    assert snapshot_of(repo) == {}


def test_a_second_name_for_a_file_that_is_being_sent_changes_nothing_in_it(
    way, repo, folder, hub, snapshot_of, tmp_path
) -> None:
    here = folder({"m.bin": 50_000})
    hub.faults.answer(503, path="*/commit/*")
    hub.faults.answer(503, path="*/info/lfs/objects/batch")

    def link(_):
        os.link(here / "m.bin", tmp_path / f"name-{len(list(tmp_path.iterdir()))}")

    repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=link)
    repo.upload(here)
    assert list(snapshot_of(repo)) == ["m.bin"]
    assert (here / "m.bin").stat().st_nlink > 1


def test_a_small_file_that_is_written_before_the_commit_is_not_committed(
    repo, folder, hub, snapshot_of
) -> None:
    here = folder({"a.txt": "first"})
    hub.faults.answer(503, path="*/commit/*")

    def rewrite(_):
        (here / "a.txt").write_text("other")

    repo._hub.retry = dataclasses.replace(repo._hub.retry, sleep=rewrite)
    with pytest.raises(ConflictError, match="changed while"):
        repo.upload(here)
    assert snapshot_of(repo) == {}


def _settle(folder) -> None:
    newest = max(place.stat().st_ctime_ns for place in folder.rglob("*"))
    while time.time_ns() - newest < 100_000_000:
        pass
