from __future__ import annotations

import datetime as dt

import pytest

from hfl_core.errors import ConfigError, ConflictError
from hfl_registry import StageNotFoundError
from hfl_registry._lifecycle import Stages
from hfl_repo import RepoManager, RevisionNotFoundError


@pytest.fixture
def repo(local_hub):
    repo = RepoManager("local/digits", endpoint=local_hub.endpoint)
    repo.create()
    return repo


@pytest.fixture
def commits(repo):
    return [repo.commit({"a.txt": b"%d" % n}, message=f"Model {n}").commit for n in range(3)]


@pytest.fixture
def stages(repo):
    times = iter(dt.datetime(2030, 1, day, tzinfo=dt.timezone.utc) for day in range(1, 30))
    return Stages(repo, now=lambda: next(times))


def test_a_model_is_put_into_a_stage_and_found_there_by_its_tag(repo, stages, commits):
    found = stages.put("staging", commits[0])
    assert (found.commit, found.tag) == (commits[0], "stage/staging")
    assert found.since == dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc)
    assert stages.commit_of("staging") == commits[0]
    assert repo.info("stage/staging").sha == commits[0]


def test_a_stage_that_moves_on_keeps_what_was_there_with_the_dates(repo, stages, commits):
    for commit in commits:
        stages.put("production", commit)
    (stage,) = stages.list()
    assert stage.commit == commits[2]
    assert [move.commit for move in stage.history] == commits[::-1]
    assert [move.at.day for move in stage.history] == [3, 2, 1]
    assert repo.info(stage.history[2].tag).sha == commits[0]


def test_a_stage_can_be_named_as_the_revision_of_another(stages, commits):
    stages.put("staging", commits[1])
    assert stages.put("production", "staging").commit == commits[1]
    assert [stage.name for stage in stages.list()] == ["staging", "production"]


def test_putting_the_same_model_there_again_changes_nothing(repo, stages, commits):
    before = stages.put("candidate", commits[0])
    tags = repo.list_tags()
    assert stages.put("candidate", commits[0]) == before
    assert repo.list_tags() == tags


def test_a_move_that_was_interrupted_is_finished_by_the_next_call(repo, stages, commits):
    stages.put("production", commits[0])
    # As an end of the process between its three requests leaves it.
    repo.create_tag("stage-history/production/20300102T000000.000000Z", commits[1])
    repo.delete_tag("stage/production")
    with pytest.raises(StageNotFoundError):
        stages.commit_of("production")
    found = stages.put("production", commits[1])
    assert found.commit == commits[1]
    assert [move.commit for move in found.history] == [commits[1], commits[0]]


def test_what_is_in_production_is_not_archived(stages, commits):
    stages.put("production", commits[0])
    with pytest.raises(ConflictError, match="is in production"):
        stages.put("archived", commits[0])
    stages.put("production", commits[1])
    assert stages.put("archived", commits[0]).commit == commits[0]


def test_a_cleared_stage_is_empty_and_keeps_its_history(stages, commits):
    stages.put("candidate", commits[0])
    cleared = stages.clear("candidate")
    assert (cleared.commit, cleared.since) == (None, None)
    assert [move.commit for move in cleared.history] == [commits[0]]
    with pytest.raises(StageNotFoundError):
        stages.clear("candidate")


def test_an_empty_stage_is_an_error_that_names_the_others(stages, commits):
    stages.put("staging", commits[0])
    with pytest.raises(StageNotFoundError, match=r"in production\. Occupied: staging\."):
        stages.commit_of("production")


def test_unknown_stages_and_revisions_are_named_and_nothing_changes(repo, stages, commits):
    with pytest.raises(ConfigError, match=r"'prod'.*candidate, staging, production, archived"):
        stages.put("prod", commits[0])
    with pytest.raises(RevisionNotFoundError, match="v9"):
        stages.put("production", "v9")
    assert repo.list_tags() == ()


def test_tags_of_other_people_are_left_alone(repo, stages, commits):
    repo.create_tag("v1.0", commits[0])
    repo.create_tag("stage-history/production/20309999T000000.000000Z", commits[0])
    assert stages.list() == ()
    stages.put("production", commits[1])
    assert len(stages.list()[0].history) == 1
