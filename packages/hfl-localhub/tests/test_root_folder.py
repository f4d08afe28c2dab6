"""Where a Hub may be, and what is said of places where it may not."""

from __future__ import annotations

import os
import sys

import pytest
from click.testing import CliRunner

from hfl_core.errors import ConfigError, HflError, PermissionDeniedError
from hfl_localhub import LocalHub
from hfl_localhub._root_folder import make_root
from hfl_localhub.cli import hub as command


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("root", ["", " ", "a\0b"])
def test_what_names_no_folder_is_refused_before_anything_is_made(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="folder"):
        LocalHub(root)
    for arguments in (["serve", "--port", "0"], ["env"], ["reset", "--yes"]):
        result = CliRunner().invoke(command, [*arguments, "--root", root])
        assert isinstance(result.exception, ConfigError), result.exception
        assert result.exception.exit_code == 2
        assert result.exception.hint
    assert contents(tmp_path) == []


@pytest.mark.parametrize("name", ["file", "file/below", "file/far/below", "new/" + "n" * 300])
def test_a_place_where_no_folder_can_be_is_refused_and_nothing_is_made(name, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="can't be the Hub's folder") as caught:
        LocalHub(tmp_path / name).start()
    assert caught.value.hint
    assert contents(tmp_path) == ["file"]
    for arguments in (["env"], ["reset", "--yes"]):
        result = CliRunner().invoke(command, [*arguments, "--root", str(tmp_path / name)])
        assert isinstance(result.exception, (HflError, SystemExit)), result.exception
        assert result.exit_code
    assert contents(tmp_path) == ["file"]


@pytest.fixture
def nobody():
    """Give up the rights of root, if this process has them."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
@pytest.mark.parametrize("name", ["", "new", "new/deep"])
def test_a_place_that_may_not_be_written_is_refused(name, tmp_path, request):
    closed = tmp_path / "closed"
    closed.mkdir()
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    closed.chmod(0o555)
    request.getfixturevalue("nobody")
    with pytest.raises(PermissionDeniedError, match="can't be the Hub's folder") as caught:
        make_root(closed / name)
    assert (caught.value.exit_code, caught.value.hint is not None) == (9, True)
    assert contents(closed) == []


@pytest.mark.parametrize("name", ["tmp", "staging", "uploads", "repos"])
def test_the_folder_of_something_else_is_left_as_it_is(name, tmp_path):
    """A Hub clears its ``tmp`` and ``staging`` when it opens."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match=name):
        LocalHub(tmp_path).start()
    assert contents(tmp_path) == [name, f"{name}/thesis.tex"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "key": "x"}'])
def test_a_file_that_looks_like_a_hubs_is_not_taken_for_one(text, tmp_path):
    (tmp_path / "hub.json").write_text(text)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="was not written by a local Hub"):
        LocalHub(tmp_path).start()
    assert (tmp_path / "tmp" / "mine").exists()
    assert (tmp_path / "hub.json").read_text() == text


def test_a_hub_that_cannot_listen_makes_nothing(tmp_path):
    with LocalHub(tmp_path / "a") as hub:
        port = int(hub.endpoint.rsplit(":", 1)[1])
        with pytest.raises(HflError, match="can't be listened on"):
            LocalHub(tmp_path / "b", port).start()
    assert not (tmp_path / "b").exists()
