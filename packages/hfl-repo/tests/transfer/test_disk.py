"""Disks that are really full, and places that several want at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from hfl_core.errors import DiskSpaceError
from hfl_repo import TransferTimeoutError
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._placing import place_files
from hfl_repo._transfer._remote import RemoteFile

FILES = {"config.json": "{}", "model.bin": 600_000, "other.bin": 500_000}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of so many KiB."""
    mounted: List[Path] = []

    def mount(kibibytes: int) -> Path:
        if os.name == "nt" or os.geteuid() != 0:
            pytest.skip("only root may mount")
        place = tmp_path / "disk"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(place)]
        answer = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        if answer.returncode:
            pytest.skip(f"mounting is not allowed here: {answer.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start work on a thread; return what waits for its value or raises its error."""
    came: Dict[str, Any] = {}

    def run() -> None:
        try:
            came["value"] = work()
        except Exception as error:  # raised where it is waited for
            came["error"] = error

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(60)
        if "error" in came:
            raise came["error"]
        return came["value"]

    return result


def test_a_disk_that_is_too_small_for_a_download_is_told_before_it_begins(
    repo, folder, small_disk, monkeypatch, sent
):
    repo.upload(folder(FILES))
    monkeypatch.setenv("HF_HUB_CACHE", str(small_disk(1024) / "hub"))
    seen = sent()
    with pytest.raises(DiskSpaceError, match="bytes are needed"):
        repo.download()
    assert seen.count("GET", "/resolve/") == 0
    assert (repo.download("model.bin") / "model.bin").stat().st_size == 600_000


def test_a_disk_that_fills_up_during_a_download_is_told_and_the_download_goes_on_later(
    repo, folder, small_disk, monkeypatch, hub, content_of, way
):
    here = folder({"model.bin": 600_000})
    repo.upload(here)
    place = small_disk(1024)
    monkeypatch.setenv("HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.setenv("HF_XET_CACHE", str(place / "xet"))
    # By the file's address or by Xet's, which the client and the Hub settle between them.
    faults = [
        hub.faults.stall(100_000, method="GET", path=path, times=None)
        for path in ("*/model.bin*", "*/xet/*")
    ]
    download = in_thread(lambda: repo.download("model.bin"))
    while not any(fault.hits for fault in faults):  # the room was looked at
        threading.Event().wait(0.01)
    filler = fill(place)
    hub.faults.clear()
    with pytest.raises(DiskSpaceError):
        download()
    filler.unlink()
    found = content_of(repo.download())
    found.pop(".gitattributes")
    assert found == content_of(here)


def test_a_disk_that_is_full_for_the_copy_leaves_no_half_of_it(repo, folder, small_disk):
    repo.upload(folder(FILES))
    repo.download()
    place = small_disk(1024)
    with pytest.raises(DiskSpaceError):
        repo.download(to=place / "deep" / "out")
    assert [each for each in place.rglob("*") if each.is_file()] == []


DOWNLOAD = """
import sys
from hfl_repo import RepoManager
place = RepoManager(sys.argv[1], endpoint=sys.argv[2]).download(to=sys.argv[3])
print(sum(1 for each in place.rglob("*") if each.is_file()))
"""


def test_processes_that_download_to_one_new_folder_all_get_it_whole(repo, folder, tmp_path, hub):
    repo.upload(folder(FILES))
    repo.download()
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", DOWNLOAD, repo.repo_id, hub.endpoint, str(out)]
    processes = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert {each.name for each in tmp_path.iterdir()} >= {"out"}
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".part")]
    assert (out / "model.bin").read_bytes() == (folder({}) / "model.bin").read_bytes()


def test_a_folder_that_appears_while_the_files_are_copied_is_filled(tmp_path):
    snapshot, out = tmp_path / "snapshot", tmp_path / "out"
    snapshot.mkdir()
    (snapshot / "a.txt").write_text("hello")

    class Files(dict):
        """Somebody else makes the folder when the names are asked for, after it was looked for."""

        def __iter__(self):
            out.mkdir(exist_ok=True)
            (out / "mine.txt").write_text("mine")
            return super().__iter__()

    digest = hashlib.sha256(b"hello").hexdigest()
    file = RemoteFile("a.txt", 5, "0" * 40, digest)
    place_files(snapshot, Files({"a.txt": file}), out, DigestCache(None))
    assert {each.name for each in out.iterdir()} == {"a.txt", "mine.txt"}
    assert {each.name for each in tmp_path.iterdir()} >= {"out", "snapshot"}
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".part")]


def test_somebody_s_folder_that_appears_meanwhile_is_filled_and_not_replaced(
    repo, folder, tmp_path, hub
):
    repo.upload(folder(FILES))
    out = tmp_path / "out"
    fault = hub.faults.stall(1000, method="GET", path="*/model.bin*")
    download = in_thread(lambda: repo.download(to=out))
    while not fault.hits:
        threading.Event().wait(0.01)
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    fault.release()
    assert download() == out
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "other.bin").stat().st_size == 500_000


def test_the_time_given_ends_a_download_that_says_nothing(repo, folder, hub):
    repo.upload(folder(FILES))
    fault = hub.faults.stall(1000, method="GET", path="*/model.bin*", times=None)
    try:
        with pytest.raises(TransferTimeoutError):
            repo.download(timeout=0.5)
    finally:
        fault.release()


def test_the_time_given_ends_an_upload_by_xet_that_gets_nowhere(repo, folder, hub, history, way):
    fault = hub.faults.stall(0, path="*/v1/xorbs/*", times=None)
    large = hub.faults.stall(0, method="PUT", times=None)
    before = history(repo)
    try:
        with pytest.raises(TransferTimeoutError):
            repo.upload(folder(FILES), timeout=0.5)
    finally:
        fault.release()
        large.release()
    assert history(repo) == before
