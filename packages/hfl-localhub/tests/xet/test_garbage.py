"""What the content store removes, and what it keeps through that."""

from __future__ import annotations

import functools
import io
import os

import pytest
from own_store import CHUNKS, DATA, SHA256, Store, dies_at_change
from xet_objects import (
    file_entry,
    file_hash,
    pack_shard,
    proof,
    segment,
    whole_file,
    xorb_hash,
)

from hfl_localhub._xet import Scope, _hashing


def test_what_no_live_file_needs_is_removed(store):
    dead = store.add_file(CHUNKS)
    live = store.add_file([b"live"])
    report = store.collect(hashes=[live])
    assert (report.files, report.xorbs) == (1, 1)
    assert report.bytes_freed > len(DATA)
    assert store.service.size(dead) is None
    assert store.read(live) == b"live"
    again = Store(store.root)
    assert again.service.size(dead) is None
    assert again.read(live) == b"live"


def test_a_repositorys_file_is_live_by_its_sha256(store):
    name = store.add_file(CHUNKS, SHA256)
    assert store.collect(sha256s=[SHA256]) == (0, 0, 0)
    assert store.read(name) == DATA
    assert store.collect().files == 1
    assert store.service.xet_hash(SHA256) is None


def test_a_shared_xorb_stays_as_long_as_one_file_needs_it(store):
    whole = store.add_file(CHUNKS)
    run = segment(xorb_hash(CHUNKS), CHUNKS, 1, 4)
    store.add_shard(file_entry(file_hash(CHUNKS[1:4]), [run], [proof(CHUNKS, 1, 4)]))
    part = _hashing.to_text(file_hash(CHUNKS[1:4]))
    report = store.collect(hashes=[part])
    assert (report.files, report.xorbs) == (1, 0)
    assert store.service.size(whole) is None
    assert store.read(part) == b"".join(CHUNKS[1:4])


def test_files_of_one_shard_die_one_by_one(store):
    store.add_xorb(CHUNKS)
    store.add_xorb([b"other"])
    store.add_shard(whole_file(CHUNKS), whole_file([b"other"]))
    other = _hashing.to_text(file_hash([b"other"]))
    assert store.collect(hashes=[other]).files == 1
    assert store.read(other) == b"other"
    assert len(list((store.root / "xet/shards").iterdir())) == 1


def test_what_was_just_uploaded_is_not_garbage(store):
    name = store.add_file(CHUNKS)
    store.add_xorb([b"its shard is on its way"])
    assert store.collect(grace=3600) == (0, 0, 0)
    assert store.read(name) == DATA


def test_a_file_that_is_read_keeps_its_bytes_until_the_end(store):
    name = store.add_file(CHUNKS)
    reader = store.service.stream(name)
    first = next(reader)
    assert store.collect().xorbs == 0
    assert first + b"".join(reader) == DATA
    assert store.collect().xorbs == 1


def test_a_shard_that_arrives_while_garbage_is_removed_keeps_its_xorbs(store):
    store.add_xorb(CHUNKS)
    xorbs = store.service._xorbs
    remove = xorbs.remove

    def arrive_first(digest, **options):
        store.add_shard(whole_file(CHUNKS))  # after the store saw that no file needs the xorb
        return remove(digest, **options)

    xorbs.remove = arrive_first
    assert store.collect().xorbs == 0
    assert store.read(_hashing.to_text(file_hash(CHUNKS))) == DATA


def test_a_file_that_was_uploaded_twice_survives_a_restart_after_collecting(store):
    name = store.add_file(CHUNKS)
    other = [*CHUNKS, b"more"]
    store.add_xorb(other)
    run = segment(xorb_hash(other), other, 0, 6)
    store.add_shard(file_entry(file_hash(CHUNKS), [run], [proof(other, 0, 6)]))
    store.collect(hashes=[name])
    assert store.read(name) == DATA
    assert Store(store.root).read(name) == DATA


BUCKET = Scope("bucket", "ann/bucket", "write")


def test_a_bucket_upload_does_not_hide_a_sha256(store):
    name = store.add_file(CHUNKS, SHA256)
    store.service.add_shard(io.BytesIO(pack_shard(whole_file(CHUNKS))), BUCKET)
    for _ in range(3):
        store.collect(hashes=[name], sha256s=[SHA256])
        assert store.service.sha256(name) == SHA256
        assert store.service.xet_hash(SHA256) == name
        store = Store(store.root)  # as after a restart
    store.collect(sha256s=[SHA256])
    assert store.read(name) == DATA


def test_a_sha256_that_was_hidden_already_is_not_lost(store):
    """As earlier versions left it: the newest description of the file has no sha256."""
    name = store.add_file(CHUNKS, SHA256)
    [described] = (store.root / "xet" / "shards").iterdir()
    hiding = described.with_name("ff.shard")
    hiding.write_bytes(pack_shard(whole_file(CHUNKS)))
    later = described.stat().st_mtime_ns + 10**9
    os.utime(hiding, ns=(later, later))
    for _ in range(3):
        store = Store(store.root)
        store.collect(hashes=[name], sha256s=[SHA256])
        assert store.service.xet_hash(SHA256) == name
        assert store.service.sha256(name) == SHA256


def test_two_descriptions_of_a_file_die_together_or_not_at_all(store):
    name = store.add_file(CHUNKS, SHA256)
    [described] = (store.root / "xet" / "shards").iterdir()
    hiding = described.with_name("ff.shard")
    hiding.write_bytes(pack_shard(whole_file(CHUNKS)))
    store = Store(store.root)
    store.collect(sha256s=[SHA256])  # live by what only the older one says
    assert store.read(name) == DATA
    assert Store(store.root).read(name) == DATA
    assert store.collect().files == 1
    assert store.service.xet_hash(SHA256) is None
    assert not [path for path in store.files_on_disk() if path.startswith("xet")]


def test_clients_start_from_nothing_after_something_was_removed(store):
    store.add_file(CHUNKS)
    before = store.service.cas_url
    assert Store(store.root).service.cas_url == before
    store.collect(grace=3600)
    assert store.service.cas_url == before
    store.collect()
    assert store.service.cas_url != before
    assert Store(store.root).service.cas_url == store.service.cas_url


@pytest.mark.torture
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be copied")
def test_a_kill_anywhere_while_collecting_loses_no_live_file(tmp_path):
    """A copy of this process collects and dies at its n-th change to the disk, for all n."""
    live = _hashing.to_text(file_hash(CHUNKS))
    for count in range(100):
        root = tmp_path / f"{count}"
        root.mkdir()
        store = Store(root)
        store.add_xorb(CHUNKS)
        store.add_xorb([b"dead"])
        store.add_shard(whole_file(CHUNKS), whole_file([b"dead"]))
        was_killed = dies_at_change(count, functools.partial(store.collect, hashes=[live]))
        again = Store(root)
        assert again.read(live) == DATA
        again.collect(hashes=[live])
        assert again.read(live) == DATA
        assert not again.service.xet_hash(SHA256)
        if not was_killed:
            break
    assert 5 < count < 99
