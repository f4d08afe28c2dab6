from __future__ import annotations

import os

import pytest

from hfl_core.errors import ValidationError
from hfl_repo._transfer._findings import Allowed
from hfl_repo._transfer._patterns import PathFilter
from hfl_repo._transfer._scan import scan

ALL, NOTHING = PathFilter(None, None), Allowed()


def paths(found):
    return [file.path for file in found.files]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("bb")
    return folder


def test_a_folder_is_listed_with_its_folders(folder) -> None:
    found = scan(folder, "in/repo", ALL, NOTHING)
    assert paths(found) == ["in/repo/a.txt", "in/repo/sub/b.txt"]
    assert [file.size for file in found.files] == [1, 2]
    assert found.folder == "in/repo"


def test_what_belongs_to_git_and_to_the_hubs_client_stays_out(folder) -> None:
    for path in (".git/config", "sub/.git/config", ".cache/huggingface/x", ".cache/other"):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    assert paths(scan(folder, None, ALL, NOTHING)) == [".cache/other", "a.txt", "sub/b.txt"]


def test_a_file_has_its_name_or_the_one_that_is_given(folder) -> None:
    file = folder / "a.txt"
    assert paths(scan(file, None, ALL, NOTHING)) == ["a.txt"]
    assert paths(scan(file, "x/y.txt", ALL, NOTHING)) == ["x/y.txt"]
    assert paths(scan(file, "x/", ALL, NOTHING)) == ["x/a.txt"]


def test_nothing_at_the_path_is_an_error_that_builtins_know(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        scan(tmp_path / "absent", None, ALL, NOTHING)
    with pytest.raises(ValidationError):
        scan(tmp_path / "absent", None, ALL, NOTHING)


def test_an_empty_folder_and_filters_that_leave_nothing_are_refused(tmp_path, folder) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(ValidationError, match="no file to upload"):
        scan(tmp_path / "empty", None, ALL, NOTHING)
    with pytest.raises(ValidationError, match="no file to upload"):
        scan(folder, None, PathFilter(["*.bin"], None), NOTHING)


def test_names_that_a_repository_cannot_have_are_named(folder) -> None:
    (folder / "a\\b").write_text("x")
    (folder / "line\nbreak").write_text("x")
    with pytest.raises(ValidationError, match=r"a\\\\b.*line\\nbreak"):
        scan(folder, None, ALL, NOTHING)


def test_a_link_inside_is_followed_and_one_that_leaves_is_found(folder, tmp_path) -> None:
    (tmp_path / "outside.txt").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (folder / "inside").symlink_to("a.txt")
    (folder / "folder").symlink_to("sub")
    (folder / "out").symlink_to(tmp_path / "outside.txt")
    (folder / "out-folder").symlink_to(tmp_path / "elsewhere")
    (folder / "broken").symlink_to("nowhere")
    (folder / "sub" / "up").symlink_to("..")
    found = scan(folder, None, ALL, NOTHING)
    assert paths(found) == ["a.txt", "folder/b.txt", "inside", "sub/b.txt"]
    assert sorted({f.path for f in found.findings}) == [
        "broken", "folder/up", "out", "out-folder", "sub/up",
    ]  # fmt: skip
    assert {f.kind for f in found.findings} == {"link"}


def test_a_link_that_leaves_is_followed_when_it_is_let_through(folder, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").write_text("xyz")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    found = scan(folder, None, ALL, Allowed(["out:link"]))
    assert "out/x.txt" in paths(found)
    assert found.findings == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_what_is_no_file_is_found_and_never_opened(folder) -> None:
    os.mkfifo(folder / "pipe")
    found = scan(folder, None, ALL, NOTHING)
    assert [(f.path, f.kind) for f in found.findings] == [("pipe", "special")]
