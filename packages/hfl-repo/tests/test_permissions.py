from __future__ import annotations

import pytest

from hfl_core.errors import NetworkError
from hfl_repo import RepoManager


def rights(repo):
    found = repo.permissions()
    return found.read, found.write, found.admin


def test_the_owner_may_do_everything(repo) -> None:
    assert rights(repo) == (True, True, True)
    assert "owns the namespace" in repo.permissions().reason


def test_asking_changes_nothing(repo, asked) -> None:
    seen = asked()
    repo.permissions()
    assert seen.writes == []


def test_a_member_may_write_and_the_reason_names_the_role(manager, name) -> None:
    repo = manager(name.replace("ann/", "lab/"))
    repo.create()
    assert rights(repo) == (True, True, True)
    assert "member of 'lab' (role: write)" in repo.permissions().reason


def test_others_may_only_read_what_is_public(bob, manager) -> None:
    repo = manager(bob.new_repo())
    assert rights(repo) == (True, False, False)
    assert repo.permissions().reason == "'ann' is not a member of 'bob'."


def test_what_is_private_to_others_may_not_even_be_read(bob, manager) -> None:
    repo = manager(bob.new_repo(private=True))
    assert rights(repo) == (False, False, False)
    assert (
        "that 'ann' can see" in repo.permissions().reason or "HF_TOKEN" in repo.permissions().reason
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"role": "read"}, "reading only"),
        ({"role": "fineGrained", "scopes": [("ann/other", "write")]}, "fine-grained"),
    ],
)
def test_a_token_with_less_says_why(hub, ann, sign_in, options, reason) -> None:
    repo_id = ann.new_repo()
    sign_in(hub.create_user("ann", **options))
    repo = RepoManager(repo_id)
    assert rights(repo) == (True, False, False)
    assert reason in repo.permissions().reason


def test_a_reader_of_an_organization_says_so(hub, ann, manager, sign_in) -> None:
    owner = hub.create_user("chair", orgs={"club": "admin"})
    sign_in(owner)
    RepoManager("club/digits").create()
    sign_in(ann.token)
    repo = manager("club/digits")
    assert rights(repo) == (True, False, False)
    assert repo.permissions().reason == "'ann' may only read in 'club'."


def test_a_visitor_may_only_read(repo, sign_in) -> None:
    sign_in(None)
    visitor = RepoManager(repo.repo_id)
    assert rights(visitor) == (True, False, False)
    assert "Nobody is signed in" in visitor.permissions().reason


def test_the_hub_has_the_last_word_on_writing(hub, repo) -> None:
    hub.faults.answer(403, error="Locked by the owner", path="*/auth-check/write", times=None)
    assert rights(repo) == (True, False, False)
    assert "Locked by the owner" in repo.permissions().reason


def test_an_older_hub_cannot_be_asked_about_writing(hub, repo) -> None:
    hub.faults.answer(404, path="*/auth-check/write", times=None)
    assert rights(repo) == (True, True, True)


def test_a_hub_that_does_not_answer_is_no_refusal(hub, repo) -> None:
    hub.faults.answer(500, path="*/auth-check", times=None)
    with pytest.raises(NetworkError):
        repo.permissions()
