from __future__ import annotations

import pytest

from hfl_core.errors import ConfigError, ConflictError, PermissionDeniedError, ValidationError
from hfl_repo import RefExistsError, RepoManager, RevisionNotFoundError

KINDS = pytest.mark.parametrize("kind", ["branch", "tag"])


def verbs(repo, kind):
    return (
        getattr(repo, f"create_{kind}"),
        getattr(repo, f"delete_{kind}"),
        lambda: {ref.name: ref.commit for ref in getattr(repo, {"branch": "list_branches", "tag": "list_tags"}[kind])()},
    )  # fmt: skip


@KINDS
def test_one_that_is_absent_is_made(repo, kind) -> None:
    create, _, found = verbs(repo, kind)
    made = create("v1/a-b_c.d")
    assert (made.name, made.kind, made.commit) == ("v1/a-b_c.d", kind, repo.info().sha)
    assert found()["v1/a-b_c.d"] == made.commit


@KINDS
def test_one_that_is_where_it_should_be_is_fine(repo, kind, asked) -> None:
    create, _, _ = verbs(repo, kind)
    made = create("v1")
    seen = asked()
    assert create("v1") == made
    assert seen.writes == []


@KINDS
def test_one_that_is_elsewhere_is_an_error_unless_that_is_fine(repo, ann, kind) -> None:
    create, _, found = verbs(repo, kind)
    made = create("v1")
    ann.commit(repo.repo_id, {"a": b"1"})
    with pytest.raises(RefExistsError) as caught:
        create("v1")
    assert caught.value.target == made.commit
    assert create("v1", exist_ok=True) == made
    assert found()["v1"] == made.commit


@KINDS
def test_it_starts_where_it_is_told(repo, ann, kind) -> None:
    create, _, _ = verbs(repo, kind)
    first = repo.info().sha
    ann.commit(repo.repo_id, {"a": b"1"})
    assert create("old", first).commit == first
    assert create("older", "old").commit == first
    assert create("new", "main").commit == repo.info().sha


@KINDS
def test_it_cannot_start_where_nothing_is(repo, kind, asked) -> None:
    create, _, _ = verbs(repo, kind)
    seen = asked()
    with pytest.raises(RevisionNotFoundError) as caught:
        create("v1", "absent")
    assert caught.value.available == ("main",)
    assert seen.writes == []


@KINDS
def test_deleting_takes_it_away_and_is_an_error_where_there_is_none(repo, kind) -> None:
    create, delete, found = verbs(repo, kind)
    create("v1")
    delete("v1")
    assert "v1" not in found()
    with pytest.raises(RevisionNotFoundError):
        delete("v1")
    delete("v1", missing_ok=True)


@KINDS
@pytest.mark.parametrize(
    "name", ["", "refs/pr/1", "a b", "a..b", ".a", "a/", "-a", "HEAD", "a" * 40, "x.lock", None, "é" * 101]
)  # fmt: skip
def test_names_that_are_none_are_refused_by_every_verb(repo, kind, name, asked) -> None:
    create, delete, _ = verbs(repo, kind)
    seen = asked()
    if name == "a" * 40:
        name = "0" * 40
    for verb in (create, delete):
        with pytest.raises(ValidationError):
            verb(name)
    assert seen() == []


@KINDS
def test_a_reader_may_do_what_needs_no_change_and_nothing_else(
    repo, kind, hub, sign_in, asked
) -> None:
    create, _, _ = verbs(repo, kind)
    made = create("v1")
    sign_in(hub.create_user("ann", role="read"))
    create, delete, _ = verbs(RepoManager(repo.repo_id), kind)
    seen = asked()
    assert create("v1") == made
    delete("v2", missing_ok=True)
    for refused in (lambda: create("v2"), lambda: delete("v1")):
        with pytest.raises(PermissionDeniedError, match="reading only"):
            refused()
    assert seen.writes == []


@KINDS
def test_an_answer_that_was_lost_does_no_harm(repo, hub, kind) -> None:
    create, delete, found = verbs(repo, kind)
    hub.faults.answer(500, after=True, method="POST", path=f"*/{kind}/*")
    create("v1")
    hub.faults.answer(500, after=True, method="DELETE", path=f"*/{kind}/*")
    delete("v1")
    assert "v1" not in found()


@KINDS
def test_names_that_are_paths_of_each_other_clash(repo, kind) -> None:
    create, _, _ = verbs(repo, kind)
    create("a/b")
    with pytest.raises(ConflictError, match="Names are also paths"):
        create("a")


def test_the_default_branch_stays(repo, asked) -> None:
    seen = asked()
    with pytest.raises(PermissionDeniedError, match="default branch"):
        repo.delete_branch("main")
    assert seen.writes == []


def test_a_pull_requests_revision_can_be_where_a_branch_starts(repo) -> None:
    proposal = repo.create_pull_request("A better model", "It is better.")
    assert proposal.revision == "refs/pr/1"
    assert repo.create_branch("from-pr", proposal.revision).commit == repo.info().sha
    assert proposal.url == f"{repo.endpoint}/{repo.repo_id}/discussions/1"


def test_a_pull_request_can_be_opened_where_one_may_not_push(bob, manager) -> None:
    proposal = manager(bob.new_repo()).create_pull_request("A better model")
    assert proposal.number == 1


def test_a_pull_request_needs_a_title_and_a_token_that_writes(repo, hub, sign_in, asked) -> None:
    seen = asked()
    with pytest.raises(ValidationError):
        repo.create_pull_request("  a ")
    sign_in(hub.create_user("ann", role="read"))
    with pytest.raises(PermissionDeniedError, match="reading only"):
        RepoManager(repo.repo_id).create_pull_request("A better model")
    assert seen.writes == []


def test_history_goes_from_new_to_old_and_asks_for_what_is_needed(repo, ann, asked) -> None:
    for number in range(5):
        ann.commit(repo.repo_id, {"a": bytes([number])})
    assert [commit.title for commit in repo.history()] == ["by hand"] * 5 + ["initial commit"]
    assert [len(commit.id) for commit in repo.history(limit=2)] == [40, 40]
    seen = asked()
    commits = repo.history()
    next(commits)
    assert len(seen()) == 2  # where the branch is, and one page
    newest = next(repo.history())
    assert newest.authors == ("ann",)
    assert newest.created_at is not None
    with pytest.raises(RevisionNotFoundError):
        next(repo.history("absent"))


def test_long_histories_come_page_by_page(repo, ann, monkeypatch) -> None:
    for number in range(4):
        ann.commit(repo.repo_id, {"a": bytes([number])})
    target = repo._target
    pages = repo._hub.pages(target.api("commits", "main"), target, params={"limit": 2})
    assert len(list(pages)) == 5


@pytest.mark.parametrize(
    "call",
    [
        lambda repo: repo.card(""),
        lambda repo: repo.info(""),
        lambda repo: list(repo.history("")),
        lambda repo: repo.update_card({"tags": ["a"]}, revision=""),
        lambda repo: repo.upload(__file__, revision="", allow="test_refs.py"),
        lambda repo: repo.download(revision=""),
        lambda repo: repo.diff(__file__, revision=""),
    ],
)
def test_an_empty_revision_is_no_default_branch(call, repo, asked):
    seen = asked()
    with pytest.raises(ConfigError, match="The revision is empty"):
        call(repo)
    assert seen.writes == []
