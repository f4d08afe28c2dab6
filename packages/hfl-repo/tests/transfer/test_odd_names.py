"""Files whose names or links mislead."""

from __future__ import annotations

import os

import pytest

from hfl_core.errors import ValidationError
from hfl_repo import UnsafeUploadError


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_that_lead_to_themselves_are_named_and_nothing_is_sent(repo, folder, sent):
    here = folder({"a.txt": "x"})
    (here / "loop").symlink_to("loop")
    (here / "ping").symlink_to("pong")
    (here / "pong").symlink_to("ping")
    seen = sent()
    with pytest.raises(UnsafeUploadError, match="loop: a link that leads nowhere but to itself"):
        repo.upload(here)
    assert seen.count("POST") == 0


def test_a_name_that_clients_refuse_to_download_is_refused_on_the_way_up(repo, folder):
    with pytest.raises(ValidationError, match="begins like a drive of Windows"):
        repo.upload(folder({"logs/a:b.txt": "x"}))


def test_one_file_that_cannot_be_kept_does_not_hold_back_the_others(repo, ann, folder, tmp_path):
    repo.upload(folder({"good.txt": "fine"}))
    ann.commit(repo.repo_id, {"logs/a:b.txt": b"x"})
    assert (repo.download("good.txt") / "good.txt").read_text() == "fine"
    with pytest.raises(ValidationError, match="cannot be kept here: 'logs/a:b.txt'"):
        repo.download(to=tmp_path / "all")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("name", ["[a].txt", "*.txt", "x ", "!keep", "#note", "back?.txt"])
def test_a_path_is_found_although_it_would_be_a_pattern(name, repo, folder, tmp_path):
    repo.upload(folder({name: "this", "a.txt": "other"}))
    place = repo.download(name, to=tmp_path / "out")
    assert (place / name).read_text() == "this"
