from __future__ import annotations

import pytest

from hfl_core.errors import PermissionDeniedError
from hfl_repo import InvalidCardError, RepoArchivedError, RepoManager

CARD = b"---\n# mine\ntags:\n- a\n---\n\nText.\n"


@pytest.mark.parametrize("private", [True, False])
def test_archiving_is_undone_completely(ann, manager, private) -> None:
    repo = manager(ann.new_repo(private=private))
    ann.commit(repo.repo_id, {"README.md": CARD})
    found = repo.archive()
    assert (found.is_archived, found.is_private) == (True, True)
    assert [tag.name for tag in repo.list_tags()] == ["hfl-archived"]
    assert "archived" in repo.card().metadata["tags"]
    found = repo.unarchive()
    assert (found.is_archived, found.is_private) == (False, private)
    assert repo.list_tags() == ()
    assert ann.read(repo.repo_id) == CARD


def test_a_repository_without_a_card_can_be_archived(repo) -> None:
    assert repo.archive().is_archived
    assert not repo.unarchive().is_archived


def test_doing_it_twice_does_no_harm(repo) -> None:
    first = repo.archive()
    assert repo.archive() == first
    assert repo.unarchive().is_private is False
    assert repo.unarchive().is_archived is False


@pytest.mark.parametrize("fails", ["*/settings", "*/tag/*"])
def test_an_archiving_that_was_cut_short_is_finished_the_next_time(hub, repo, fails) -> None:
    hub.faults.answer(403, path=fails)
    with pytest.raises(PermissionDeniedError):
        repo.archive()
    assert repo.archive().is_private
    assert repo.unarchive().is_private is False


def test_bringing_back_that_was_cut_short_is_finished_the_next_time(hub, repo) -> None:
    repo.archive()
    hub.faults.answer(403, path="*/settings")
    with pytest.raises(PermissionDeniedError):
        repo.unarchive()
    found = repo.unarchive()
    assert (found.is_archived, found.is_private) == (False, False)


def test_nothing_is_written_to_an_archived_repository(repo, asked) -> None:
    repo.archive()
    seen = asked()
    for write in (
        repo.require_visibility,
        lambda: repo.update_card({"license": "mit"}),
        lambda: repo.set_gitattributes(["*.x"]),
        lambda: repo.create_branch("next"),
        lambda: repo.create_tag("v1"),
    ):
        with pytest.raises(RepoArchivedError):
            write()
    assert seen.writes == []
    repo.unarchive()
    assert repo.update_card({"license": "mit"}).changed == ("license",)


def test_what_the_card_says_survives_for_the_next_push(repo) -> None:
    repo.update_card({"tags": ["a", "b"], "license": "mit"})
    repo.archive()
    repo.unarchive()
    assert repo.update_card({"tags": ["a"], "license": "mit"}).changed == ("tags",)
    assert repo.card().metadata["tags"] == ["a"]


def test_a_card_that_cannot_be_read_stops_it_before_anything_changes(repo, ann) -> None:
    ann.commit(repo.repo_id, {"README.md": b"---\n[\n---\n"})
    with pytest.raises(InvalidCardError):
        repo.archive()
    assert repo.info().is_private is False


def test_others_may_not_archive(bob, manager, asked) -> None:
    repo_id = bob.new_repo()
    seen = asked()
    for verb in (RepoManager.archive, RepoManager.unarchive):
        with pytest.raises(PermissionDeniedError):
            verb(manager(repo_id))
    assert seen.writes == []
