"""The content store itself: what it keeps, what it refuses, what it removes."""

from __future__ import annotations

import functools
import hashlib
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_store import CHUNKS, DATA, OTHER, SHA256, Store, dies_at_change
from xet_objects import (
    GROUPED,
    LZ4,
    PLAIN,
    file_entry,
    file_hash,
    leaves,
    pack_shard,
    pack_xorb,
    proof,
    segment,
    whole_file,
    xorb_hash,
)

from hfl_localhub._xet import Scope, _hashing
from hfl_localhub._xet._errors import (
    XetFormatError,
    XetMismatchError,
    XetNotFoundError,
    XetRangeError,
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with two xorbs, for tests that try many shards."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.add_xorb(CHUNKS, (PLAIN, LZ4))
    store.add_xorb(OTHER)
    return store


@pytest.mark.parametrize("schemes", [(PLAIN,), (LZ4,), (GROUPED,), (GROUPED, PLAIN, LZ4)])
def test_a_file_is_put_together_from_its_chunks(store, schemes):
    assert store.add_xorb(CHUNKS, schemes) is True
    store.add_shard(whole_file(CHUNKS))
    name = _hashing.to_text(file_hash(CHUNKS))
    assert store.read(name) == DATA
    assert store.service.size(name) == len(DATA)


def test_a_file_with_a_sha256_becomes_a_blob_and_is_found_by_it(store):
    name = store.add_file(CHUNKS, SHA256)
    assert store.context.blobs.path(SHA256).read_bytes() == DATA
    assert store.service.xet_hash(SHA256) == name
    assert store.context.xet_hash(SHA256) == name
    assert store.service.sha256(name) == SHA256


def test_the_repository_hears_of_what_was_uploaded_for_it(store):
    heard = []
    store.context.record_upload = lambda *what: heard.append(what)
    store.add_file(CHUNKS, SHA256)
    assert heard == [("model", "ann/digits", SHA256)]


def test_a_blob_that_came_another_way_has_no_xet_hash(store):
    with store.context.blobs.writer() as writer:
        writer.write(b"plain")
        sha256, _ = writer.commit()
    assert store.service.xet_hash(sha256) is None
    assert store.service.xet_hash("not a digest") is None


def test_a_file_that_was_deleted_for_good_is_not_offered_any_more(store):
    store.add_file(CHUNKS, SHA256)
    store.context.blobs.delete(SHA256)
    assert store.service.xet_hash(SHA256) is None
    store.add_shard(whole_file(CHUNKS, SHA256))
    assert store.context.blobs.path(SHA256).read_bytes() == DATA
    assert store.service.xet_hash(SHA256) is not None


def test_the_empty_file_is_always_there(store):
    empty = "0" * 64
    assert store.service.size(empty) == 0
    assert store.read(empty) == b""
    assert store.service.reconstruction(empty, 0, None)["terms"] == []


def test_a_xorb_is_kept_once(store):
    assert store.add_xorb(CHUNKS) is True
    before = store.files_on_disk()
    assert store.add_xorb(CHUNKS, (LZ4,)) is False
    assert store.files_on_disk() == before


def test_files_that_share_chunks_share_storage(store):
    whole = store.add_file(CHUNKS)
    run = segment(xorb_hash(CHUNKS), CHUNKS, 1, 4)
    store.add_shard(file_entry(file_hash(CHUNKS[1:4]), [run], [proof(CHUNKS, 1, 4)]))
    part = _hashing.to_text(file_hash(CHUNKS[1:4]))
    assert store.read(part) == b"".join(CHUNKS[1:4])
    other = store.add_file(OTHER)
    more = sum(map(len, OTHER))
    assert store.service.distinct_size([whole, part]) == len(DATA)
    assert store.service.distinct_size([part, part]) == len(b"".join(CHUNKS[1:4]))
    assert store.service.distinct_size([whole, part, other]) == len(DATA) + more
    assert store.service.distinct_size([whole, "0" * 64, "ab" * 32]) == len(DATA)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_part_of_a_file_can_be_read_and_reconstructed(filled, data):
    store = filled
    run = st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 3))
    runs = data.draw(st.lists(run, min_size=1, max_size=5))
    pieces, rows, proofs = [], [], []
    for is_other, start, length in runs:
        source = OTHER if is_other else CHUNKS
        end = min(start + length, len(source))
        pieces += source[start:end]
        rows.append(segment(xorb_hash(source), source, start, end))
        proofs.append(proof(source, start, end))
    store.add_shard(file_entry(file_hash(pieces), rows, proofs))
    whole = b"".join(pieces)
    name = _hashing.to_text(file_hash(pieces))
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole) + 5))
    assert store.read(name, start, end) == whole[start:end]
    assert (
        rebuilt(store, store.service.reconstruction(name, start, end), end - start)
        == whole[start:end]
    )


def rebuilt(store, plan, size):
    """Put a part of a file together the way a client does, from the fetched bytes only."""
    from hfl_localhub._xet import _xorb

    parts = []
    for term in plan["terms"]:
        first, end = term["range"]["start"], term["range"]["end"]
        [info] = [
            info
            for info in plan["fetch_info"][term["hash"]]
            if info["range"]["start"] <= first and end <= info["range"]["end"]
        ]
        path, length = store.service.xorb_run(term["hash"])
        fetched = path.read_bytes()[info["url_range"]["start"] : info["url_range"]["end"] + 1]
        assert info["url_range"]["end"] < length
        table = _xorb.scan(io.BytesIO(fetched))
        assert len(table) == info["range"]["end"] - info["range"]["start"]
        skip = first - info["range"]["start"]
        fetched_path = store.root / "fetched"
        fetched_path.write_bytes(fetched)
        chunks = list(_xorb.iter_plain(fetched_path, table, skip, skip + end - first))
        assert sum(map(len, chunks)) == term["unpacked_length"]
        parts += chunks
    return b"".join(parts)[plan["offset_into_first_range"] :][:size]


def test_a_part_behind_the_end_is_refused(store):
    name = store.add_file(CHUNKS)
    with pytest.raises(XetRangeError):
        store.service.reconstruction(name, len(DATA), None)
    with pytest.raises(XetRangeError):
        store.read(name, len(DATA) + 1)


def test_an_unknown_file_is_not_found(store):
    with pytest.raises(XetNotFoundError):
        store.read("1" * 64)
    assert store.service.size("1" * 64) is None


def test_a_bucket_upload_cannot_say_what_a_sha256_is(store):
    """Buckets name files by Xet hash, so nobody would check it."""
    store.add_xorb(CHUNKS)
    shard = pack_shard(whole_file(CHUNKS, "ab" * 32))
    bucket = Scope("bucket", "ann/bucket", "write")
    assert store.service.add_shard(io.BytesIO(shard), bucket) == 1
    assert store.read(_hashing.to_text(file_hash(CHUNKS))) == DATA
    assert store.service.xet_hash("ab" * 32) is None
    assert not store.context.blobs.has(SHA256)


# What is refused leaves nothing behind.

X = xorb_hash(CHUNKS)
WHOLE = segment(X, CHUNKS, 0, 6)
GOOD_PROOF = proof(CHUNKS, 0, 6)


def test_a_xorb_under_a_wrong_name_is_refused(store):
    before = store.files_on_disk()
    with pytest.raises(XetMismatchError, match="announced as"):
        store.add_packed(pack_xorb(CHUNKS), xorb_hash(CHUNKS[1:]))
    assert store.files_on_disk() == before


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (
            file_entry(file_hash(CHUNKS), [WHOLE], [GOOD_PROOF], "0" * 63 + "1"),
            XetMismatchError,
            "sha256",
        ),
        (
            file_entry(file_hash(CHUNKS[1:]), [WHOLE], [GOOD_PROOF]),
            XetMismatchError,
            "announced as",
        ),
        (
            file_entry(file_hash(CHUNKS), [WHOLE], [proof(CHUNKS, 0, 5)]),
            XetMismatchError,
            "wrong proof",
        ),
        (
            file_entry(file_hash(CHUNKS), [segment(X, CHUNKS, 0, 6, size=1)], [GOOD_PROOF]),
            XetMismatchError,
            "wrong size",
        ),
        (
            file_entry(file_hash(CHUNKS), [segment(X, CHUNKS, 0, 7, size=len(DATA))], [GOOD_PROOF]),
            XetFormatError,
            "which has 6",
        ),
        (
            file_entry(file_hash(CHUNKS), [segment(X, CHUNKS, 3, 3, size=0)], [GOOD_PROOF]),
            XetFormatError,
            "chunks 3 to 3",
        ),
        (
            file_entry(file_hash(CHUNKS), [segment(bytes(32), CHUNKS, 0, 6)], [GOOD_PROOF]),
            XetFormatError,
            "not here",
        ),
        (file_entry(file_hash(CHUNKS), [], []), XetMismatchError, "announced as"),
    ],
)
def test_a_shard_that_says_what_is_not_so_is_refused(store, entry, error, message):
    store.add_xorb(CHUNKS)
    before = store.files_on_disk()
    with pytest.raises(error, match=message):
        store.add_shard(entry)
    assert store.files_on_disk() == before
    assert store.service.size(_hashing.to_text(file_hash(CHUNKS))) is None


def test_a_shard_without_proofs_is_refused(store):
    store.add_xorb(CHUNKS)
    entry = bytearray(file_entry(file_hash(CHUNKS), [WHOLE], []))
    entry[35] &= 0x7F
    with pytest.raises(XetFormatError, match="without proofs"):
        store.add_shard(bytes(entry))


def test_one_bad_file_keeps_the_whole_shard_out(store):
    store.add_xorb(CHUNKS)
    with pytest.raises(XetMismatchError):
        store.add_shard(
            whole_file(CHUNKS), file_entry(file_hash(CHUNKS[1:]), [WHOLE], [GOOD_PROOF])
        )
    assert store.service.size(_hashing.to_text(file_hash(CHUNKS))) is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_change_to_a_shard_makes_the_store_lie(filled, data):
    store = filled
    known = {entry.digest for entry in store.service._files.all()}
    shard = bytearray(pack_shard(whole_file(CHUNKS, SHA256)))
    position = data.draw(st.integers(0, len(shard) - 1))
    shard[position] ^= data.draw(st.integers(1, 255))
    try:
        store.add_shard(raw=bytes(shard))
    except (XetFormatError, XetMismatchError):
        return
    for entry in store.service._files.all():
        if entry.digest in known:
            continue
        plain = store.read(_hashing.to_text(entry.digest))
        assert plain == DATA
        assert entry.sha256 in (None, hashlib.sha256(plain).digest())


# Starting again


def test_everything_is_found_again_after_a_restart(store):
    name = store.add_file(CHUNKS, SHA256)
    again = Store(store.root)
    assert again.read(name) == DATA
    assert again.service.xet_hash(SHA256) == name


def test_a_damaged_shard_is_left_out_and_named(store, caplog):
    name = store.add_file(CHUNKS)
    other = store.add_file(CHUNKS[:2])
    first, _ = sorted((store.root / "xet/shards").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    first.write_bytes(b"damaged")
    again = Store(store.root)
    assert again.read(other) == b"".join(CHUNKS[:2])
    assert again.service.size(name) is None
    assert "damaged" in caplog.text


def test_a_xorb_that_was_damaged_on_disk_is_not_served(store):
    name = store.add_file(CHUNKS)
    path, _ = store.service.xorb_run(_hashing.to_text(X))
    path.write_bytes(path.read_bytes()[:-20])
    again = Store(store.root)
    with pytest.raises(XetMismatchError, match="damaged"):
        again.read(name)


@pytest.mark.torture
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be copied")
def test_a_kill_anywhere_while_uploading_leaves_a_store_that_takes_it_again(tmp_path):
    for count in range(100):
        root = tmp_path / f"{count}"
        root.mkdir()
        store = Store(root)
        was_killed = dies_at_change(count, functools.partial(store.add_file, CHUNKS, SHA256))
        again = Store(root)
        name = _hashing.to_text(file_hash(CHUNKS))
        if again.service.size(name) is not None:
            assert again.read(name) == DATA
            assert again.context.blobs.path(SHA256).read_bytes() == DATA
        assert again.add_file(CHUNKS, SHA256) == name
        assert again.read(name) == DATA
        assert again.service.xet_hash(SHA256) == name
        if not was_killed:
            break
    assert 5 < count < 99


# Deduplication


def test_the_first_chunk_of_a_file_is_findable_and_others_stay_hidden(store):
    store.add_file(CHUNKS)
    listing = store.service.chunk_listing(_hashing.to_text(leaves(CHUNKS)[0][0]))
    key = listing[-200:][72:104]
    assert X in listing
    for digest, _ in leaves(CHUNKS):
        assert digest not in listing
        assert _hashing.keyed(digest, key) in listing
    assert store.service.chunk_listing(_hashing.to_text(leaves(CHUNKS)[1][0])) is None


def test_what_is_uploaded_after_the_first_question_is_findable_too(store):
    assert store.service.chunk_listing("1" * 64) is None
    store.add_file(CHUNKS)
    first = _hashing.to_text(leaves(CHUNKS)[0][0])
    assert store.service.chunk_listing(first) is not None
    store.collect()
    assert store.service.chunk_listing(first) is None
    assert Store(store.root).service.chunk_listing(first) is None


def test_one_chunk_in_1024_is_findable_wherever_it_is(store):
    seed = next(
        n for n in range(20_000) if _hashing.last_word(_hashing.chunk_hash(b"%d" % n)) % 1024 == 0
    )
    chunks = [b"first", b"%d" % seed]
    store.add_file(chunks)
    assert store.service.chunk_listing(_hashing.to_text(leaves(chunks)[1][0])) is not None
