"""Places for tokens that are full, read-only, or no files at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from hfl_auth import AuthManager
from hfl_auth._credential import Secret
from hfl_auth._records import Record
from hfl_auth._store import TokenStore
from hfl_core.errors import DiskSpaceError, PermissionDeniedError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes, modes and mounts of POSIX")
TOKEN = "hf_" + "Abcd" * 8
OTHER = "hf_" + "Efgh" * 8
FILES = ["token", "stored_tokens", "hfl_profiles.json"]


def save(name: str, token: str) -> None:
    record = Record("http://127.0.0.1:1", "file", name, None)
    TokenStore().save(name, record, Secret(token))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system as the place for tokens, or mount it anew with other options."""
    mounted: List[Path] = []
    place = tmp_path / "disk"

    def mount(options: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root may mount")
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        answer = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        if answer.returncode:
            pytest.skip(f"mounting is not allowed here: {answer.stderr.decode().strip()}")
        if not mounted:
            mounted.append(place)
        return place

    monkeypatch.setenv("HF_HOME", str(place))
    yield mount
    for directory in mounted:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(name, store, hub, ann):
    store.mkdir(parents=True)
    os.mkfifo(store / name, 0o600)
    with pytest.raises(PermissionDeniedError, match="no regular file"):
        AuthManager(endpoint=hub.endpoint).credential()
    with pytest.raises(PermissionDeniedError, match="no regular file"):
        AuthManager(endpoint=hub.endpoint).login(ann, profile="work")
    assert {each.name for each in store.iterdir() if each.is_file()} <= {"stored_tokens.lock"}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_noticed_before_anything_is_written(name, store):
    save("work", TOKEN)
    if (store / name).exists():
        (store / name).unlink()
    (store / name).mkdir()
    before = contents(store)
    with pytest.raises(PermissionDeniedError, match="no regular file"):
        save("home", OTHER)
    assert contents(store) == before


def test_the_null_device_holds_no_token_and_is_never_replaced(monkeypatch, hub):
    monkeypatch.setenv("HF_TOKEN_PATH", os.devnull)
    assert AuthManager(endpoint=hub.endpoint).credential().token is None
    with pytest.raises(PermissionDeniedError, match="no regular file"):
        save("work", TOKEN)
    assert not Path(os.devnull).is_file()


def test_a_file_in_place_of_the_folder_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    with pytest.raises(PermissionDeniedError, match="cannot be written: File exists"):
        save("work", TOKEN)


def test_on_a_read_only_disk_tokens_are_read_and_changes_refused(disk):
    place = disk("size=1m")
    save("work", TOKEN)
    save("home", OTHER)
    before = contents(place)
    disk("remount,ro")
    assert AuthManager("work").credential().token == TOKEN
    for change in (
        lambda: save("new", TOKEN),
        lambda: AuthManager().switch("work"),
        lambda: AuthManager().logout("work"),
    ):
        with pytest.raises(PermissionDeniedError, match="Read-only file system"):
            change()
    assert contents(place) == before


@pytest.mark.parametrize("pages", range(5))
def test_a_disk_that_fills_up_leaves_every_token_with_its_hub(pages, disk):
    place = disk("size=128k")
    save("work", TOKEN)
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    if pages:
        os.truncate(filler, filler.stat().st_size - pages * 4096)
    try:
        save("home", OTHER)
    except DiskSpaceError:
        assert [each.name for each in AuthManager().profiles()] == ["work"]
    for profile in AuthManager().profiles():
        assert profile.endpoint == "http://127.0.0.1:1"
    assert AuthManager("work").credential().token == TOKEN
    assert not [each for each in place.iterdir() if each.name.endswith(".tmp")]
    filler.unlink()
    save("home", OTHER)
    assert AuthManager("home").credential().token == OTHER
