"""Files that are complete or not there."""

from __future__ import annotations

import array
import contextlib
import errno
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

from hfl_core import (
    DiskSpaceError,
    Files,
    HflError,
    PermissionDeniedError,
    new_digest,
    read_secret,
    require_free_space,
    translated_os_errors,
    write_atomically,
    write_secret,
)

Log = List[Tuple[str, str]]


class FailAt:
    """Fails the n-th operation, counted from 1."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.log: Log = []

    def __call__(self, operation: str, path: Path) -> None:
        self.log.append((operation, path.name))
        if len(self.log) == self.n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def in_a_child(function: Callable[[], Any]) -> int:
    """Run a function in a fork, and return how that one ended."""
    with warnings.catch_warnings():
        # Newer Pythons warn of forks of processes with threads; a test runner's have nothing to do here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:  # the status tells
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_flushed_before_the_block_ends(tmp_path: Path) -> None:
    log: Log = []
    files = Files(lambda operation, path: log.append((operation, path.name)))
    with files.create(tmp_path / "a") as writer:
        writer.write(b"one")
        writer.write(b"two")
        assert log[-1] == ("write", "a")
    assert log == [("create", "a"), ("write", "a"), ("write", "a"), ("fsync", "a")]
    assert writer.size == 6
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_a_file_that_exists_is_not_created_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        Files().write_bytes(path, b"other")
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o644])
def test_a_file_has_its_permissions_from_the_start(tmp_path: Path, bits: int) -> None:
    seen: List[int] = []
    path = tmp_path / "a"

    def look(_: str, path: Path) -> None:
        if path.exists():
            seen.append(mode(path))

    files = Files(look)
    files.write_bytes(path, b"x", mode=bits)
    assert set(seen) == {bits}
    path.chmod(0o644)
    files.replace_bytes(path, b"y", mode=bits)
    assert mode(path) == bits


def test_large_and_empty_buffers_are_written_and_digested_whole(tmp_path: Path) -> None:
    data = array.array("d", range(1_500_000))  # 12 MB: several pieces
    fast, slow = new_digest(), new_digest("sha256")
    log: Log = []
    with Files(lambda operation, path: log.append((operation, path.name))).create(
        tmp_path / "a"
    ) as writer:
        writer.write(b"")
        writer.write(data, fast, slow)
        writer.write(memoryview(b"tail"), fast, slow)
    expected = data.tobytes() + b"tail"
    assert (tmp_path / "a").read_bytes() == expected
    assert writer.size == len(expected)
    assert slow.hexdigest() == hashlib.sha256(expected).hexdigest()
    whole = new_digest()
    whole.update(expected)
    assert fast.hexdigest() == whole.hexdigest()
    assert [entry[0] for entry in log].count("write") == 4


def test_a_write_that_the_system_cuts_short_goes_on_and_then_fails_at_the_limit(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        with pytest.raises(OSError, match="File too large") as caught, Files().create(path) as w:
            w.write(bytes(3_000_000))
        assert caught.value.errno == errno.EFBIG
        # The kernel wrote up to the limit, said so, and refused the rest.
        assert w.size == 1_000_000

    assert in_a_child(write) == 0
    assert path.stat().st_size == 1_000_000


@pytest.mark.parametrize("old", [b"the old content", None])
def test_replacing_fails_at_any_operation_with_the_old_content_or_the_new(
    tmp_path: Path, old: Any
) -> None:
    path = tmp_path / "note"
    seen = set()
    for n in range(1, 20):
        if path.exists():
            path.unlink()
        if old is not None:
            path.write_bytes(old)
        observer = FailAt(n)
        with contextlib.suppress(OSError):
            Files(observer).replace_bytes(path, b"the new content")
        content = path.read_bytes() if path.exists() else None
        assert content in (old, b"the new content")
        assert [item.name for item in tmp_path.iterdir()] == ([] if content is None else ["note"])
        seen.add(content)
        if len(observer.log) < n:
            break
    assert [entry[0] for entry in observer.log] == ["create", "write", "fsync", "replace", "fsync"]
    assert seen == {old, b"the new content"}


def test_replacing_is_killed_at_any_operation_with_the_old_content_or_the_new(
    tmp_path: Path,
) -> None:
    path = tmp_path / "note"
    found = []
    for n in range(1, 20):
        path.write_bytes(b"old")
        count = [0]

        def die(operation: str, _: Path, n: int = n, count: List[int] = count) -> None:
            count[0] += 1
            if count[0] == n:
                os.kill(os.getpid(), signal.SIGKILL)

        status = in_a_child(lambda die=die: Files(die).replace_bytes(path, b"new"))  # type: ignore[misc]
        found.append(path.read_bytes())
        if not os.WIFSIGNALED(status):
            break
    assert found == [b"old"] * 4 + [b"new"] * 2


def test_replacing_flushes_the_file_before_and_the_directory_after(tmp_path: Path) -> None:
    log: Log = []
    Files(lambda operation, path: log.append((operation, path.name))).replace_bytes(
        tmp_path / "note", b"x"
    )
    operations = [operation for operation, _ in log]
    assert operations == ["create", "write", "fsync", "replace", "fsync"]
    assert log[3] == ("replace", "note")
    assert log[4] == ("fsync", tmp_path.name)


def test_missing_parents_are_made_and_flushed_one_by_one(tmp_path: Path) -> None:
    log: List[Tuple[str, Path]] = []
    files = Files(lambda operation, path: log.append((operation, path)))
    files.ensure_directory(tmp_path / "a" / "b")
    assert log == [
        ("mkdir", tmp_path / "a"),
        ("fsync", tmp_path),
        ("mkdir", tmp_path / "a" / "b"),
        ("fsync", tmp_path / "a"),
    ]
    files.ensure_directory(tmp_path / "a" / "b")
    assert len(log) == 4


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    Files().make_directory(tmp_path / "a")
    with pytest.raises(FileExistsError):
        Files().make_directory(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        Files().make_directory(tmp_path / "b" / "c")


def test_a_move_flushes_both_directories_and_replaces_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "from" / "x", tmp_path / "to" / "x"
    source.mkdir(parents=True)
    target.mkdir(parents=True)
    (source / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        Files().move(source, target)
    assert (source / "file").read_text() == "mine"
    target.rmdir()
    log: Log = []
    Files(lambda operation, path: log.append((operation, path.name))).move(source, target)
    assert log == [("rename", "x"), ("fsync", "to"), ("fsync", "from")]
    assert (target / "file").read_text() == "mine"
    assert not source.exists()


def test_a_dangling_link_is_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        Files().move(tmp_path / "x", tmp_path / "link")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_move_that_fails_leaves_the_old_name(tmp_path: Path, n: int) -> None:
    (tmp_path / "to").mkdir()
    source = tmp_path / "from" / "x"
    source.mkdir(parents=True)
    with pytest.raises(OSError, match="No space left"):
        Files(FailAt(n)).move(source, tmp_path / "to" / "x")
    assert source.is_dir()
    assert list((tmp_path / "to").iterdir()) == []


def test_a_tree_is_removed_with_its_read_only_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    Files().write_bytes(tree / "inner" / "file", b"x")
    Files().protect(tree / "inner" / "file")
    assert mode(tree / "inner" / "file") == 0o444
    Files().remove_tree(tree)
    assert not tree.exists()


def test_flushing_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Files().sync_directory(tmp_path / "gone")


@pytest.mark.parametrize(
    ("data", "expected"), [("käse", "käse".encode()), (b"\x00\xff", b"\x00\xff")]
)
def test_text_and_bytes_are_written_at_once(tmp_path: Path, data: Any, expected: bytes) -> None:
    path = tmp_path / "note"
    path.write_text("old")
    write_atomically(str(path), data, mode=0o600)
    assert path.read_bytes() == expected
    assert mode(path) == 0o600


def test_writing_where_there_is_no_directory_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "missing" / "note", "x")
    assert not isinstance(caught.value, HflError)


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "config" / "hfl" / "token"
    write_secret(path, "hf_ä")
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert read_secret(path) == "hf_ä"
    path.chmod(0o644)
    write_secret(path, "hf_new")
    assert mode(path) == 0o600
    assert read_secret(path) == "hf_new"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "token"
    write_secret(path, "hf_private")
    path.chmod(bits)
    with pytest.raises(PermissionDeniedError, match="Others on this machine can read") as caught:
        read_secret(path)
    assert caught.value.hint == f"Make it private: chmod 600 {str(path)!r}"
    assert "hf_private" not in str(caught.value)
    command = str(caught.value.hint).split(": ", 1)[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert read_secret(path) == "hf_private"


def test_a_secret_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path / "token")


def test_room_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    require_free_space(tmp_path, 1, purpose="a note")
    with pytest.raises(DiskSpaceError) as caught:
        require_free_space(tmp_path, 1 << 60, purpose="a very large note")
    assert "1,152,921,504,606,846,976 bytes are needed for a very large note" in str(caught.value)
    assert repr(str(tmp_path)) in caught.value.message
    assert caught.value.required == 1 << 60
    assert caught.value.available is not None
    assert caught.value.available > 0
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, DiskSpaceError),
        (errno.EDQUOT, DiskSpaceError),
        (errno.EFBIG, DiskSpaceError),
        (errno.EACCES, PermissionDeniedError),
        (errno.EPERM, PermissionDeniedError),
        (errno.EROFS, PermissionDeniedError),
    ],
)
@pytest.mark.parametrize("filename", ["/data/x", None])
def test_errors_about_space_and_rights_become_ours(code: int, expected: Any, filename: Any) -> None:
    cause = OSError(code, os.strerror(code), filename)
    with pytest.raises(expected) as caught, translated_os_errors("save step 500"):
        raise cause
    place = " (/data/x)" if filename else ""
    assert caught.value.message == f"Could not save step 500: {os.strerror(code)}{place}."
    assert caught.value.hint
    assert caught.value.__cause__ is cause
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "broken"),
        FileNotFoundError(errno.ENOENT, "gone"),
        OSError("no number"),
        ValueError("other"),
        DiskSpaceError("ours already"),
        PermissionDeniedError("ours already"),
    ],
)
def test_all_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translated_os_errors("save step 500"):
        raise error
    assert caught.value is error


def test_a_process_that_is_killed_between_writes_leaves_no_half_note(tmp_path: Path) -> None:
    """Kill a program that replaces one file over and over, and look at what it holds."""
    path = tmp_path / "note"
    program = textwrap.dedent("""
        import sys
        from hfl_core import write_atomically
        write_atomically(sys.argv[1], "0" * 200_000)
        print("begun", flush=True)
        for n in range(1, 10**9):
            write_atomically(sys.argv[1], str(n % 10) * 200_000)
        """)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            for _ in range(20):
                content = path.read_text()
                assert len(content) == 200_000
                assert len(set(content)) == 1
            process.kill()
        content = path.read_text()
        assert len(content) == 200_000
        assert len(set(content)) == 1


# ---- sharing content ------------------------------------------------------------------------------


def shared(source: Path, target: Path, files: Files | None = None) -> bool:
    with source.open("rb") as file:
        return (files or Files()).share(file, target)


def test_a_file_is_shared_without_being_written_again(tmp_path: Path) -> None:
    source, target = tmp_path / "old", tmp_path / "new"
    source.write_bytes(b"content")
    assert shared(source, target)
    assert target.read_bytes() == b"content"
    source.unlink()
    assert target.read_bytes() == b"content"


def test_a_name_that_is_taken_is_not_shared_over(tmp_path: Path) -> None:
    source, target = tmp_path / "old", tmp_path / "new"
    source.write_bytes(b"content")
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        shared(source, target)
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_share_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(code, os.strerror(code))

    source = tmp_path / "old"
    source.write_bytes(b"content")
    monkeypatch.setattr(os, "link", refuse)
    assert not shared(source, tmp_path / "new")
    assert os.listdir(tmp_path) == ["old"]


def test_a_full_disk_while_sharing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = tmp_path / "old"
    source.write_bytes(b"content")
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        shared(source, tmp_path / "new")


def test_a_file_that_took_the_name_of_the_opened_one_is_not_shared(tmp_path: Path) -> None:
    source = tmp_path / "old"
    source.write_bytes(b"content")
    with source.open("rb") as file:
        source.unlink()
        assert not Files().share(file, tmp_path / "new"), "it is gone"
        source.write_bytes(b"something else")
        assert not Files().share(file, tmp_path / "new"), "it is another one"
    assert os.listdir(tmp_path) == ["old"]


@pytest.fixture
def cloning(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the kernel's request to clone copy the content: most file systems here cannot clone."""
    if sys.platform != "linux":
        pytest.skip("cloning is asked for on Linux alone")
    import fcntl

    asked: list[int] = []

    def ioctl(target: int, request: int, source: int) -> int:
        asked.append(request)
        os.write(target, os.pread(source, 1 << 20, 0))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return asked


def test_where_a_file_can_be_cloned_it_is_a_file_of_its_own(
    tmp_path: Path, cloning: list[int]
) -> None:
    source, target = tmp_path / "old", tmp_path / "new"
    source.write_bytes(b"content")
    log: list[tuple[str, str]] = []
    files = Files(lambda operation, path: log.append((operation, path.name)))
    assert shared(source, target, files)
    assert cloning == [0x40049409]  # FICLONE, from linux/fs.h
    assert log == [("clone", "new"), ("fsync", "new")]
    assert not os.path.samefile(source, target)
    assert target.read_bytes() == b"content"
    with pytest.raises(FileExistsError):
        shared(source, target, files)


def test_whether_files_can_be_cloned_is_asked_once(tmp_path: Path) -> None:
    source = tmp_path / "old"
    source.write_bytes(b"content")
    log: list[str] = []
    files = Files(lambda operation, _: log.append(operation))
    assert shared(source, tmp_path / "one", files)
    if not os.path.samefile(source, tmp_path / "one"):
        pytest.skip("this file system can clone")
    assert shared(source, tmp_path / "two", files)
    assert log.count("clone") <= 1
    assert log.count("link") == 2


def test_an_error_while_cloning_leaves_no_half_of_a_file(
    tmp_path: Path, cloning: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(operation: str, path: Path) -> None:
        if operation == "fsync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = tmp_path / "old"
    source.write_bytes(b"content")
    with pytest.raises(OSError, match="Input/output"):
        shared(source, tmp_path / "new", Files(full))
    assert os.listdir(tmp_path) == ["old"]
