from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_core.errors import PermissionDeniedError, ValidationError
from hfl_repo._lfs_rules import LfsRules, with_rules

LFS = "filter=lfs diff=lfs merge=lfs -text"


def test_rules_that_are_missing_are_added_and_the_rest_stays(repo, ann) -> None:
    mine = b"# mine\r\n*.txt text\r\n*.bin " + LFS.encode()
    ann.commit(repo.repo_id, {".gitattributes": mine})
    update = repo.set_gitattributes(["*.arrow"], files=["a/b.bin", "x/opt.dat", "data.csv"])
    assert update.added == ("*.arrow", "*.dat", "data.csv")
    assert ann.read(repo.repo_id, ".gitattributes") == mine + b"\r\n" + b"".join(
        f"{pattern} {LFS}\r\n".encode() for pattern in update.added
    )


def test_the_hub_follows_the_rules(repo, ann) -> None:
    repo.set_gitattributes(["my data/*"], files=["state/opt imizer.foo", "odd[1].csv"])
    sample = {"sample": "YQ==", "size": 1}
    body = {
        "files": [
            {"path": "state/opt imizer.foo", **sample},
            {"path": "odd[1].csv", **sample},
            {"path": "odd1.csv", **sample},
            {"path": "my data/x", **sample},
        ]
    }
    answer = ann.call("POST", f"/api/models/{repo.repo_id}/preupload/main", body).json()
    modes = {item["path"]: item["uploadMode"] for item in answer["files"]}
    assert modes == {
        "state/opt imizer.foo": "lfs",
        "odd[1].csv": "lfs",
        "odd1.csv": "regular",
        "my data/x": "lfs",
    }


def test_nothing_missing_makes_no_commit(repo, asked) -> None:
    first = repo.set_gitattributes(["*.new"])
    seen = asked()
    again = repo.set_gitattributes(["*.new"], files=["a.new", "model.safetensors"])
    assert (again.commit, again.added) == (first.commit, ())
    assert seen.writes == []


@pytest.mark.parametrize("bad", ["", "  ", "#a", "!a", "a\nb", '"a"'])
def test_patterns_that_are_none_are_refused(repo, asked, bad) -> None:
    seen = asked()
    for options in ({"patterns": [bad]}, {"files": [bad]}):
        with pytest.raises(ValidationError):
            repo.set_gitattributes(**options)
    assert seen() == []


def test_others_may_propose_only(bob, manager) -> None:
    repo = manager(bob.new_repo())
    with pytest.raises(PermissionDeniedError):
        repo.set_gitattributes(["*.new"])
    assert repo.set_gitattributes(["*.new"], create_pr=True).pull_request


@pytest.mark.parametrize(
    ("rules", "path", "covered"),
    [
        (f"*.bin {LFS}", "a/b.bin", True),
        (f"*.bin {LFS}", "b.bin2", False),
        (f"a/*.bin {LFS}", "a/b.bin", True),
        (f"a/*.bin {LFS}", "a/c/b.bin", False),
        (f"a/** {LFS}", "a/c/b.bin", True),
        (f"**/x {LFS}", "x", True),
        (f"**/x {LFS}", "a/b/x", True),
        (f"/x {LFS}", "x", True),
        (f"*tfevents* {LFS}", "runs/events.out.tfevents.1", True),
        (f"[ab].c {LFS}", "b.c", True),
        (f"[!ab].c {LFS}", "b.c", False),
        (f"?.c {LFS}", "b.c", True),
        (f"\\*.c {LFS}", "*.c", True),
        (f"\\*.c {LFS}", "x.c", False),
        (f"a[[:space:]]b {LFS}", "a b", True),
        (f"*.bin {LFS}\nsmall.bin -filter", "small.bin", False),
        (f"*.bin {LFS}\nsmall.bin !filter\nsmall.bin {LFS}", "small.bin", True),
        ("# *.bin filter=lfs", "a.bin", False),
        ("*.bin text", "a.bin", False),
    ],
)
def test_the_last_rule_that_is_about_a_file_decides(rules, path, covered) -> None:
    assert LfsRules(rules).covers(path) is covered


@given(
    st.text(alphabet="ab.*?", min_size=1, max_size=6),
    st.text(alphabet="ab.", min_size=1, max_size=6),
)
def test_plain_patterns_match_as_the_shell_does(pattern, path) -> None:
    if "**" not in pattern:
        covered = LfsRules(f"{pattern} {LFS}").covers(path)
        assert covered is fnmatch.fnmatchcase(path, pattern)


@given(
    st.lists(st.text(alphabet="abc[]*?\\ ./", min_size=1, max_size=8).map("f".__add__), max_size=5)
)
def test_whatever_the_files_are_called_the_new_rules_cover_them(paths) -> None:
    added = LfsRules("").missing([], paths)
    rules = LfsRules(with_rules(b"", added).decode())
    assert all(rules.covers(path) for path in paths)
