from __future__ import annotations

import threading

import pytest

from hfl_core.errors import PermissionDeniedError
from hfl_repo import ConfirmationError, RevisionNotFoundError


def weights(number):
    return b"%05d" % number * 400


def push(ann, repo, number, *, rev="main", keep=2):
    """Push a checkpoint and retire the one that is too old, as a training run does."""
    retired = [f"step-{number - keep}/model.safetensors"] if number >= keep else []
    ann.commit(
        repo.repo_id,
        large={f"step-{number}/model.safetensors": weights(number)},
        delete=retired,
        rev=rev,
    )


def digests(*numbers):
    import hashlib

    return {hashlib.sha256(weights(number)).hexdigest() for number in numbers}


def test_a_report_says_what_shows_what(repo, ann) -> None:
    for number in range(3):
        push(ann, repo, number)
    repo.create_tag("all")
    push(ann, repo, 3)
    report = repo.storage()
    assert report.bytes == 4 * 2000
    by_name = {usage.ref: usage for usage in report.by_ref}
    assert (by_name["main"].files, by_name["main"].bytes) == (2, 4000)
    assert by_name["main"].exclusive_bytes == 2000  # step 3; the tag shows step 2 as well
    assert by_name["all"].kind == "tag"
    assert {file.sha256 for file in report.unreferenced} == digests(0)
    assert report.unreferenced_bytes == 2000
    shown = {file.path: file.refs for file in report.files}
    assert shown["step-2/model.safetensors"] == ("main", "all")


def test_twenty_pushes_that_keep_two_leave_those_and_what_is_tagged(repo, ann, hub) -> None:
    for number in range(20):
        push(ann, repo, number)
        if number == 5:
            repo.create_tag("paper")
    assert ann.large_files(repo.repo_id) == digests(*range(20))
    plan = repo.reclaim()
    assert (plan.is_done, plan.squash) == (False, ("main",))
    assert {file.sha256 for file in plan.delete} == digests(*set(range(20)) - {4, 5, 18, 19})
    assert plan.freed_bytes == 16 * 2000
    assert ann.large_files(repo.repo_id) == digests(*range(20))  # a plan changes nothing
    done = repo.reclaim(plan_only=False, confirm=repo.repo_id)
    assert (done.is_done, done.delete) == (True, plan.delete)
    assert ann.large_files(repo.repo_id) == digests(4, 5, 18, 19)
    for rev, numbers in (("main", (18, 19)), ("paper", (4, 5))):
        for number in numbers:
            path = f"step-{number}/model.safetensors"
            assert ann.read(repo.repo_id, path, rev) == weights(number)
    assert repo.storage().unreferenced == ()
    assert repo.reclaim(plan_only=False, confirm=repo.repo_id).squash == ()


def test_it_needs_the_name_again(repo, ann, asked) -> None:
    for number in range(4):
        push(ann, repo, number)
    seen = asked()
    for wrong in (None, "yes", repo.repo_id + "2"):
        with pytest.raises(ConfirmationError):
            repo.reclaim(plan_only=False, confirm=wrong)
    assert seen() == []
    assert len(ann.large_files(repo.repo_id)) == 4


def test_a_branch_that_holds_nothing_old_keeps_its_history(repo, ann) -> None:
    repo.update_card({"license": "mit"})
    repo.create_branch("checkpoints")
    repo.update_card({"tags": ["digits"]})
    for number in range(4):
        push(ann, repo, number, rev="checkpoints")
    plan = repo.reclaim(plan_only=False, confirm=repo.repo_id)
    assert plan.squash == ("checkpoints",)
    assert len(list(repo.history("main"))) == 3
    assert len(list(repo.history("checkpoints"))) == 1
    assert ann.large_files(repo.repo_id) == digests(2, 3)


def test_what_another_branch_has_in_its_history_stays_when_only_one_is_squashed(repo, ann) -> None:
    for number in range(3):
        push(ann, repo, number)
    repo.create_branch("other")
    for number in range(3, 6):
        push(ann, repo, number)
    plan = repo.reclaim(branches=["main"])
    assert {file.sha256 for file in plan.kept} == digests(0)
    assert {file.sha256 for file in plan.delete} == digests(3)
    repo.reclaim(plan_only=False, branches=["main"], confirm=repo.repo_id)
    assert ann.large_files(repo.repo_id) == digests(0, 1, 2, 4, 5)
    assert len(list(repo.history("other"))) == 4


def test_what_a_pull_request_shows_stays(repo, ann) -> None:
    push(ann, repo, 0)
    proposal = repo.create_pull_request("Keep this one")
    for number in range(1, 4):
        push(ann, repo, number)
    repo.reclaim(plan_only=False, confirm=repo.repo_id)
    assert ann.large_files(repo.repo_id) == digests(0, 2, 3)
    assert ann.read(repo.repo_id, "step-0/model.safetensors", proposal.revision) == weights(0)


def test_what_somebody_pushes_again_meanwhile_stays(hub, repo, ann) -> None:
    for number in range(4):
        push(ann, repo, number)
    stalled = hub.faults.stall(direction="upload", method="POST", path="*/super-squash/*")
    reports = []
    worker = threading.Thread(
        target=lambda: reports.append(repo.reclaim(plan_only=False, confirm=repo.repo_id))
    )
    worker.start()
    assert stalled.wait_until_reached()
    ann.commit(repo.repo_id, large={"again.safetensors": weights(0)})
    stalled.release()
    worker.join(60)
    assert {file.sha256 for file in reports[0].delete} == digests(1)
    assert ann.read(repo.repo_id, "again.safetensors") == weights(0)


def test_lost_answers_do_no_harm(hub, repo, ann) -> None:
    for number in range(4):
        push(ann, repo, number)
    hub.faults.answer(500, after=True, method="POST", path="*/super-squash/*")
    hub.faults.answer(500, after=True, method="POST", path="*/lfs-files/batch")
    repo.reclaim(plan_only=False, confirm=repo.repo_id)
    assert ann.large_files(repo.repo_id) == digests(2, 3)


def test_a_branch_that_is_not_there_is_named(repo, ann) -> None:
    push(ann, repo, 0)
    with pytest.raises(RevisionNotFoundError) as caught:
        repo.reclaim(branches=["absent"])
    assert caught.value.available == ("main",)


def test_an_empty_repository_has_nothing_to_free(repo) -> None:
    report = repo.storage()
    assert (report.bytes, report.files) == (0, ())
    done = repo.reclaim(plan_only=False, confirm=repo.repo_id)
    assert (done.is_done, done.delete, done.squash) == (True, (), ())


def test_others_may_not(bob, manager, asked) -> None:
    repo_id = bob.new_repo()
    seen = asked()
    for verb in ("storage", "reclaim"):
        with pytest.raises(PermissionDeniedError):
            getattr(manager(repo_id), verb)()
    assert seen.writes == []
