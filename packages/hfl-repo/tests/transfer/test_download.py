from __future__ import annotations

import collections
import os
import shutil

import pytest

from hfl_core.errors import DiskSpaceError, IntegrityError, NetworkError, ValidationError
from hfl_repo import EntryNotFoundError, RepoManager, RepoNotFoundError, RevisionNotFoundError
from hfl_repo._transfer import _placing

FILES = {
    "config.json": '{"layers": 2}',
    "model.bin": 300_000,
    "sub/other.bin": 200_000,
    "empty.txt": "",
    "run.log": "log",
}


@pytest.fixture
def filled(repo, folder):
    repo.upload(folder(FILES))
    return repo


@pytest.fixture
def here(filled, folder):
    return folder({})


def test_everything_arrives_as_it_is(way, filled, here, content_of) -> None:
    found = content_of(filled.download())
    found.pop(".gitattributes")
    assert found == content_of(here)


def test_a_second_download_asks_where_the_branch_is_and_nothing_else(filled, sent) -> None:
    first, seen = filled.download(), sent()
    assert filled.download() == first
    assert seen.count() == 1


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ("config.json", {"config.json"}),
        (["*.bin"], {"model.bin", "sub/other.bin"}),
        (["/*.bin", "*.json"], {"model.bin", "config.json"}),
        ("sub/", {"sub/other.bin"}),
        (["*", "!*.bin", "!.gitattributes"], {"config.json", "empty.txt", "run.log"}),
    ],
)
def test_files_are_chosen_by_pattern(wanted, paths, filled, tmp_path, content_of) -> None:
    assert set(content_of(filled.download(wanted, to=tmp_path / "out"))) == paths


def test_what_is_not_there_is_told(filled, manager, tmp_path) -> None:
    with pytest.raises(EntryNotFoundError, match=r"no 'absent\.bin'"):
        filled.download(["config.json", "absent.bin"])
    with pytest.raises(FileNotFoundError, match=r"no '\*\.onnx'"):
        filled.download("*.onnx")
    with pytest.raises(RevisionNotFoundError, match="main"):
        filled.download(revision="absent")
    with pytest.raises(RepoNotFoundError):
        manager("ann/absent").download()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValidationError, match="not a folder"):
        filled.download(to=tmp_path / "file")


def test_an_older_commit_can_be_had(filled, folder, here, content_of) -> None:
    old, before = filled.info().sha, content_of(here)
    filled.create_tag("v1")
    filled.upload(folder({"config.json": "{}"}))
    for revision in (old, "v1"):
        assert (filled.download(revision=revision) / "config.json").read_bytes() == before[
            "config.json"
        ]
    assert (filled.download() / "config.json").read_text() == "{}"


def test_what_the_clients_of_the_hub_see_is_what_was_downloaded(filled, monkeypatch) -> None:
    import huggingface_hub

    folder = filled.download()
    found = huggingface_hub.try_to_load_from_cache(
        filled.repo_id, "model.bin", cache_dir=folder.parents[2], revision="main"
    )
    assert found == str(folder / "model.bin")


def damage(place) -> None:
    real = os.path.realpath(place)
    with open(real, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))


def test_a_byte_that_flips_on_the_way_is_seen_and_the_file_fetched_again(
    filled, here, hub, content_of, tmp_path
) -> None:
    fault = hub.faults.corrupt(5000, path="*/resolve/*/model.bin", method="GET")
    found = content_of(filled.download("*.bin", to=tmp_path / "out"))
    assert fault.hits == 1
    assert found["model.bin"] == content_of(here)["model.bin"]


def test_bytes_that_flip_every_time_are_an_error_and_nobody_gets_the_file(
    filled, hub, tmp_path
) -> None:
    hub.faults.corrupt(5000, path="*/resolve/*/model.bin", method="GET", times=None)
    with pytest.raises(IntegrityError, match=r"'model\.bin' of .* damaged again and again"):
        filled.download(to=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "hf").rglob("model.bin"))
    hub.faults.clear()
    filled.download(to=tmp_path / "out")


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(
    filled, here, sent, content_of
) -> None:
    folder = filled.download()
    damage(folder / "model.bin")
    seen = sent()
    found = content_of(filled.download())
    assert found["model.bin"] == content_of(here)["model.bin"]
    assert seen.count("GET", "/resolve/") == 1


def test_a_connection_that_is_cut_at_ninety_percent_is_gone_on_with(
    filled, here, hub, content_of, tmp_path
) -> None:
    fault = hub.faults.drop(270_000, path="*/resolve/*/model.bin", method="GET")
    found = content_of(filled.download("model.bin", to=tmp_path / "out"))
    assert fault.hits == 1
    assert found["model.bin"] == content_of(here)["model.bin"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_stumbles_is_asked_again(status, filled, hub) -> None:
    hub.faults.answer(status, path="*/tree/*", retry_after=0)
    hub.faults.answer(status, path="*/api/models/*", retry_after=0)
    assert filled.download("config.json")


def test_a_hub_that_is_gone_is_told_and_what_is_here_can_be_had_without_it(
    filled, monkeypatch, here, content_of
) -> None:
    first = filled.download(["*.json", "*.bin"])
    monkeypatch.setenv("HFL_OFFLINE", "1")
    alone = RepoManager(filled.repo_id)
    assert alone.download("*.bin") == first
    assert alone.download("*.bin", "main") == first
    damage(first / "model.bin")
    with pytest.raises(NetworkError, match=r"switched off.*model\.bin"):
        alone.download("*.bin")
    with pytest.raises(NetworkError, match="not downloaded yet"):
        alone.download(revision="other")


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    filled, monkeypatch, sent, tmp_path
) -> None:
    usage = collections.namedtuple("usage", "total used free")
    free = [400_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, free[0]))
    seen = sent()
    with pytest.raises(DiskSpaceError, match=r"50\d,\d+ bytes are needed"):
        filled.download()
    assert seen.count("GET", "/resolve/") == 0
    free[0] = 600_000
    with pytest.raises(DiskSpaceError, match=r"1,00\d,\d+ bytes are needed"):
        filled.download(to=tmp_path / "out")
    assert filled.download()
    free[0] = 0
    assert filled.download()  # it is all here


def test_a_new_folder_appears_whole_or_not_at_all(filled, tmp_path, monkeypatch) -> None:
    out, copied = tmp_path / "deep" / "out", []

    def fails(source, target):
        copied.append(target)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        shutil.copyfile(source, target)

    monkeypatch.setattr(_placing, "shutil", _Shutil(fails))
    with pytest.raises(DiskSpaceError):
        filled.download(to=out)
    assert not out.exists()
    assert list(out.parent.iterdir()) == []


class _Shutil:
    """The standard library, with a disk that gets full."""

    def __init__(self, copyfile):
        self.copyfile, self.rmtree = copyfile, shutil.rmtree


def test_a_folder_that_is_there_keeps_what_it_has_and_gets_what_differs(
    filled, here, tmp_path, content_of
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (out / "config.json").write_text("old")
    filled.download(to=out)
    kept = (out / "model.bin").stat().st_ino
    filled.download(to=out)
    assert (out / "model.bin").stat().st_ino == kept
    found = content_of(out)
    assert found["mine.txt"] == b"mine"
    assert found["config.json"] == content_of(here)["config.json"]


def test_a_link_in_the_folder_does_not_lead_a_file_out_of_it(filled, tmp_path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "sub").symlink_to(outside)
    with pytest.raises(PermissionError, match="outside of"):
        filled.download(to=out)
    assert list(outside.iterdir()) == []


def test_what_was_downloaded_can_be_changed_without_harm_to_the_cache(
    filled, tmp_path, content_of, here
) -> None:
    out = filled.download(to=tmp_path / "out")
    (out / "model.bin").write_bytes(b"changed")
    assert content_of(filled.download())["model.bin"] == content_of(here)["model.bin"]


def test_a_name_that_leads_out_is_refused() -> None:
    from hfl_repo._target import Target
    from hfl_repo._transfer._download import chosen_files
    from hfl_repo._transfer._remote import RemoteFile

    with pytest.raises(ValidationError, match="cannot be kept here"):
        chosen_files({"../x": RemoteFile("../x", 1, "0")}, None, Target("a/b"))


def test_datasets_arrive_too(manager, ann, folder, content_of) -> None:
    repo = manager(ann.new_repo(kind="dataset"), repo_type="dataset")
    here = folder({"data/a.parquet": 40_000})
    repo.upload(here)
    assert (
        content_of(repo.download("data/"))["data/a.parquet"] == content_of(here)["data/a.parquet"]
    )


def test_differences_are_told_by_content(filled, here, folder, tmp_path) -> None:
    assert filled.diff(here) == ()
    os.utime(here / "model.bin", (1, 1))
    assert filled.diff(here) == ()
    (here / "copy.bin").write_bytes((here / "model.bin").read_bytes())
    (here / "run.log").unlink()
    folder({"config.json": '{"layers": 3}', "new.txt": "n"})
    assert [(c.path, c.kind, c.size) for c in filled.diff(here)] == [
        ("config.json", "change", 13),
        ("copy.bin", "copy", 300_000),
        ("new.txt", "add", 1),
    ]
    assert ("run.log", "delete") in [(c.path, c.kind) for c in filled.diff(here, delete=True)]
    assert filled.diff(here, include=["new.*"])[0].path == "new.txt"
    with pytest.raises(RevisionNotFoundError):
        filled.diff(here, revision="absent")


def test_a_reader_can_compare_and_download(hub, filled, here, sign_in) -> None:
    sign_in(hub.create_user("ann", role="read", token_name="only reads"))
    reader = RepoManager(filled.repo_id)
    assert reader.diff(here) == ()
    assert reader.download("config.json")
