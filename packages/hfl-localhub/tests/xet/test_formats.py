"""Chunks, xorbs, shards and hashes, without a network."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xet_objects import (
    GROUPED,
    LZ4,
    PLAIN,
    TAG,
    file_entry,
    file_hash,
    header,
    leaves,
    pack_chunk,
    pack_shard,
    pack_xorb,
    proof,
    random_bytes,
    segment,
    whole_file,
    xorb_hash,
)

from hfl_localhub._xet import _chunks, _hashing, _ranges, _shard, _xorb
from hfl_localhub._xet._errors import XetFormatError, XetMismatchError, XetRangeError

SCHEMES = st.sampled_from([PLAIN, LZ4, GROUPED])
CHUNKS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8)


# Hashes: the expected values are those that the reference implementation's own tests hold.

ONE = "cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6"
TWO = "c3e67584b5c4fc2a89837ec39e40f2c8a6bb0b2987ac94cd4b31e5fbdd210a72"
THREE = "0d2beb91b9196929a5ddec9f6e306924ddf4a24268e3e59fd8464738d525af37"
FOUR = "adf8773496a9b7319b2e50dc98093f344053b17d8ad37100b9c07d9805988784"


@pytest.mark.parametrize(
    ("chunks", "xorb", "file"),
    [
        ([], "0" * 64, "0" * 64),
        ([(ONE, 100)], ONE, "8e16257caa3fe079d484d872a8975264b2ff683b0d6db9028cc7c0f968a45661"),
        (
            [(ONE, 100), (TWO, 200), (THREE, 300)],
            "71ec1275fca074724e2dd666921b3277c7cee603e4d025bcab2d4050015be2bc",
            "54e55dccc6653c612bdb5576c5d3cb34bb31bc4e100248abccf4c908b3ef7715",
        ),
        (
            [(ONE, 100), (TWO, 200), (ONE, 100), (TWO, 200), (THREE, 300), (FOUR, 400)],
            "52c826f99507aa05d0b45e9837fa1709e0485425cfbcb1e80db3905cf98b3ee9",
            "91d21684db364c8883ab8209fa5eb2e781cf07f37e1fa43e731c30839afe422f",
        ),
    ],
)
def test_hashes_are_those_of_the_reference_implementation(chunks, xorb, file):
    root = _hashing.xorb_hash((_hashing.from_text(text), size) for text, size in chunks)
    assert _hashing.to_text(root) == xorb
    assert _hashing.to_text(_hashing.file_hash(root)) == file


def test_the_hash_of_a_small_file_is_what_the_client_computes(tmp_path):
    hf_xet = pytest.importorskip("hf_xet")
    (tmp_path / "small").write_bytes(b"hello")
    [info] = hf_xet.hash_files([str(tmp_path / "small")])
    assert _hashing.to_text(file_hash([b"hello"])) == info.hash


def one_level(nodes):
    """The tree's definition, straight: a node ends at a hash divisible by 4, or at 9 children."""
    parents = []
    while nodes:
        end = min(len(nodes), 9)
        for index in range(2, end):
            if _hashing.last_word(nodes[index][0]) % 4 == 0:
                end = index + 1
                break
        text = "".join(f"{_hashing.to_text(h)} : {n}\n" for h, n in nodes[:end]).encode()
        digest = _hashing.blake3(text, key=_hashing._NODE_KEY).digest()
        parents.append((digest, sum(n for _, n in nodes[:end])))
        nodes = nodes[end:]
    return parents


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(1, 9)), max_size=120))
def test_hashing_a_stream_of_chunks_is_hashing_all_of_them(nodes):
    level = list(nodes)
    while len(level) > 1:
        level = one_level(level)
    assert _hashing.xorb_hash(nodes) == (level[0][0] if level else _hashing.EMPTY_HASH)


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_survives_being_written(digest):
    assert _hashing.from_text(_hashing.to_text(digest)) == digest


@settings(max_examples=40)
@given(st.text(max_size=70))
def test_no_other_text_is_a_hash(text):
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        with pytest.raises(ValueError, match="is not a Xet hash"):
            _hashing.from_text(text)


# Chunks


@given(st.binary(min_size=1, max_size=5000), SCHEMES)
def test_a_chunk_unpacks_to_what_was_packed(data, scheme):
    packed = pack_chunk(data, scheme)
    head = _chunks.read_header(packed[:8])
    assert _chunks.unpack(head, packed[8:]) == data


def test_a_bomb_is_stopped_at_the_announced_size():
    bomb = pack_chunk(bytes(16_000_000), LZ4)
    with pytest.raises(XetFormatError, match="1 to 131072 bytes"):
        _chunks.read_header(bomb[:8])
    head = _chunks.ChunkHeader(LZ4, len(bomb) - 8, 1000)
    with pytest.raises(XetFormatError, match="unpacks to 1001 bytes"):
        _chunks.unpack(head, bomb[8:])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (header(5, PLAIN, 5, version=1), "version 1"),
        (header(5, 3, 5), "scheme 3"),
        (header(5, PLAIN, 0), "1 to 131072"),
        (header(0, PLAIN, 5), "0 is out of range"),
        (header(300_000, PLAIN, 131_072), "out of range"),
    ],
)
def test_a_header_that_no_client_writes_is_refused(head, message):
    with pytest.raises(XetFormatError, match=message.replace("0 is", "0 bytes is")):
        _chunks.read_header(head)


# Xorbs


@given(CHUNKS, st.lists(SCHEMES, min_size=1, max_size=3), st.sampled_from([b"", b"XETBLOB\x01 "]))
def test_a_xorb_is_read_back_chunk_by_chunk(tmp_path_factory, chunks, schemes, footer):
    packed = pack_xorb(chunks, schemes, footer)
    table = _xorb.scan(io.BytesIO(packed))
    _xorb.verify(table, xorb_hash(chunks))
    assert list(table.leaves(0, len(table))) == leaves(chunks)
    assert table.run_length == len(packed) - len(footer)
    path = tmp_path_factory.mktemp("xorb") / "stored"
    path.write_bytes(packed[: table.run_length] + table.to_bytes())
    stored = _xorb.read_table(path)
    assert list(stored.leaves(0, len(stored))) == leaves(chunks)
    assert list(_xorb.iter_plain(path, stored, 0, len(chunks))) == chunks
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(XetMismatchError, match="damaged"):
        _xorb.read_table(path)


@given(CHUNKS, st.lists(SCHEMES, min_size=1, max_size=3), st.data())
def test_a_xorb_that_was_cut_off_is_never_taken_for_whole(chunks, schemes, data):
    packed = pack_xorb(chunks, schemes)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises((XetFormatError, XetMismatchError)):
        _xorb.verify(_xorb.scan(io.BytesIO(cut)), xorb_hash(chunks))


@given(CHUNKS, st.lists(SCHEMES, min_size=1, max_size=3), st.data())
def test_a_xorb_with_a_changed_byte_unpacks_to_the_same_or_is_refused(chunks, schemes, data):
    packed = bytearray(pack_xorb(chunks, schemes))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    try:
        table = _xorb.scan(io.BytesIO(bytes(packed)))
        _xorb.verify(table, xorb_hash(chunks))
    except (XetFormatError, XetMismatchError):
        return
    assert list(table.leaves(0, len(table))) == leaves(chunks)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader_of_xorbs(data):
    with contextlib.suppress(XetFormatError):
        assert len(_xorb.scan(io.BytesIO(data))) > 0


def test_a_xorb_unpacks_to_a_bounded_size():
    chunk = pack_chunk(bytes(131_072), LZ4)
    count = _xorb._LARGEST_PLAIN // 131_072 + 1
    with pytest.raises(XetFormatError, match="unpacks to more than"):
        _xorb.scan(io.BytesIO(chunk * count))


def test_a_xorb_has_a_bounded_number_of_chunks():
    with pytest.raises(XetFormatError, match="more than 65536 chunks"):
        _xorb.scan(io.BytesIO(pack_chunk(b"x") * 65537))


@given(CHUNKS, st.data())
def test_the_chunk_at_an_offset_is_the_one_that_holds_it(chunks, data):
    table = _xorb.scan(io.BytesIO(pack_xorb(chunks)))
    total = sum(map(len, chunks))
    offset = data.draw(st.integers(0, total - 1))
    index = table.chunk_at(offset, 0, len(chunks))
    assert table.plain_start(index) <= offset < table.plain_start(index + 1)


# Shards

FILES = st.lists(
    st.tuples(CHUNKS, st.none() | st.binary(min_size=32, max_size=32).filter(any)), max_size=4
)


@given(FILES)
def test_the_files_of_a_shard_are_read_back_and_written_again(files):
    shard = pack_shard(*(whole_file(c, None if s is None else s.hex()) for c, s in files))
    found = [entry for _, entry in _shard.read_files(io.BytesIO(shard))]
    assert [(e.digest, e.sha256, e.size) for e in found] == [
        (file_hash(chunks), sha256, sum(map(len, chunks))) for chunks, sha256 in files
    ]
    again = io.BytesIO()
    writer = _shard.ShardWriter(again)
    starts = [writer.add(entry) for entry in found]
    writer.finish()
    again.seek(0)
    reread = list(_shard.read_files(again))
    assert [start for start, _ in reread] == starts
    assert [entry for _, entry in reread] == [entry._replace(proof_rows=b"") for entry in found]


@given(FILES.filter(bool), st.data())
def test_a_shard_that_was_cut_off_is_refused(files, data):
    shard = pack_shard(*(whole_file(chunks) for chunks, _ in files))[:-48]
    cut = shard[: data.draw(st.integers(0, len(shard) - 17))]
    with pytest.raises(XetFormatError, match="ends inside"):
        list(_shard.read_files(io.BytesIO(cut)))


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reader_of_shards(data):
    with contextlib.suppress(XetFormatError):
        list(_shard.read_files(io.BytesIO(pack_shard()[:48] + data)))


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        (pack_shard(tag=TAG[::-1]), "no shard"),
        (pack_shard(version=3), "version 3"),
        (pack_shard(file_entry(bytes(32), [b"\0" * 48], [])[:44] + b"\xff" * 4), "ends inside"),
    ],
)
def test_what_is_no_shard_is_refused(shard, message):
    with pytest.raises(XetFormatError, match=message):
        list(_shard.read_files(io.BytesIO(shard)))


def test_a_wrong_count_does_not_make_room_for_gigabytes():
    entry = bytes(32) + b"\0\0\0\0" + b"\xff\xff\xff\x7f" + bytes(8)
    with pytest.raises(XetFormatError, match="ends inside"):
        list(_shard.read_files(io.BytesIO(pack_shard(entry))))


# Ranges


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=5-", 10, (5, 10)),
        ("bytes=5-100", 10, (5, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
    ],
)
def test_a_range_is_cut_to_the_file(text, size, expected):
    assert _ranges.parse(text).bounds(size) == expected


@pytest.mark.parametrize("text", [None, "", "bytes=-", "bytes=3-1", "items=1-2", "bytes=0-1,3-4"])
def test_a_header_without_one_plain_range_is_ignored(text):
    assert _ranges.parse(text) is None


@pytest.mark.parametrize(("text", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 5)])
def test_a_range_behind_the_end_is_refused(text, size):
    with pytest.raises(XetRangeError):
        _ranges.parse(text).bounds(size)


@settings(max_examples=30)
@given(st.integers(2, 40), st.data())
def test_a_proof_depends_on_which_chunks_it_covers(count, data):
    chunks = [random_bytes(n, 10) for n in range(count)]
    start = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(start + 1, count))
    assert (proof(chunks, start, end) == proof(chunks, 0, count)) == ((start, end) == (0, count))
    assert len(segment(xorb_hash(chunks), chunks, start, end)) == 48
