from __future__ import annotations

import threading

import pytest

from hfl_auth import TokenNotFoundError, WrongAccountError
from hfl_core.errors import ConfigError, NetworkError, PermissionDeniedError, ValidationError
from hfl_repo import (
    ConfirmationError,
    RepoExistsError,
    RepoManager,
    RepoNotFoundError,
    RevisionNotFoundError,
    VisibilityMismatchError,
)


def test_nothing_is_asked_before_a_method_is_called(hub, asked) -> None:
    seen = asked()
    assert repr(RepoManager("ann/digits")) == "RepoManager('ann/digits', repo_type='model')"
    assert seen() == []


def test_a_repository_is_created_as_asked(manager, name) -> None:
    found = manager(name).create(private=True, license="mit", tags=["digits"])
    assert (found.repo_id, found.is_private, found.license) == (name, True, "mit")
    assert "digits" in found.tags
    assert found == manager(name).info()


def test_a_bare_name_is_in_the_own_namespace(manager, name) -> None:
    assert manager(name.partition("/")[2]).create().repo_id == name


def test_datasets_and_spaces_are_created_too(manager, name) -> None:
    assert manager(name, repo_type="dataset").create().url.endswith(f"/datasets/{name}")
    assert manager(name, repo_type="space").create(space_sdk="static").repo_type == "space"
    assert not manager(name).exists()


def test_an_organization_repository_is_created(manager, name) -> None:
    in_lab = name.replace("ann/", "lab/")
    assert manager(in_lab).create().repo_id == in_lab


@pytest.mark.parametrize("private", [True, False])
def test_an_existing_one_is_reused_if_it_is_what_was_asked_for(ann, manager, private) -> None:
    repo_id = ann.new_repo(private=private)
    assert manager(repo_id).create(private=private).is_private == private
    assert manager(repo_id).create().is_private == private


@pytest.mark.parametrize("private", [True, False])
def test_the_wrong_visibility_is_refused_before_anything_is_sent(
    ann, manager, asked, private
) -> None:
    repo_id = ann.new_repo(private=not private)
    seen = asked()
    with pytest.raises(VisibilityMismatchError):
        manager(repo_id).create(private=private, license="mit")
    with pytest.raises(VisibilityMismatchError):
        manager(repo_id).require_visibility(private=private)
    assert seen.writes == []


def test_visibility_that_does_not_matter_is_not_checked(ann, manager) -> None:
    assert manager(ann.new_repo(private=True)).require_visibility().is_private


def test_the_accounts_default_is_left_to_the_hub(hub, manager, name) -> None:
    manager(name).create()
    sent = [each for each in hub.requests if each.path == "/api/repos/create"][-1]
    assert sent.status == 200
    assert manager(name).info().is_private is False


def test_a_name_that_is_taken_can_be_an_error(repo) -> None:
    with pytest.raises(RepoExistsError) as caught:
        repo.create(on_conflict="fail")
    assert caught.value.moved_to is None


def test_a_name_that_is_taken_can_lead_to_the_next_one(repo) -> None:
    first = repo.repo_id
    assert repo.create(on_conflict="rename").repo_id == f"{first}-2"
    assert repo.repo_id == f"{first}-2"
    assert RepoManager(first).create(on_conflict="rename").repo_id == f"{first}-3"


def test_a_name_that_only_leads_elsewhere_is_not_reused(repo, name, manager) -> None:
    old = repo.repo_id
    repo.move(name)
    with pytest.raises(RepoExistsError) as caught:
        manager(old).create()
    assert caught.value.moved_to == name


def test_who_loses_the_race_takes_what_the_winner_made(hub, ann, manager, name) -> None:
    # Both have seen that there is none; the other one's request arrives first.
    stalled = hub.faults.stall(direction="upload", method="POST", path="/api/repos/create")
    found = []
    loser = threading.Thread(target=lambda: found.append(manager(name).create(private=True)))
    loser.start()
    assert stalled.wait_until_reached()
    ann.new_repo(private=True, name=name.partition("/")[2])
    stalled.release()
    loser.join(30)
    assert [each.repo_id for each in found] == [name]


def test_who_loses_the_race_to_another_visibility_is_told(hub, ann, manager, name) -> None:
    stalled = hub.faults.stall(direction="upload", method="POST", path="/api/repos/create")
    errors = []

    def create():
        try:
            manager(name).create(private=True)
        except VisibilityMismatchError as error:
            errors.append(error)

    loser = threading.Thread(target=create)
    loser.start()
    assert stalled.wait_until_reached()
    ann.new_repo(private=False, name=name.partition("/")[2])
    stalled.release()
    loser.join(30)
    assert len(errors) == 1


def test_a_creation_whose_answer_was_lost_counts_as_ours(hub, manager, name) -> None:
    hub.faults.answer(500, after=True, method="POST", path="/api/repos/create")
    assert manager(name).create(on_conflict="fail").repo_id == name


def test_a_hub_that_makes_another_one_right_now_is_waited_for(hub, manager, name) -> None:
    busy = "Cannot create repo: another conflicting operation is in progress"
    hub.faults.answer(409, error=busy, times=2, method="POST", path="/api/repos/create")
    assert manager(name).create(on_conflict="fail").repo_id == name


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"license": "MIT"}, "Did you mean 'mit'"),
        ({"license": "apache2"}, "Did you mean 'apache-2.0'"),
        ({"license": "my-own"}, "'other'"),
        ({"tags": "digits"}, "Tags are a list"),
        ({"tags": ["a,b"]}, "comma"),
        ({"tags": [""]}, "empty"),
        ({"tags": [3]}, "no text"),
        ({"space_sdk": "static"}, "for spaces"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(manager, asked, name, options, text) -> None:
    seen = asked()
    with pytest.raises(ValidationError) as caught:
        manager(name).create(**options)
    assert text in str(caught.value)
    assert seen() == []


def test_a_space_needs_an_sdk_that_exists(manager, name) -> None:
    with pytest.raises(ValidationError, match="needs an SDK"):
        manager(name, repo_type="space").create()


def test_a_policy_that_does_not_exist_is_refused(manager, name) -> None:
    with pytest.raises(ConfigError):
        manager(name).create(on_conflict="replace")


def test_the_wrong_namespace_is_refused_with_the_account_and_its_organizations(
    manager, asked
) -> None:
    seen = asked()
    with pytest.raises(WrongAccountError) as caught:
        manager("bob/digits").create()
    assert "'ann' may not write to 'bob'. It may write to: ann, lab" in str(caught.value)
    assert seen.writes == []


def test_an_organization_where_one_may_only_read_is_refused(manager, asked) -> None:
    seen = asked()
    with pytest.raises(PermissionDeniedError, match="may only read in 'club'"):
        manager("club/digits").create()
    assert seen.writes == []


@pytest.mark.parametrize(
    "role", [{"role": "read"}, {"role": "fineGrained", "scopes": [("ann/other", "write")]}]
)
def test_a_token_that_may_not_write_is_refused_with_the_reason(
    hub, ann, sign_in, asked, name, role
) -> None:
    sign_in(hub.create_user("ann", **role))
    seen = asked()
    with pytest.raises(PermissionDeniedError, match="token of 'ann'"):
        RepoManager(name).create()
    assert seen.writes == []


def test_a_fine_grained_token_works_where_it_is_for(hub, ann, sign_in) -> None:
    repo_id = ann.new_repo()
    sign_in(hub.create_user("ann", role="fineGrained", scopes=[(repo_id, "write")]))
    assert RepoManager(repo_id).update_card({"license": "mit"}).changed == ("license",)


def test_nobody_is_told_to_sign_in(sign_in, asked, name) -> None:
    sign_in(None)
    seen = asked()
    with pytest.raises(TokenNotFoundError):
        RepoManager(name).create()
    assert seen() == []


def test_what_is_not_there_is_said_by_name(manager, name) -> None:
    with pytest.raises(RepoNotFoundError) as caught:
        manager(name).info()
    assert name in str(caught.value)
    assert not manager(name).exists()


def test_a_private_repository_of_somebody_else_looks_absent(manager, bob) -> None:
    assert not manager(bob.new_repo(private=True)).exists()


def test_an_absent_revision_names_those_that_exist(repo) -> None:
    repo.create_tag("v1")
    with pytest.raises(RevisionNotFoundError) as caught:
        repo.info("v2")
    assert caught.value.available == ("main", "v1")


def test_a_deletion_needs_the_name_again(repo, asked) -> None:
    seen = asked()
    for wrong in ("", "yes", repo.repo_id.upper(), repo.repo_id.partition("/")[2]):
        with pytest.raises(ConfirmationError):
            repo.delete(confirm=wrong)
    assert seen() == []
    repo.delete(confirm=repo.repo_id)
    assert not repo.exists()


def test_deleting_what_is_not_there_is_an_error_unless_it_is_fine(manager, name) -> None:
    with pytest.raises(RepoNotFoundError):
        manager(name).delete(confirm=name)
    manager(name).delete(confirm=name, missing_ok=True)


def test_a_former_name_does_not_delete_what_it_leads_to(repo, name, manager) -> None:
    old = repo.repo_id
    repo.move(name)
    with pytest.raises(ConfirmationError, match=f"'{name}' was not deleted"):
        manager(old).delete(confirm=old)
    assert manager(name).exists()


def test_a_deletion_whose_answer_was_lost_is_done(hub, repo) -> None:
    hub.faults.answer(502, after=True, method="DELETE", path="/api/repos/delete")
    repo.delete(confirm=repo.repo_id)
    assert not repo.exists()


def test_only_the_owner_deletes(hub, ann, bob, sign_in) -> None:
    repo_id = ann.new_repo()
    sign_in(bob.token)
    with pytest.raises(WrongAccountError):
        RepoManager(repo_id).delete(confirm=repo_id)
    assert ann.call("GET", f"/api/models/{repo_id}").status == 200


def test_a_manager_without_a_repository_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="which repository"):
        RepoManager().info()


def test_a_move_keeps_the_history_and_leads_from_the_old_name(repo, name, manager) -> None:
    old, sha = repo.repo_id, repo.info().sha
    assert repo.move(name).sha == sha
    assert repo.repo_id == name
    assert manager(old).info().repo_id == name


def test_a_move_to_a_name_that_is_taken_is_refused(repo, ann, asked) -> None:
    taken = ann.new_repo()
    seen = asked()
    with pytest.raises(RepoExistsError):
        repo.move(taken)
    assert seen.writes == []


def test_a_move_to_somebody_else_is_refused(repo, asked) -> None:
    seen = asked()
    with pytest.raises(WrongAccountError):
        repo.move("bob/mine")
    assert seen.writes == []


def test_a_move_to_the_same_name_does_nothing(repo, asked) -> None:
    seen = asked()
    assert repo.move(repo.repo_id.partition("/")[2]).repo_id == repo.repo_id
    assert seen.writes == []


def test_a_move_whose_answer_was_lost_is_done(hub, repo, name) -> None:
    hub.faults.answer(500, after=True, method="POST", path="/api/repos/move")
    assert repo.move(name).repo_id == name


def test_a_hub_that_stays_broken_is_reported_as_it_is(hub, manager, name) -> None:
    hub.faults.answer(500, method="POST", path="/api/repos/create", times=None)
    with pytest.raises(NetworkError, match="status 500"):
        manager(name).create()
