from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from hfl_core.errors import ConflictError
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._digests import digest_files
from hfl_repo._transfer._scan import LocalFile, file_key


def look(path):
    return LocalFile(path.name, path, file_key(path))


def settled(*places):
    """Wait until a change of these files could be told by the clock."""
    while time.time_ns() - max(place.stat().st_ctime_ns for place in places) < 100_000_000:
        pass


@pytest.fixture
def files(tmp_path):
    made = []
    for number in range(5):
        place = tmp_path / f"f{number}"
        place.write_bytes(os.urandom(1000 * number))
        made.append(place)
    settled(*made)
    return made


def test_both_names_are_those_of_the_hub_and_of_git(files) -> None:
    hashed = digest_files([look(place) for place in files], DigestCache(None))
    for place in files:
        told = subprocess.run(
            ["git", "hash-object", str(place)], capture_output=True, text=True, check=True
        )
        digests = hashed.digests[place.name]
        assert digests.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
        assert digests.git_sha1 == told.stdout.strip()


def test_a_file_too_large_for_git_gets_one_name(tmp_path) -> None:
    place = tmp_path / "large"
    with place.open("wb") as file:
        file.truncate(17 << 20)
    assert digest_files([look(place)], DigestCache(None)).digests["large"].git_sha1 is None


def test_what_is_known_is_not_read_again_not_even_by_another_cache(files, tmp_path) -> None:
    known = [look(place) for place in files]
    first = digest_files(known, DigestCache(tmp_path / "cache"))
    assert first.bytes_read == sum(file.size for file in known)
    again = digest_files(known, DigestCache(tmp_path / "cache"))
    assert again.bytes_read == 0
    assert again.digests == first.digests


@pytest.mark.parametrize("how", ["rewritten", "touched back", "replaced"])
def test_a_change_is_seen_even_if_size_and_mtime_stay(how, files, tmp_path) -> None:
    cache, place = DigestCache(tmp_path / "cache"), files[3]
    before = digest_files([look(place)], cache).digests[place.name]
    status = place.stat()
    content = os.urandom(3000)
    if how == "replaced":
        other = tmp_path / "other"
        other.write_bytes(content)
        os.replace(other, place)
    else:
        place.write_bytes(content)
    if how != "rewritten":
        os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = digest_files([look(place)], cache).digests[place.name]
    assert after != before
    assert after.sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_written_in_the_same_tick_is_not_trusted_to_stay(tmp_path) -> None:
    place, cache = tmp_path / "fresh", DigestCache(tmp_path / "cache")
    place.write_bytes(b"1")
    soon = time.time_ns() + 3_000_000_000
    os.utime(place, ns=(soon, soon))
    digest_files([look(place)], cache)
    if time.time_ns() - place.stat().st_ctime_ns < 40_000_000:  # nothing held this process up
        assert digest_files([look(place)], cache).bytes_read == 1


def test_a_file_that_changes_while_it_is_read_is_an_error(files) -> None:
    file = look(files[4])
    changed = []

    def change(_):
        if not changed:
            changed.append(files[4].write_bytes(b"other"))

    with pytest.raises(ConflictError, match="being changed"):
        digest_files([file], DigestCache(None), advance=change, workers=1)


def test_a_file_that_gets_names_while_it_is_read_is_what_it_was(files, tmp_path) -> None:
    file, names = look(files[4]), []

    def link(_):
        names.append(tmp_path / f"name-{len(names)}")
        os.link(files[4], names[-1])

    digests = digest_files([file], DigestCache(None), advance=link).digests[file.path]
    assert names
    assert digests.sha256 == hashlib.sha256(files[4].read_bytes()).hexdigest()


def test_work_ends_when_it_is_told_to(files) -> None:
    def stop():
        raise KeyError("enough")

    with pytest.raises(KeyError):
        digest_files([look(place) for place in files], DigestCache(None), check=stop)


def test_a_broken_database_costs_time_and_nothing_else(files, tmp_path) -> None:
    folder = tmp_path / "cache"
    digest_files([look(files[1])], DigestCache(folder))
    (database,) = folder.glob("*.sqlite")
    database.write_bytes(b"this is no database at all, " * 200)
    assert digest_files([look(files[1])], DigestCache(folder)).bytes_read == files[1].stat().st_size
    digest_files([look(files[1])], DigestCache(folder))
    assert digest_files([look(files[1])], DigestCache(folder)).bytes_read == 0


def test_a_cache_that_cannot_be_written_is_done_without(files, tmp_path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert digest_files([look(files[1])], DigestCache(blocked)).digests


def test_the_gates_word_counts_for_one_state_and_one_set_of_rules(files, tmp_path) -> None:
    cache, file = DigestCache(tmp_path / "cache"), look(files[1])
    digest_files([file], cache)
    cache.note_clean(file.key, 7)
    assert cache.is_clean(file.key, 7)
    cache.flush()
    again = DigestCache(tmp_path / "cache")
    assert again.is_clean(file.key, 7)
    assert not again.is_clean(file.key, 8)
    files[1].write_bytes(b"other")
    assert not again.is_clean(look(files[1]).key, 7)


WORK = """
import sys
from pathlib import Path
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._scan import FileKey
cache = DigestCache(Path(sys.argv[1]))
for number in range(300):
    cache.put(FileKey(int(sys.argv[2]), number, 1, 2, 3), ("s%d" % number, None))
    if number % 50 == 0:
        cache.flush()
cache.flush()
"""


def test_several_processes_write_at_once_and_lose_nothing(tmp_path) -> None:
    folder = tmp_path / "cache"
    running = [
        subprocess.Popen([sys.executable, "-c", WORK, str(folder), str(number)])
        for number in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    (database,) = folder.glob("*.sqlite")
    connection = sqlite3.connect(str(database))
    assert connection.execute("SELECT count(*) FROM digests").fetchone() == (900,)
    connection.close()


def test_threads_share_a_cache(files, tmp_path) -> None:
    cache = DigestCache(tmp_path / "cache")
    results = []

    def work():
        results.append(digest_files([look(place) for place in files], cache).digests)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
