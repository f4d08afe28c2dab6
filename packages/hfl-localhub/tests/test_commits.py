from __future__ import annotations

import base64
import hashlib
import json

import pytest


def test_a_commit_writes_files_and_answers_with_its_address(ann):
    repo = ann.new_repo()
    answer = ann.commit(repo, {"a.txt": b"one", "dir/b.txt": b"two"}).json()
    assert answer["commitUrl"] == f"{ann.hub.endpoint}/{repo}/commit/{answer['commitOid']}"
    assert ann.get(f"/{repo}/resolve/main/dir/b.txt").body == b"two"
    assert ann.head_of(repo) == answer["commitOid"]


def test_summary_description_and_author_are_kept(ann):
    repo = ann.new_repo()
    lines = [
        {"key": "header", "value": {"summary": "Title — ü", "description": "Line one\nline two"}},
        {"key": "file", "value": {"path": "a", "content": "YQ==", "encoding": "base64"}},
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    assert ann.call("POST", f"/api/models/{repo}/commit/main", data=data).status == 200
    newest = ann.get(f"/api/models/{repo}/commits/main?expand[]=formatted").json()[0]
    assert newest["title"] == "Title — ü"
    assert newest["message"] == "Line one\nline two"
    assert newest["authors"][0]["user"] == "ann"
    assert newest["formatted"]["title"] == "Title — ü"


def test_a_commit_on_top_of_another_than_the_client_believes_is_refused(ann):
    repo = ann.new_repo()
    old = ann.head_of(repo)
    new = ann.commit(repo, {"a.txt": b"1"}, parent=old).json()["commitOid"]
    answer = ann.commit(repo, {"b.txt": b"2"}, parent=old)
    assert answer.status == 412
    assert ann.head_of(repo) == new
    assert "b.txt" not in ann.paths(repo)
    assert ann.commit(repo, {"b.txt": b"2"}, parent=new[:7]).status == 200


def test_a_commit_that_changes_nothing_makes_no_commit(ann):
    repo = ann.new_repo()
    first = ann.commit(repo, {"a.txt": b"1"}).json()
    again = ann.commit(repo, {"a.txt": b"1"}).json()
    assert again["commitOid"] == first["commitOid"]
    assert len(ann.get(f"/api/models/{repo}/commits/main").json()) == 2


def test_files_and_folders_are_deleted_and_empty_folders_vanish(ann):
    repo = ann.new_repo()
    ann.commit(repo, {"a.txt": b"1", "d/e/f.txt": b"2", "d/g.txt": b"3"})
    lines = [
        {"key": "deletedFile", "value": {"path": "a.txt"}},
        {"key": "deletedFolder", "value": {"path": "d/e/"}},
    ]
    assert ann.commit(repo, lines=lines).status == 200
    assert sorted(ann.paths(repo)) == [".gitattributes", "d", "d/g.txt"]
    lines = [{"key": "deletedFile", "value": {"path": "d/g.txt"}}]
    ann.commit(repo, lines=lines)
    assert sorted(ann.paths(repo)) == [".gitattributes"]
    assert ann.commit(repo, lines=[{"key": "deletedFolder", "value": {"path": "."}}]).status == 200
    assert ann.paths(repo) == {}
    assert ann.commit(repo, {"back.txt": b"1"}).status == 200


@pytest.mark.parametrize("key", ["deletedFile", "deletedFolder"])
@pytest.mark.parametrize("path", ["no/such", "a.txt/deeper", "dir"])
def test_deleting_what_is_not_there_as_that_refuses_the_whole_commit(ann, key, path):
    repo = ann.new_repo()
    ann.commit(repo, {"a.txt": b"1", "dir/b.txt": b"2"})
    if (key, path) == ("deletedFolder", "dir"):
        path = "a.txt"
    answer = ann.commit(repo, {"new.txt": b"3"}, lines=[{"key": key, "value": {"path": path}}])
    assert (answer.status, answer.code) == (404, "EntryNotFound")
    assert "new.txt" not in ann.paths(repo)


def test_changes_apply_in_the_order_of_the_lines(ann):
    repo = ann.new_repo()
    ann.commit(repo, {"x": b"a file"})
    content = base64.b64encode(b"now in a folder").decode()
    lines = [
        {"key": "deletedFile", "value": {"path": "x"}},
        {"key": "file", "value": {"path": "x/y", "content": content, "encoding": "base64"}},
    ]
    assert ann.commit(repo, lines=lines).status == 200
    assert ann.get(f"/{repo}/resolve/main/x/y").body == b"now in a folder"


@pytest.mark.parametrize("path", ["x/y", "dir"])
def test_a_path_that_clashes_with_a_file_or_folder_is_refused(ann, path):
    repo = ann.new_repo()
    ann.commit(repo, {"x": b"a file", "dir/a": b"1"})
    answer = ann.commit(repo, {path: b"?"})
    assert (answer.status, answer.code) == (400, "InvalidPath")


def test_a_large_file_is_committed_by_its_digest_and_copied_without_its_size(ann):
    repo = ann.new_repo()
    data = b"weights" * 10_000
    assert ann.commit_large(repo, {"a.bin": data}).status == 200
    oid = hashlib.sha256(data).hexdigest()
    copy = {"key": "lfsFile", "value": {"path": "copy.bin", "algo": "sha256", "oid": oid}}
    assert ann.commit(repo, lines=[copy]).status == 200
    found = ann.paths(repo)["copy.bin"]
    assert (found["size"], found["lfs"]["oid"]) == (len(data), oid)
    assert ann.get(f"/{repo}/resolve/main/copy.bin").body == data
    pointer = ann.get(f"/{repo}/raw/main/copy.bin").body
    assert pointer.startswith(b"version https://git-lfs.github.com/spec/v1\n")
    assert found["lfs"]["pointerSize"] == len(pointer)


def test_a_large_file_that_was_not_uploaded_here_is_not_committed(ann, bob):
    private, other = ann.new_repo(private=True), bob.new_repo()
    data = b"private" * 1000
    oid = ann.upload_large(private, data)
    for digest in (oid, "0" * 64):
        line = {"key": "lfsFile", "value": {"path": "a", "algo": "sha256", "oid": digest}}
        answer = bob.commit(other, lines=[line])
        assert (answer.status, answer.code) == (400, "LfsObjectNotFound")


def test_a_commit_goes_to_a_branch_and_only_to_one_that_exists(ann):
    repo = ann.new_repo()
    ann.call("POST", f"/api/models/{repo}/branch/feature%2Fx", {})
    assert ann.commit(repo, {"a.txt": b"1"}, rev="feature/x").status == 200
    assert "a.txt" not in ann.paths(repo)
    assert "a.txt" in ann.paths(repo, "feature/x")
    for revision in ("no-such", ann.head_of(repo), "refs/pr/7"):
        answer = ann.commit(repo, {"a.txt": b"1"}, rev=revision)
        assert (answer.status, answer.code) == (404, "RevisionNotFound")
    ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": "v1"})
    assert ann.commit(repo, {"a.txt": b"1"}, rev="v1").code == "RevisionNotFound"


HEADER = {"key": "header", "value": {"summary": "s"}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json\n",
        b'{"key": "header"}\n',
        b"[]\n",
        b"[" * 100_000,
        b'{"key": "header", "value": {"summary": ""}}\n',
        b'{"key": "header", "value": {"summary": "s", "parentCommit": 5}}\n',
        b'{"key": "file", "value": {}}\n',
        *(
            (json.dumps(HEADER) + "\n" + json.dumps(line)).encode()
            for line in (
                {"key": "unknown", "value": {"path": "a"}},
                {"key": "file", "value": {"path": "a"}},
                {"key": "file", "value": {"path": "a", "content": "?", "encoding": "base64"}},
                {"key": "file", "value": {"path": "a", "content": "x", "encoding": "utf-7"}},
                {"key": "file", "value": {"path": "a", "content": "\ud800", "encoding": "utf-8"}},
                {"key": "lfsFile", "value": {"path": "a", "algo": "md5", "oid": "0" * 64}},
                {"key": "lfsFile", "value": {"path": "a", "oid": "../../../etc/passwd"}},
            )
        ),
    ],
)
def test_lines_that_make_no_sense_are_refused_and_nothing_is_stored(ann, data):
    repo = ann.new_repo()
    head = ann.head_of(repo)
    answer = ann.call("POST", f"/api/models/{repo}/commit/main", data=data)
    assert answer.status == 400, answer.body
    assert answer.json()["error"]
    assert ann.head_of(repo) == head


@pytest.mark.parametrize(
    "path",
    [
        "../up",
        "/abs",
        "a/../b",
        "a//b",
        "./a",
        "a/.",
        "",
        ".git/config",
        "a/.GIT/x",
        ".git",
        "x" * 256,
        "/".join(["d" * 200] * 6),
        "a\x00b",
        "a\\b",
        "a\nb",
        "\ud800",
        5,
        None,
    ],
)
@pytest.mark.parametrize("key", ["file", "deletedFile", "lfsFile"])
def test_a_path_that_may_not_be_stored_is_refused(ann, path, key):
    repo = ann.new_repo()
    value = {"path": path, "content": "YQ==", "encoding": "base64", "oid": "0" * 64}
    answer = ann.commit(repo, lines=[{"key": key, "value": value}])
    assert (answer.status, answer.code) == (400, "InvalidPath")
    answer = ann.call(
        "POST",
        f"/api/models/{repo}/preupload/main",
        {"files": [{"path": path, "size": 1, "sample": ""}]},
    )
    assert (answer.status, answer.code) == (400, "InvalidPath")


def test_a_regular_file_that_is_too_large_is_refused(ann):
    repo = ann.new_repo()
    answer = ann.commit(repo, {"a.txt": b"x" * (10 * 1024**2 + 1)})
    assert (answer.status, answer.code) == (400, "FileTooLarge")


def test_a_line_without_end_is_refused(ann):
    repo = ann.new_repo()
    data = json.dumps(HEADER).encode() + b"\n" + b'"' + b"x" * (17 * 1024**2)
    answer = ann.call("POST", f"/api/models/{repo}/commit/main", data=data)
    assert (answer.status, answer.code) == (413, "PayloadTooLarge")


def test_names_in_any_script_are_kept(ann):
    repo = ann.new_repo()
    names = {"données/é ü.txt": b"1", "日本語.txt": b"2", "100%25 #?&+.txt": b"3", "e\u0301": b"4"}
    ann.commit(repo, names)
    assert set(names) <= set(ann.paths(repo))
    from urllib.parse import quote

    for name, content in names.items():
        assert ann.get(f"/{repo}/resolve/main/{quote(name)}").body == content


def test_preupload_tells_how_each_file_travels_and_what_is_there(ann):
    repo = ann.new_repo()
    ann.commit(repo, {"a.txt": b"text"})
    ann.commit_large(repo, {"b.bin": b"weights" * 100})
    files = [
        {"path": "a.txt", "size": 4, "sample": ""},
        {"path": "b.bin", "size": 700, "sample": ""},
        {"path": "new.safetensors", "size": 1, "sample": ""},
        {"path": "huge.txt", "size": 6 * 1024**2, "sample": ""},
        {"path": "logs/x.log", "size": 1, "sample": ""},
    ]
    body = {"files": files, "gitIgnore": "# mine\n*.log\n\n"}
    found = ann.call("POST", f"/api/models/{repo}/preupload/main", body).json()["files"]
    by_path = {item["path"]: item for item in found}
    assert {path: item["uploadMode"] for path, item in by_path.items()} == {
        "a.txt": "regular",
        "b.bin": "lfs",
        "new.safetensors": "lfs",
        "huge.txt": "lfs",
        "logs/x.log": "regular",
    }
    blob = hashlib.sha1(b"blob 4\0text").hexdigest()
    assert by_path["a.txt"]["oid"] == blob
    assert by_path["b.bin"]["oid"] == hashlib.sha256(b"weights" * 100).hexdigest()
    assert "oid" not in by_path["huge.txt"]
    assert [path for path, item in by_path.items() if item["shouldIgnore"]] == ["logs/x.log"]


def test_the_repositorys_own_gitattributes_decide(ann):
    repo = ann.new_repo()
    rules = (
        b"# comment\n*.txt filter=lfs\nsmall/*.txt -filter\n/top.dat filter=lfs\n[z-a] filter=lfs\n"
    )
    rules += b"deep/**/x?[0-9] filter=lfs\n[!a]bc filter=lfs\nlogs/** filter=lfs\n"
    rules += b"a[[:space:]]b filter=lfs\n\\*.q filter=lfs\n[[]x].w filter=lfs\n"
    ann.commit(repo, {".gitattributes": rules})
    expected = {
        "a.txt": "lfs",
        "d/a.txt": "lfs",
        "small/a.txt": "regular",
        "top.dat": "lfs",
        "d/top.dat": "regular",
        "a.bin": "regular",
        "deep/e/f/xy1": "lfs",
        "deep/xy1": "lfs",
        "deep/xyz": "regular",
        "bbc": "lfs",
        "abc": "regular",
        "logs/a/b": "lfs",
        "a b": "lfs",
        "*.q": "lfs",
        "x.q": "regular",
        "[x].w": "lfs",
    }
    files = [{"path": path, "size": 1} for path in expected]
    found = ann.call("POST", f"/api/models/{repo}/preupload/main", {"files": files}).json()
    assert {item["path"]: item["uploadMode"] for item in found["files"]} == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"files": "a"},
        {"files": ["a"]},
        {"files": [{"path": "a", "size": -1}]},
        {"files": [{}] * 1001},
    ],
)
def test_a_preupload_that_makes_no_sense_is_refused(ann, body):
    repo = ann.new_repo()
    assert ann.call("POST", f"/api/models/{repo}/preupload/main", body).status == 400
    answer = ann.call("POST", f"/api/models/{repo}/preupload/no-such", {"files": []})
    assert answer.code == "RevisionNotFound"


def test_a_file_takes_the_name_of_a_folder_whose_last_file_goes(ann) -> None:
    repo = ann.new_repo()
    ann.commit(repo, {"a/b/c.txt": b"1", "a/d.txt": b"2"})
    gone = [{"key": "deletedFile", "value": {"path": path}} for path in ("a/b/c.txt", "a/d.txt")]
    now = {"key": "file", "value": {"path": "a", "content": "eA==", "encoding": "base64"}}
    assert ann.commit(repo, lines=[gone[0], now]).status == 400
    assert ann.commit(repo, lines=[*gone, now]).status == 200
    assert {path for path, item in ann.paths(repo).items() if item["type"] == "file"} == {
        ".gitattributes",
        "a",
    }
