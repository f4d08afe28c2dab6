from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import xxhash

from hfl_core import ConfigError, digest_file, new_digest
from hfl_core._digest import CHUNK_BYTES


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7]
)
def test_a_file_has_the_digest_of_its_content(tmp_path: Path, size: int) -> None:
    data = bytes(index * 31 % 251 for index in range(1000)) * (size // 1000 + 1)
    path = tmp_path / "file"
    path.write_bytes(data[:size])
    assert digest_file(path, "sha256") == hashlib.sha256(data[:size]).hexdigest()
    assert digest_file(str(path)) == xxhash.xxh3_128(data[:size]).hexdigest()


def test_digests_are_of_known_values() -> None:
    digest = new_digest("sha256")
    assert digest.hexdigest() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    fast = new_digest()
    assert fast.hexdigest() == "99aa06d3014798d86001c324468d497f"


def test_pieces_give_the_digest_of_the_whole() -> None:
    for algorithm in ("xxh3-128", "sha256"):
        whole, pieces = new_digest(algorithm), new_digest(algorithm)
        whole.update(b"one and two")
        for piece in (b"one", bytearray(b" and"), memoryview(b" two")):
            pieces.update(piece)
        assert pieces.hexdigest() == whole.hexdigest()


def test_an_unknown_algorithm_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no digest 'md5'") as caught:
        new_digest("md5")
    assert caught.value.hint == "Use one of: xxh3-128, sha256."
    with pytest.raises(ConfigError):
        digest_file(tmp_path / "nowhere", "crc")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "nowhere")
