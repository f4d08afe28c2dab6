from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_core.errors import ValidationError
from hfl_repo import RepoManager
from hfl_repo._info import info_from, time_of
from hfl_repo._licenses import LICENSES, check_license, check_tags
from hfl_repo._names import check_ref_name, check_repo_id


@pytest.mark.parametrize("name", ["digits", "me/digits", "my-org/a.b_c-d", "A/" + "b" * 96, "a/0"])
def test_names_of_repositories(name) -> None:
    assert check_repo_id(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (None, "no text"),
        (3, "no text"),
        ("a/b/c", "more than one '/'"),
        ("/a", "part of it is empty"),
        ("a/", "part of it is empty"),
        ("a/" + "b" * 97, "longer than 96"),
        ("a--b/c", "'--'"),
        ("a/b..c", "'..'"),
        ("a/b c", "not allowed"),
        ("a/-b", "not allowed"),
        ("a/b.", "not allowed"),
        ("a/é", "not allowed"),
        ("a/b.git", ".git"),
        ("https://huggingface.co/a/b", "more than one '/'"),
        ("../etc/passwd", "more than one '/'"),
    ],
)
def test_what_is_no_name_says_why(name, reason) -> None:
    with pytest.raises(ValidationError) as caught:
        check_repo_id(name)
    assert reason in str(caught.value)
    assert "namespace/name" in str(caught.value.hint)
    if name is not None:
        with pytest.raises(ValidationError):
            RepoManager(name)


@given(st.text(max_size=8))
def test_whatever_is_accepted_is_safe_in_an_address(name) -> None:
    try:
        accepted = check_repo_id(name)
    except ValidationError:
        return
    assert not set(accepted) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
    )
    assert ".." not in accepted


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="model, dataset, space"):
        RepoManager("a/b", repo_type="bucket")


@pytest.mark.parametrize("name", ["main", "v1.0", "experiments/lr-3e-4", "ünïcode", "a" * 40 + "b"])
def test_names_of_branches_and_tags(name) -> None:
    assert check_ref_name(name, "branch") == name


@pytest.mark.parametrize("license_id", sorted(LICENSES))
def test_every_licence_of_the_hub_is_known(license_id) -> None:
    assert check_license(license_id) == license_id


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("MIT", "mit"),
        ("Apache 2.0", "apache-2.0"),
        ("apache_2.0", "apache-2.0"),
        ("cc-by-4", "cc-by-4.0"),
        ("GPLv3", "gpl"),
        ("llama-3.1", "llama3.1"),
    ],
)
def test_a_licence_that_is_written_otherwise_is_suggested(wrong, near) -> None:
    with pytest.raises(ValidationError) as caught:
        check_license(wrong)
    assert f"Did you mean {near!r}" in caught.value.hint


def test_a_licence_like_no_other_is_told_what_to_do() -> None:
    with pytest.raises(ValidationError) as caught:
        check_license("zzzzzzzzzzzzzzz")
    assert "Did you mean" not in caught.value.hint
    assert "license_name" in caught.value.hint


@pytest.mark.parametrize("tag", ["a" * 129, "a\tb", " a", None])
def test_tags_that_are_none(tag) -> None:
    with pytest.raises(ValidationError):
        check_tags([tag])


def test_what_the_hub_leaves_out_is_empty() -> None:
    found = info_from({"id": "a/b"}, "dataset", "http://hub")
    assert (found.url, found.license, found.created_at) == ("http://hub/datasets/a/b", None, None)
    listed = {"id": "a/b", "tags": ["license:mit", "license:other"], "cardData": {"license": []}}
    assert info_from(listed, "model", "http://hub").license is None
    assert info_from({**listed, "cardData": None}, "model", "http://hub").license == "mit, other"
    assert time_of("not a time") is None
    assert time_of("2024-01-02T03:04:05").tzinfo is not None
