"""Repositories and buckets of a whole Hub, with the newest clients and Xet on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from xet_objects import (
    file_hash,
    pack_shard,
    pack_xorb,
    random_bytes,
    whole_file,
    xorb_hash,
)

from hfl_core.errors import ConfigError
from hfl_localhub import LocalHub
from hfl_localhub._xet import _hashing

huggingface_hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("hf_xet")
needs_2 = pytest.mark.skipif(
    int(huggingface_hub.__version__.split(".")[0]) < 2, reason="uploads by Xet on its own"
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        running.create_user("ann")
        yield running


def run(hub, token, code, *arguments, **environment):
    """Run code in a process that talks to the Hub; return what it printed, read as JSON."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**hub.environment(token), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def ask(hub, token, method, path, body=None):
    """Ask the Hub directly; return the status."""
    request = urllib.request.Request(
        hub.endpoint + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def create(hub, token, name, **more):
    assert ask(hub, token, "POST", "/api/repos/create", {"name": name, **more}) == 200


def xet_requests(hub):
    return [r for r in hub.requests if r.path.startswith("/xet/")]


PUSH = """
    import json, sys
    from huggingface_hub import HfApi
    api = HfApi()
    api.create_repo("ann/" + sys.argv[1], exist_ok=True)
    commit = api.upload_folder(repo_id="ann/" + sys.argv[1], folder_path=sys.argv[2])
    print(json.dumps(commit.oid))
"""

PULL = """
    import json, sys
    from huggingface_hub import snapshot_download
    print(json.dumps(snapshot_download("ann/" + sys.argv[1], local_dir=sys.argv[2])))
"""


@needs_2
def test_a_folder_goes_up_by_xet_and_comes_back(hub, tmp_path):
    token = hub.create_user("ann")
    data = random_bytes(7, 2_000_000)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "model.safetensors").write_bytes(data)
    (tmp_path / "up" / "config.json").write_text("{}")
    hub.requests.clear()
    commit = run(hub, token, PUSH, "folder", tmp_path / "up")
    assert any("/v1/xorbs/" in r.path for r in xet_requests(hub))
    assert not any(r.path.startswith("/_lfs/") for r in hub.requests)

    hub.requests.clear()
    run(hub, token, PULL, "folder", tmp_path / "down", HF_HOME=str(tmp_path / "home"))
    assert any("/v1/bytes/" in r.path for r in xet_requests(hub))
    assert (tmp_path / "down" / "model.safetensors").read_bytes() == data
    assert (tmp_path / "down" / "config.json").read_text() == "{}"

    # Who does not know Xet gets the same bytes, whole and in part.
    url = f"{hub.endpoint}/ann/folder/resolve/{commit}/model.safetensors"
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["X-Linked-Etag"].strip('"') == hashlib.sha256(data).hexdigest()
        assert answer.read() == data
    request = urllib.request.Request(url, headers={"Range": "bytes=1000-1999"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, data[1000:2000])


@pytest.mark.parametrize("name", ["xet", "buckets", "Api", "me"])
def test_nobody_is_called_like_a_part_of_the_hubs_own_urls(hub, name):
    with pytest.raises(ConfigError, match="can't be the name"):
        hub.create_user(name)


@needs_2
def test_a_file_that_went_up_by_lfs_comes_back_without_xet(hub, tmp_path):
    token = hub.create_user("ann")
    data = random_bytes(8, 300_000)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "model.bin").write_bytes(data)
    run(hub, token, PUSH, "by-lfs", tmp_path / "up", HF_HUB_DISABLE_XET="1")
    hub.requests.clear()
    run(hub, token, PULL, "by-lfs", tmp_path / "down", HF_HOME=str(tmp_path / "home"))
    assert not xet_requests(hub)
    assert (tmp_path / "down" / "model.bin").read_bytes() == data


def test_a_file_that_went_up_by_xet_is_committed_and_comes_back_on_all_versions(hub, tmp_path):
    """The older client uploads by LFS: the bytes are there already when it asks."""
    token = hub.create_user("ann")
    data = random_bytes(9, 500_000)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "model.bin").write_bytes(data)
    create(hub, token, "mixed")
    run(
        hub,
        token,
        """
        import hf_xet, os, sys
        refresh = os.environ["HF_ENDPOINT"] + "/api/models/ann/mixed/xet-write-token/main"
        headers = {"authorization": "Bearer " + os.environ["HF_TOKEN"]}
        session = hf_xet.XetSession()
        with session.new_upload_commit(
            token_refresh_url=refresh, token_refresh_headers=headers
        ) as commit:
            commit.start_upload_file(sys.argv[1], sha256=hf_xet.COMPUTE_SHA256)
        print("null")
        """,
        tmp_path / "up" / "model.bin",
    )
    run(hub, token, PUSH, "mixed", tmp_path / "up")
    hub.requests.clear()
    run(hub, token, PULL, "mixed", tmp_path / "down", HF_HOME=str(tmp_path / "home"))
    assert any("/v1/bytes/" in r.path for r in xet_requests(hub))
    assert (tmp_path / "down" / "model.bin").read_bytes() == data


def test_a_token_for_the_store_is_given_to_those_who_may(hub):
    token = hub.create_user("ann")
    stranger = hub.create_user("bob")
    create(hub, token, "hidden", private=True)
    create(hub, token, "open")
    create(hub, token, "gated")
    settings = {"gated": "manual"}
    assert ask(hub, token, "PUT", "/api/models/ann/gated/settings", settings) == 200
    paths = [
        "/api/models/ann/hidden/xet-read-token/main",
        "/api/models/ann/hidden/xet-write-token/main",
        "/api/models/ann/open/xet-read-token/main",
        "/api/models/ann/open/xet-write-token/main",
        "/api/models/ann/open/xet-write-token/refs%2Fpr%2F1",
        "/api/models/ann/open/xet-write-token/None?create_pr=1",
        "/api/models/ann/gated/xet-read-token/main",
        "/api/models/ann/none/xet-read-token/main",
    ]
    assert [ask(hub, token, "GET", path) for path in paths] == [200] * 7 + [404]
    response = urllib.request.Request(
        hub.endpoint + paths[3], headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(response) as answer:
        grant = json.load(answer)["accessToken"]
    assert ask(hub, token, "PUT", f"/_lfs/{'ab' * 32}?sig={grant}", {}) == 403
    expected = [404, 404, 200, 403, 200, 200, 403, 404]
    assert [ask(hub, stranger, "GET", path) for path in paths] == expected


@needs_2
def test_a_bucket_is_used_by_api_file_system_and_command(hub, tmp_path):
    token = hub.create_user("ann")
    (tmp_path / "up" / "sub").mkdir(parents=True)
    (tmp_path / "up" / "one").write_text("one")
    (tmp_path / "up" / "sub" / "two").write_bytes(random_bytes(11, 100_000))
    found = run(
        hub,
        token,
        """
        import json, os, sys
        from huggingface_hub import HfApi, HfFileSystem
        from huggingface_hub.errors import BucketBatchError, BucketNotFoundError
        up, down = sys.argv[1:]
        api, found = HfApi(), {}
        api.create_bucket("things", private=True)
        with open(os.devnull, "w") as sys.stdout:
            synced = [
                api.sync_bucket(up, "hf://buckets/ann/things/x").summary(),
                api.sync_bucket(up, "hf://buckets/ann/things/x").summary(),
                api.sync_bucket("hf://buckets/ann/things/x", down).summary(),
            ]
            os.remove(up + "/one")
            synced.append(api.sync_bucket(up, "hf://buckets/ann/things/x", delete=True).summary())
        sys.stdout = sys.__stdout__
        found["synced"] = [{k: v for k, v in s.items() if v and k != "total_size"} for s in synced]
        files = HfFileSystem()
        found["part"] = files.cat_file("buckets/ann/things/x/sub/two", start=5, end=9).hex()
        with files.open("buckets/ann/things/new/log", "w") as log:
            log.write("epoch 1")
        found["log"] = files.cat("buckets/ann/things/new/log").decode()
        found["listed"] = [name.rsplit("/", 1)[1] for name in files.find("buckets/ann/things")]
        api.batch_bucket_files("ann/things", delete=["new/log", "never there"])
        try:
            api.batch_bucket_files("ann/things", copy=[("bucket", "ann/none", "0" * 64, "a")])
        except BucketBatchError as error:
            found["failed"] = error.failures
        try:
            HfApi(token=False).bucket_info("ann/things")
        except BucketNotFoundError as error:
            found["stranger"] = error.response.status_code
        info = api.bucket_info("ann/things")
        found["info"] = [info.private, info.size, info.total_files]
        api.create_repo("source")
        api.upload_file(path_or_fileobj=up + "/sub/two", path_in_repo="w.bin", repo_id="ann/source")
        api.create_bucket("ann/first")
        api.copy_files("hf://ann/source/w.bin", "hf://buckets/ann/first/")
        api.move_bucket("ann/first", "ann/second")
        found["moved"] = [api.bucket_info("ann/first").id, api.bucket_info("ann/second").size]
        print(json.dumps(found))
        """,
        tmp_path / "up",
        tmp_path / "down",
    )
    assert found == {
        "synced": [{"uploads": 2}, {"skips": 2}, {"downloads": 2}, {"deletes": 1, "skips": 1}],
        "part": random_bytes(11, 100_000)[5:9].hex(),
        "log": "epoch 1",
        "listed": ["log", "two"],
        "failed": [{"path": "a", "error": "Source repository not found: buckets/ann/none"}],
        "stranger": 401,
        "info": [True, 100_000, 1],
        "moved": ["ann/second", 100_000],
    }
    assert (tmp_path / "down" / "one").read_text() == "one"
    assert (tmp_path / "down" / "sub" / "two").read_bytes() == random_bytes(11, 100_000)
    result = subprocess.run(
        [
            str(Path(sys.executable).with_name("hf")),
            "buckets",
            "list",
            "ann/things",
            "-R",
            "--quiet",
        ],
        env=hub.environment(token),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout.split()) == (0, ["x/sub/two"]), result.stderr


@needs_2
def test_one_file_goes_to_a_repository_and_to_buckets_of_several_people(hub, tmp_path):
    (tmp_path / "w.bin").write_bytes(random_bytes(21, 300_000))
    upload = """
        import json, sys
        from huggingface_hub import HfApi
        api = HfApi()
        name = api.whoami()["name"]
        for number in range(2):
            api.create_bucket(f"{name}/same-{number}", private=True)
            api.batch_bucket_files(f"{name}/same-{number}", add=[(sys.argv[1], "w.bin")])
        api.create_repo(f"{name}/same", private=True, exist_ok=True)
        api.upload_file(path_or_fileobj=sys.argv[1], path_in_repo="w.bin", repo_id=f"{name}/same")
        api.batch_bucket_files(f"{name}/same-0", add=[(sys.argv[1], "again.bin")])
        api.download_bucket_files(f"{name}/same-0", [("again.bin", sys.argv[1] + name)])
        print(json.dumps(api.bucket_info(f"{name}/same-0").total_files))
        """
    before = hub.used_storage()
    for user in ("cleo", "dora"):
        assert run(hub, hub.create_user(user), upload, tmp_path / "w.bin") == 2
        assert (tmp_path / f"w.bin{user}").read_bytes() == random_bytes(21, 300_000)
    assert hub.used_storage() - before == 300_000  # whoever has it, and however it is kept
    listed = run(
        hub,
        hub.create_user("dora"),
        """
        import json
        from huggingface_hub import HfApi
        listed = HfApi().list_user_repos()
        print(json.dumps([[r.type, r.id, r.visibility, r.storage, r.storage_percent] for r in listed]))
        """,
    )
    third = pytest.approx(100 / 3)
    assert listed == [
        ["model", "dora/same", "private", 300_000, third],
        ["bucket", "dora/same-0", "private", 300_000, third],
        ["bucket", "dora/same-1", "private", 300_000, third],
    ]


def test_a_client_uploads_again_what_the_hub_has_removed(tmp_path):
    """Clients remember for weeks what a store has; they have to learn that it is gone."""
    now = [time.time()]
    data = random_bytes(12, 600_000)
    (tmp_path / "data").write_bytes(data)
    upload = """
        import hf_xet, json, os, sys
        refresh = os.environ["HF_ENDPOINT"] + "/api/models/ann/kept/xet-write-token/main"
        headers = {"authorization": "Bearer " + os.environ["HF_TOKEN"]}
        session = hf_xet.XetSession()
        with session.new_upload_commit(
            token_refresh_url=refresh, token_refresh_headers=headers
        ) as commit:
            handle = commit.start_upload_file(sys.argv[1], sha256=hf_xet.COMPUTE_SHA256)
        print(json.dumps(handle.result().xet_info.hash))
        """
    hub = LocalHub(tmp_path / "hub", clock=lambda: now[0])
    with hub:
        token = hub.create_user("ann")
        create(hub, token, "kept")
        run(hub, token, upload, tmp_path / "data")
    now[0] += 24 * 3600
    with hub:  # the repository holds the file: it stays
        hub.requests.clear()
        run(hub, token, upload, tmp_path / "data")
        assert hub.requests.count("POST", "/xet/*/v1/xorbs/*") == 0
        assert ask(hub, token, "DELETE", "/api/repos/delete", {"name": "kept"}) == 200
    now[0] += 24 * 3600
    with hub:
        create(hub, token, "kept")
        hub.requests.clear()
        run(hub, token, upload, tmp_path / "data")
        assert hub.requests.count("POST", "/xet/*/v1/xorbs/*") == 1
        assert hub.requests.count("POST", "/xet/*/v1/shards") == 1
        assert [r.status for r in hub.requests if r.path.endswith("/v1/shards")] == [200]


def test_a_token_of_one_repository_reads_no_file_of_another(hub):
    ann, bob = hub.create_user("ann"), hub.create_user("bob")
    create(hub, ann, "secret", private=True)
    create(hub, bob, "mine")
    chunks = [random_bytes(seed, 3000) for seed in (101, 102)]
    sha256 = hashlib.sha256(b"".join(chunks)).hexdigest()
    name = _hashing.to_text(file_hash(chunks))

    def send(token, method, path, data=None):
        request = urllib.request.Request(
            path, method=method, data=data, headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def grant(token, path):
        status, body = send(token, "GET", f"{hub.endpoint}/api/{path}")
        assert status == 200
        found = json.loads(body)
        return found["accessToken"], found["casUrl"]

    writing, url = grant(ann, "models/ann/secret/xet-write-token/main")
    xorb = _hashing.to_text(xorb_hash(chunks))
    assert send(writing, "POST", f"{url}/v1/xorbs/default/{xorb}", pack_xorb(chunks))[0] == 200
    shard = pack_shard(whole_file(chunks, sha256))
    assert send(writing, "POST", f"{url}/v1/shards", shard)[0] == 200
    plan = f"{url}/v1/reconstructions/{name}"
    own, _ = grant(ann, "models/ann/secret/xet-read-token/main")
    assert send(own, "GET", plan)[0] == 200

    assert ask(hub, bob, "POST", "/api/buckets/bob/box", {}) == 200
    for path in ("models/bob/mine/xet-read-token/main", "buckets/bob/box/xet-read-token"):
        other, _ = grant(bob, path)
        status, body = send(other, "GET", plan)
        assert (status, b"fetch_info" in body) == (404, False)
    copy = {
        "type": "copyFile",
        "path": "w.bin",
        "xetHash": name,
        "sourceRepoType": "model",
        "sourceRepoId": "bob/mine",
    }
    adopt = {"type": "addFile", "path": "w.bin", "xetHash": name}
    for operation in (copy, adopt):
        assert ask(hub, bob, "POST", "/api/buckets/bob/box/batch", operation) == 422

    # Who may propose a change to a gated repository may upload for it, not read it.
    for settings in ({"private": False}, {"gated": "manual"}):
        assert ask(hub, ann, "PUT", "/api/models/ann/secret/settings", settings) == 200
    proposing, _ = grant(bob, "models/ann/secret/xet-write-token/main?create_pr=1")
    assert send(proposing, "GET", plan)[0] == 404
    assert ask(hub, bob, "POST", "/api/buckets/bob/box/batch", adopt) == 422
    assert ask(hub, ann, "PUT", "/api/models/ann/secret/settings", {"gated": False}) == 200
    assert ask(hub, bob, "POST", "/api/buckets/bob/box/batch", adopt) == 200  # all may read it
    other = [random_bytes(103, 3000)]
    path = f"{url}/v1/xorbs/default/{_hashing.to_text(xorb_hash(other))}"
    assert send(proposing, "POST", path, pack_xorb(other))[0] == 200
