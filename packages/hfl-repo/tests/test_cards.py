from __future__ import annotations

import threading

import pytest

from hfl_core.errors import ConfigError, ValidationError
from hfl_repo import CardConflictError, HeadMovedError, InvalidCardError, RevisionNotFoundError
from hfl_repo._card._check import find_problems

HUMAN = b"""---
# chosen by the team
license: mit   # do not touch
our-field: {keep:   me}
tags:
  - "seen"
---

# Digits

Written  by hand.
"""


def test_a_new_card_says_what_it_was_told(repo, ann) -> None:
    update = repo.update_card({"license": "mit", "tags": ["digits"]}, body="# Digits\n")
    assert update.changed == ("license", "tags")
    assert ann.read(repo.repo_id) == (b"---\nlicense: mit\ntags:\n- digits\n---\n\n# Digits\n")
    card = repo.card()
    assert (card.metadata["license"], card.body) == ("mit", "\n# Digits\n")
    assert card.commit == update.commit


def test_a_repository_without_a_card_has_an_empty_one(repo) -> None:
    assert repo.card().text == ""
    assert dict(repo.card().metadata) == {}


def test_three_pushes_leave_what_people_wrote_byte_for_byte(repo, ann) -> None:
    ann.commit(repo.repo_id, {"README.md": HUMAN})
    for number in range(3):
        repo.update_card({"base_model": f"me/base-{number}", "tags": ["digits", f"v{number}"]})
    expected = HUMAN.replace(
        b'  - "seen"\n', b'  - "seen"\n  - digits\n  - v2\nbase_model: me/base-2\n'
    )
    assert ann.read(repo.repo_id) == expected


def test_edits_on_the_hub_between_two_pushes_are_kept(repo, ann) -> None:
    repo.update_card({"license": "mit", "tags": ["a", "b"], "language": "en"}, body="# T\n")
    text = ann.read(repo.repo_id)
    text = text.replace(b"- a\n", b"- human\n").replace(b"language: en", b"language: de  # yes")
    ann.commit(repo.repo_id, {"README.md": text.replace(b"# T", b"# Better title")})
    update = repo.update_card({"license": "mit", "tags": ["a", "b", "c"], "language": "en"})
    assert update.changed == ("tags",)
    assert set(update.kept) == {"tags", "language"}
    assert ann.read(repo.repo_id) == (
        b"---\nlicense: mit\ntags:\n- human\n- b\n- c\nlanguage: de  # yes\n---\n\n# Better title\n"
    )


def test_a_field_that_both_sides_changed_is_a_conflict_and_nothing_is_sent(
    repo, ann, asked
) -> None:
    repo.update_card({"license": "mit"})
    ann.commit(repo.repo_id, {"README.md": b"---\nlicense: gpl-3.0\n---\n"})
    seen = asked()
    with pytest.raises(CardConflictError) as caught:
        repo.update_card({"license": "apache-2.0", "tags": ["x"]})
    assert caught.value.fields == ("license",)
    assert seen.writes == []


@pytest.mark.parametrize(
    ("side", "licence", "kept"), [("ours", "apache-2.0", ()), ("theirs", "gpl-3.0", ("license",))]
)
def test_a_side_can_be_told_to_win(repo, ann, side, licence, kept) -> None:
    repo.update_card({"license": "mit"})
    ann.commit(repo.repo_id, {"README.md": b"---\nlicense: gpl-3.0\n---\n"})
    update = repo.update_card({"license": "apache-2.0", "tags": ["x"]}, on_conflict=side)
    assert update.kept == kept
    assert repo.card().metadata == {"license": licence, "tags": ["x"]}


def test_a_field_can_be_taken_away(repo) -> None:
    repo.update_card({"license": "mit", "language": "en"})
    assert repo.update_card({"language": None}).changed == ("language",)
    assert repo.card().metadata == {"license": "mit"}


def test_nothing_to_change_makes_no_commit(repo, asked) -> None:
    first = repo.update_card({"license": "mit"})
    seen = asked()
    again = repo.update_card({"license": "mit"})
    assert (again.commit, again.changed) == (first.commit, ())
    assert seen.writes == []


def test_the_base_survives_that_the_history_is_squashed(repo, ann) -> None:
    repo.update_card({"tags": ["a", "b"]})
    for number in range(2):
        ann.commit(repo.repo_id, large={"model.safetensors": bytes([number]) * 2000})
    ann.commit(repo.repo_id, {"README.md": b"---\ntags:\n- b\n---\n"})  # a was taken out
    assert repo.reclaim(plan_only=False, confirm=repo.repo_id).squash == ("main",)
    assert len(list(repo.history())) == 1
    repo.update_card({"tags": ["a", "b", "c"]})
    assert repo.card().metadata["tags"] == ["b", "c"]


def test_a_commit_in_between_is_merged(hub, repo, ann) -> None:
    repo.update_card({"license": "mit"})
    stalled = hub.faults.stall(direction="upload", method="POST", path="*/commit/*")
    update = threading.Thread(target=lambda: repo.update_card({"tags": ["ours"]}))
    update.start()
    assert stalled.wait_until_reached()
    ann.commit(repo.repo_id, {"README.md": b"---\nlicense: mit\n---\n\nTheirs.\n"})
    stalled.release()
    update.join(30)
    assert ann.read(repo.repo_id) == b"---\nlicense: mit\ntags:\n- ours\n---\n\nTheirs.\n"


def test_two_runs_that_say_different_things_at_once_are_both_heard(hub, repo, manager) -> None:
    repo.update_card({"license": "mit", "tags": ["old"]})
    stalled = hub.faults.stall(direction="upload", method="POST", path="*/commit/*")
    first = threading.Thread(target=lambda: repo.update_card({"tags": ["old", "first"]}))
    first.start()
    assert stalled.wait_until_reached()
    manager(repo.repo_id).update_card({"tags": ["old", "second"], "language": "en"})
    stalled.release()
    first.join(30)
    assert repo.card().metadata["tags"] == ["old", "second", "first"]
    assert repo.card().metadata["language"] == "en"


def test_eight_writers_of_one_card_all_land(repo, manager) -> None:
    repo.update_card({"license": "mit"})
    errors = []

    def write(number):
        try:
            # Each with a manager of its own, as in eight processes.
            manager(repo.repo_id).update_card({f"field-{number}": number})
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert errors == []
    metadata = repo.card().metadata
    assert all(metadata[f"field-{number}"] == number for number in range(8))


def test_a_branch_that_never_rests_is_an_error_in_the_end(hub, repo) -> None:
    hub.faults.answer(412, method="POST", path="*/commit/*", times=None)
    with pytest.raises(HeadMovedError):
        repo.update_card({"license": "mit"})


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub, repo) -> None:
    hub.faults.answer(500, after=True, method="POST", path="*/commit/*")
    before = len(list(repo.history()))
    assert repo.update_card({"license": "mit"}).changed == ("license",)
    assert len(list(repo.history())) == before + 1


@pytest.mark.parametrize(
    "fields",
    [
        {"license": "mti"},
        {"license": ["mit", "nope"]},
        {"tags": "digits"},
        {"x": object()},
        {" ": 1},
        {"a\nb": 1},
    ],
)
def test_bad_fields_are_refused_before_anything_is_asked(repo, asked, fields) -> None:
    seen = asked()
    with pytest.raises(ValidationError):
        repo.update_card(fields)
    assert seen() == []


def test_an_unknown_policy_is_refused(repo) -> None:
    with pytest.raises(ConfigError):
        repo.update_card({"license": "mit"}, on_conflict="merge")


def test_a_card_that_the_hub_refuses_is_not_committed(repo, asked) -> None:
    seen = asked()
    with pytest.raises(InvalidCardError, match="datasets"):
        repo.update_card({"datasets": [1, 2]})
    assert [path for _, path in seen.writes] == ["/api/validate-yaml"]


def test_a_hub_that_refuses_with_a_status_is_understood_too(hub, repo) -> None:
    hub.faults.answer(400, error="bad card", method="POST", path="/api/validate-yaml")
    with pytest.raises(InvalidCardError, match="bad card"):
        repo.update_card({"license": "mit"})


def test_a_hub_that_cannot_check_cards_gets_them_unchecked(hub, repo) -> None:
    hub.faults.answer(404, method="POST", path="/api/validate-yaml")
    assert repo.update_card({"license": "mit"}).changed == ("license",)


def test_what_is_wrong_with_a_card_can_be_asked_before_an_upload(repo) -> None:
    assert find_problems(repo._hub, HUMAN, "model").errors == ()
    assert find_problems(repo._hub, b"---\n[\n---\n", "model").errors
    assert find_problems(repo._hub, b"---\ndatasets: [1]\n---\n", "model").errors
    assert find_problems(repo._hub, b"# no metadata", "model").warnings


def test_a_broken_card_is_not_touched(repo, ann) -> None:
    ann.commit(repo.repo_id, {"README.md": b"---\nlicense: [mit\n---\n"})
    with pytest.raises(InvalidCardError, match="no YAML"):
        repo.update_card({"license": "mit"})
    with pytest.raises(InvalidCardError):
        repo.card()
    assert ann.read(repo.repo_id) == b"---\nlicense: [mit\n---\n"


def test_a_card_on_a_branch_is_its_own(repo) -> None:
    repo.update_card({"license": "mit"})
    repo.create_branch("next")
    repo.update_card({"license": "apache-2.0"}, revision="next")
    assert repo.card().metadata["license"] == "mit"
    assert repo.card("next").metadata["license"] == "apache-2.0"
    with pytest.raises(RevisionNotFoundError):
        repo.update_card({"license": "mit"}, revision="absent")


def test_a_proposal_needs_no_right_to_write(ann, bob, manager, sign_in, hub) -> None:
    repo_id = bob.new_repo()
    update = manager(repo_id).update_card({"license": "mit"}, create_pr=True)
    assert update.pull_request.endswith(f"/{repo_id}/discussions/1")
    assert manager(repo_id).card().text == ""
    assert manager(repo_id).card("refs/pr/1").metadata["license"] == "mit"


def test_cards_of_datasets_work_too(manager, ann) -> None:
    repo = manager(ann.new_repo(kind="dataset"), repo_type="dataset")
    assert repo.update_card({"license": "mit", "tags": ["x"]}).changed == ("license", "tags")
    assert repo.card().metadata["tags"] == ["x"]


def test_a_draft_is_merged_like_an_update_and_nothing_is_committed(repo, ann) -> None:
    ann.commit(repo.repo_id, {"README.md": HUMAN})
    before = repo.tree().commit
    draft = repo.draft_card({"tags": ["seen", "new"]}, body=lambda text: f"{text}\nMore.\n")
    assert draft.content == HUMAN.replace(b'  - "seen"\n', b'  - "seen"\n  - new\n') + b"\nMore.\n"
    assert (draft.changed, draft.commit, repo.tree().commit) == (("tags",), before, before)
    repo.commit({"README.md": draft.content}, message=f"Draft\n\n{draft.trailer}")
    # What was said in the draft is what the next merge starts from.
    assert repo.update_card({"tags": ["new"]}).changed == ("tags",)
    assert repo.card().metadata["tags"] == ["new"]


def test_each_field_of_a_draft_may_have_a_policy_of_its_own(repo, ann) -> None:
    ann.commit(repo.repo_id, {"README.md": HUMAN})
    wanted = {"license": "apache-2.0", "our-field": "said"}
    with pytest.raises(CardConflictError):
        repo.draft_card(wanted, on_conflict={"license": "theirs"})
    draft = repo.draft_card(wanted, on_conflict={"license": "theirs", "our-field": "ours"})
    assert (draft.changed, draft.kept) == (("our-field",), ("license",))
    assert b"license: mit   # do not touch" in draft.content
    assert "our-field" not in draft.trailer
    assert repo.draft_card(wanted, on_conflict="ours").changed == ("license", "our-field")
