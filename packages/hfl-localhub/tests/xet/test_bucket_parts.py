"""What buckets are made of: paths, batches, pages and the register."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_localhub._buckets._batch import BatchPlanner, RefusedError, check_path
from hfl_localhub._buckets._listing import BucketFolder, tree_page
from hfl_localhub._buckets._register import BucketFile, BucketRegister, NameTakenError
from hfl_localhub._buckets._views import timestamp

EMPTY = "0" * 64

PATHS = st.lists(
    st.lists(
        st.sampled_from(["a", "b", "ab", "a.b", "é", "\U0001f600"]), min_size=1, max_size=3
    ).map("/".join),
    unique=True,
    max_size=14,
)


@pytest.fixture(scope="module")
def register(tmp_path_factory):
    return BucketRegister(tmp_path_factory.mktemp("register") / "buckets.sqlite")


NUMBERS = itertools.count()


@settings(max_examples=60, deadline=None)
@given(PATHS, st.sampled_from(["", "a", "a/", "a/b", "é", "\U0001f600", "zz"]), st.integers(1, 4))
def test_pages_put_together_are_the_tree(register, paths, prefix, page):
    from hfl_localhub._buckets import _listing

    bucket = register.create("ann", str(next(NUMBERS)), private=False, now=0)
    register.apply(bucket, [BucketFile(p, EMPTY, 0, None, n) for n, p in enumerate(paths)], [])
    matching = sorted(path for path in paths if path.startswith(prefix))
    before, _listing.PAGE = _listing.PAGE, page
    try:
        assert [e.path for e in all_pages(register, bucket, prefix, True)] == matching
        level = list(all_pages(register, bucket, prefix, False))
    finally:
        _listing.PAGE = before
    skip = len(prefix)
    expected = {}
    for number, path in enumerate(paths):
        if path.startswith(prefix):
            inside = skip + 1 if prefix and path.startswith(prefix + "/") else skip
            head, slash, _ = path[inside:].partition("/")
            if slash:
                folder = path[:inside] + head
                expected[folder] = max(expected.get(folder, 0), number)
    assert {e.path: e.uploaded_at for e in level if isinstance(e, BucketFolder)} == expected
    files = {e.path for e in level if isinstance(e, BucketFile)}
    assert files == {p for p in matching if not any(p.startswith(f + "/") for f in expected)}
    assert len(level) == len(expected) + len(files)


def all_pages(register, bucket, prefix, recursive):
    start, is_last = None, False
    while not is_last:
        page = tree_page(register, bucket, prefix, recursive=recursive, start=start)
        yield from page.entries
        start, is_last = page.next_start, page.next_start is None


@given(st.text(max_size=40))
def test_a_path_that_is_accepted_stays_inside_a_folder(path):
    try:
        check_path(path)
    except RefusedError:
        return
    parts = path.split("/")
    assert parts
    assert all(part not in ("", ".", "..") for part in parts)
    path.encode()


@pytest.mark.parametrize(
    "path",
    [
        "/a",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        ".",
        "",
        ".git/config",
        "a/.GIT/hooks/x",
        ".git",
        ".g\u200cit/config",
        "git~1/config",
        ".git:x/config",
        ".git ./config",
        "a" * 256,
        "a/" * 512 + "b",
        "a\x00b",
        "a\x7fb",
        "a\\b",
    ],
)
def test_a_path_that_is_dangerous_on_somebody_s_disk_is_refused(path):
    with pytest.raises(RefusedError):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["a", "a/b", "a b", ".hidden", "a..b", "é/ü", "a/.b", "...", ".gitx"]
)
def test_ordinary_paths_are_accepted(path):
    check_path(path)


def test_a_planner_takes_the_bytes_from_the_store():
    planner = BatchPlanner(
        size_of={"x": 5}.get,
        check_known=lambda _: None,
        check_source=lambda *_: None,
        now=9.0,
    )
    changes = planner.plan([{"type": "addFile", "path": "a", "xetHash": "x"}])
    assert changes.writes == [BucketFile("a", "x", 5, None, 9.0)]


def test_times_keep_their_milliseconds():
    for milliseconds in (0, 1758800000123, 1758800000999, 253402300799999):
        text = timestamp(milliseconds / 1000)
        assert text[-5:-1] == f".{milliseconds % 1000:03d}"[:4]
    assert timestamp(1758800000.9999) == "2025-09-25T11:33:21.000Z"


def test_the_register_outlives_its_process(tmp_path):
    path = tmp_path / "buckets.sqlite"
    register = BucketRegister(path)
    bucket = register.create("ann", "b", private=True, now=1.5)
    register.apply(bucket, [BucketFile("a", EMPTY, 0, 2.5, 3.5)], [])
    again = BucketRegister(path)
    assert again.get("ann", "b") == bucket._replace(total_files=1)
    assert again.file(bucket, "a") == BucketFile("a", EMPTY, 0, 2.5, 3.5)
    assert again.live_xet_hashes() == {EMPTY}
    with pytest.raises(NameTakenError):
        again.create("ann", "b", private=False, now=2)
