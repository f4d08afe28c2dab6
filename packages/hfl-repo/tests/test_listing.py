from __future__ import annotations

import pytest

from hfl_auth import TokenNotFoundError
from hfl_core.errors import ValidationError
from hfl_repo import RepoManager


def names(found):
    return {each.repo_id for each in found}


def test_ones_own_repositories_are_listed_private_ones_included(ann, bob, manager) -> None:
    mine = {ann.new_repo(), ann.new_repo(private=True)}
    other = bob.new_repo()
    found = names(manager().list(limit=None))
    assert mine <= found
    assert other not in found
    assert other in names(manager().list("bob"))


def test_the_newest_comes_first_and_limits_count(ann, manager) -> None:
    for _ in range(3):
        ann.new_repo()
    found = manager().list(sort="created_at", limit=2)
    assert len(found) == 2
    assert found[0].created_at >= found[1].created_at


def test_long_lists_come_page_by_page(ann, manager) -> None:
    made = {ann.new_repo(kind="dataset") for _ in range(3)}
    repo = manager(repo_type="dataset")
    pages = repo._hub.pages("/api/datasets", params=[("author", "ann"), ("limit", "2")])
    assert made <= {each["id"] for each in pages}
    assert made <= names(repo.list(limit=None))


def test_types_do_not_mix(ann, manager) -> None:
    dataset = ann.new_repo(kind="dataset")
    assert dataset in names(manager(repo_type="dataset").list())
    assert dataset not in names(manager().list(limit=None))


def test_filters_narrow_a_list(ann, manager, name) -> None:
    manager(name).create(license="bsd-3-clause", tags=["rare-tag"])
    assert names(manager().list(tags=["rare-tag"])) == {name}
    assert names(manager().list(license="bsd-3-clause")) == {name}
    assert names(manager().list(license="bsd-3-clause", tags=["other"])) == set()
    assert manager().list(tags=["rare-tag"])[0].license == "bsd-3-clause"


def test_an_archived_repository_can_be_told_in_a_list(repo, manager) -> None:
    repo.archive()
    listed = {each.repo_id: each for each in manager().list(limit=None)}
    assert listed[repo.repo_id].is_archived


def test_a_search_finds_others_too_but_not_what_is_private(bob, manager) -> None:
    public = bob.new_repo(name="find-me-public")
    bob.new_repo(name="find-me-private", private=True)
    assert names(manager().search("find-me")) == {public}
    assert names(manager().search("find-me", author="ann")) == set()


@pytest.mark.parametrize(
    "options", [{"sort": "size"}, {"limit": 0}, {"limit": True}, {"license": "mti"}, {"tags": "x"}]
)
def test_filters_that_make_no_sense_are_refused(manager, options, asked) -> None:
    seen = asked()
    with pytest.raises(ValidationError):
        manager().search("x", **options)
    assert seen() == []


def test_a_visitor_has_no_repositories_of_his_own(sign_in) -> None:
    sign_in(None)
    with pytest.raises(TokenNotFoundError):
        RepoManager().list()
    assert isinstance(RepoManager().search("x"), tuple)
