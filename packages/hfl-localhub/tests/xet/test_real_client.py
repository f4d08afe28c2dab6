"""The real client against a Hub in another process."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from xet_objects import random_bytes

from hfl_localhub._store import BlobStore

pytest.importorskip("hf_xet")

REPO = "models/ann/digits"


def mixed_content(size=3_000_000):
    """Bytes that make the client use each of its ways to pack a chunk."""
    floats = b"".join(int(i * 3.7).to_bytes(4, "little") for i in range(size // 12))
    return random_bytes(1, size // 3) + floats + b"abcd" * (size // 12)


def sent_xorb_bytes(hub):
    return sum(
        line["received"]
        for line in hub.requests()
        if "/v1/xorbs/" in line["path"] and line["status"] == 200
    )


def test_an_uploaded_file_comes_back_byte_for_byte_and_is_a_plain_blob_too(
    shared_hub, client, tmp_path
):
    data = mixed_content()
    (tmp_path / "model").write_bytes(data)
    [info] = client(shared_hub, "upload", REPO, tmp_path / "model")
    client(shared_hub, "download", REPO, info["hash"], info["size"], tmp_path / "back", cache="b")
    assert (tmp_path / "back").read_bytes() == data
    blobs = BlobStore(shared_hub.root)
    assert blobs.path(hashlib.sha256(data).hexdigest()).read_bytes() == data


def test_a_file_without_sha256_is_stored_once_and_comes_back(small_hub, client, tmp_path):
    data = mixed_content()
    (tmp_path / "model").write_bytes(data)
    [info] = client(small_hub, "upload-without-sha256", REPO, tmp_path / "model")
    client(small_hub, "download", REPO, info["hash"], info["size"], tmp_path / "back", cache="b")
    assert (tmp_path / "back").read_bytes() == data
    assert not list((small_hub.root / "blobs").rglob("??/*"))


@pytest.mark.parametrize("cache", ["client-cache", "another"])
def test_a_file_with_an_insertion_costs_little_more_than_the_insertion(
    small_hub, client, tmp_path, cache
):
    """From the same machine by its cache, from another one by the Hub's answers."""
    data = random_bytes(1, 6_000_000)
    (tmp_path / "first").write_bytes(data)
    client(small_hub, "upload", REPO, tmp_path / "first")
    before = sent_xorb_bytes(small_hub)
    changed = data[:1_000_000] + random_bytes(2, 50_000) + data[1_000_000:]
    (tmp_path / "second").write_bytes(changed)
    [info] = client(small_hub, "upload", REPO, tmp_path / "second", cache=cache)
    assert 50_000 <= sent_xorb_bytes(small_hub) - before < 700_000
    client(small_hub, "download", REPO, info["hash"], info["size"], tmp_path / "back", cache="b")
    assert (tmp_path / "back").read_bytes() == changed


def test_a_part_of_a_file_comes_back_as_that_part(shared_hub, client, tmp_path):
    data = mixed_content()
    (tmp_path / "model").write_bytes(data)
    [info] = client(shared_hub, "upload", REPO, tmp_path / "model")
    spans = [(0, 1), (65_000, 900_123), (2_999_999, 3_000_000), (1_234_567, 1_234_568)]
    for number, (start, end) in enumerate(spans):
        spans[number] = (start, end, tmp_path / f"part-{number}")
    arguments = [text for span in spans for text in span]
    client(shared_hub, "stream", REPO, info["hash"], info["size"], *arguments, cache="b")
    for start, end, part in spans:
        assert part.read_bytes() == data[start:end]


def test_four_clients_upload_at_the_same_time(small_hub, client, tmp_path):
    common = random_bytes(0, 800_000)
    contents = [common + random_bytes(n, 400_000) for n in range(1, 5)]
    for number, data in enumerate(contents):
        (tmp_path / f"{number}").write_bytes(data)

    def upload(number):
        return client(small_hub, "upload", REPO, tmp_path / f"{number}", cache=f"c{number}")

    with ThreadPoolExecutor(4) as pool:
        infos = [infos[0] for infos in pool.map(upload, range(4))]
    for info, data in zip(infos, contents):
        client(
            small_hub, "download", REPO, info["hash"], info["size"], tmp_path / "back", cache="b"
        )
        assert (tmp_path / "back").read_bytes() == data


def test_what_was_uploaded_is_there_after_the_hub_was_killed(start_hub, client, tmp_path):
    hub = start_hub(tmp_path / "hub")
    data = mixed_content()
    (tmp_path / "model").write_bytes(data)
    [info] = client(hub, "upload", REPO, tmp_path / "model")
    hub.kill()
    again = start_hub(tmp_path / "hub")
    client(again, "download", REPO, info["hash"], info["size"], tmp_path / "back", cache="b")
    assert (tmp_path / "back").read_bytes() == data


def test_the_same_file_is_uploaded_again_without_its_bytes(small_hub, client, tmp_path):
    (tmp_path / "model").write_bytes(mixed_content())
    client(small_hub, "upload", REPO, tmp_path / "model")
    before = sent_xorb_bytes(small_hub)
    client(small_hub, "upload", REPO, tmp_path / "model", cache="another")
    assert sent_xorb_bytes(small_hub) == before


def test_many_small_files_and_an_empty_one_travel_in_one_upload(small_hub, client, tmp_path):
    names = [tmp_path / f"{n}.txt" for n in range(40)]
    for number, name in enumerate(names):
        name.write_text(f"{number}\n" * number)
    infos = client(small_hub, "upload", REPO, *names)
    blobs = BlobStore(small_hub.root)
    for name, info in zip(names[1:], infos[1:]):
        assert blobs.has(hashlib.sha256(name.read_bytes()).hexdigest())
        assert info["size"] == name.stat().st_size
