"""Damage of every kind is found and named before a live object is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, List

import pytest
import torch

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    CheckpointNotFoundError,
    UnsupportedFormatError,
    _canonical,
)
from hfl_checkpoint._verify import verify
from hfl_core import ConfigError

FILES = [
    "model.safetensors",
    "state/model.json",
    "state/optimizer.safetensors",
    "state/optimizer.json",
    "state/counters.json",
    "metadata.json",
    "manifest.json",
]


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # Near the end of a tensor file are its tensors.
    data[-3 if path.suffix == ".safetensors" else len(data) * 3 // 4] ^= 0x10
    rewrite(path, bytes(data))


def truncate(path: Path) -> None:
    rewrite(path, path.read_bytes()[:-3])


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    rewrite(path, b"")


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.fixture
def three(open_manager: Any, live: Any, run_path: Path) -> Path:
    """A run with the checkpoints 10, 20 and 30; the newest one's directory."""
    manager = open_manager()
    for step in (10, 20, 30):
        manager.save(step, **live(step).components)
    return run_path / "step-00000030"


def test_the_files_of_the_tests_are_all_that_a_checkpoint_has(three: Path) -> None:
    found = sorted(p.relative_to(three).as_posix() for p in three.rglob("*") if p.is_file())
    assert found == sorted(FILES)


@pytest.mark.parametrize("damage", [flip, truncate, delete, empty])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_restored_whole(
    file: str,
    damage: Callable[[Path], None],
    three: Path,
    open_manager: Any,
    live: Any,
    run_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(three / file)
    is_gone = damage is delete and file == "manifest.json"
    manager = open_manager()
    state = live(99)
    report = manager.resume(**state.components)
    assert state.stands_at == 20
    assert report.checkpoint.name == "step-00000020"
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    if is_gone:  # then it is no checkpoint any more, and stays where it is
        assert report.quarantined == ()
        assert three.is_dir()
        return
    assert report.quarantined == ("step-00000030",)
    assert len(warnings) == 1
    assert file in warnings[0].getMessage()
    assert report.warnings == (warnings[0].getMessage(),)
    assert not three.exists()
    aside = [path.name for path in (run_path / ".quarantine").iterdir()]
    assert len(aside) == 1
    assert aside[0].startswith("step-00000030-")
    assert f".quarantine/{aside[0]}" in warnings[0].getMessage()
    assert manager.save(30, **live(30).components).name == "step-00000030"


def test_the_damaged_tensor_is_named(three: Path, open_manager: Any, live: Any) -> None:
    flip(three / "model.safetensors")
    report = open_manager().verify()
    assert [(problem.file, problem.tensor) for problem in report.problems] == [
        ("model.safetensors", "weight")
    ]
    assert "model.safetensors (tensor 'weight') does not have the content" in str(
        report.problems[0]
    )


@pytest.fixture
def large(open_manager: Any, run_path: Path) -> Path:
    """A checkpoint of two files that are worth a thread each."""
    weight = torch.zeros(3 << 20)
    open_manager().save(1, first={"weight": weight}, second={"weight": weight + 1})
    return run_path / "step-00000001"


def test_damage_in_large_files_is_found_in_each_of_them(large: Path) -> None:
    assert verify(large).ok
    flip(large / "state/second.safetensors")
    flip(large / "state/first.safetensors")
    assert {(item.file, item.tensor) for item in verify(large).problems} == {
        ("state/first.safetensors", "weight"),
        ("state/second.safetensors", "weight"),
    }


def test_large_files_are_verified_while_the_interpreter_ends(large: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from hfl_checkpoint._verify import verify

def check():
    threading.main_thread().join()
    print(verify(Path(sys.argv[1])).ok)

verify(Path(sys.argv[1]))
threading.Thread(target=check).start()
"""
    flip(large / "state/second.safetensors")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(large)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "False\n")


def test_damage_outside_the_tensors_names_the_file_alone(three: Path) -> None:
    path = three / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[8] ^= 0x01  # the header's first brace
    rewrite(path, bytes(data))
    assert [(item.file, item.tensor) for item in verify(three).problems] == [
        ("model.safetensors", None)
    ]


@pytest.mark.parametrize("damage", [flip, truncate, delete, empty, replace_by_directory])
@pytest.mark.parametrize("file", FILES[:-1])
def test_strict_raises_for_a_damaged_newest_checkpoint_and_moves_nothing(
    file: str,
    damage: Callable[[Path], None],
    three: Path,
    open_manager: Any,
    live: Any,
    run_path: Path,
    tree: Any,
) -> None:
    damage(three / file)
    before = tree(run_path)
    state = live(99)
    with pytest.raises(CheckpointDamagedError, match=file) as caught:
        open_manager().restore("latest", strict=True, **state.components)
    assert caught.value.name == "step-00000030"
    assert state.stands_at == 99
    assert tree(run_path) == before


@pytest.mark.parametrize("damage", [flip, truncate, empty])
def test_strict_raises_for_a_damaged_manifest(
    damage: Callable[[Path], None],
    three: Path,
    open_manager: Any,
    live: Any,
    run_path: Path,
    tree: Any,
) -> None:
    damage(three / "manifest.json")
    before = tree(run_path)
    with pytest.raises(CheckpointDamagedError, match=r"manifest\.json"):
        open_manager().restore("latest", strict=True, **live().components)
    assert tree(run_path) == before


@pytest.mark.parametrize("file", FILES[:-1])
def test_asking_for_a_damaged_checkpoint_by_its_step_raises(
    file: str, three: Path, open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    flip(three / file)
    before = tree(run_path)
    state = live(99)
    with pytest.raises(CheckpointDamagedError, match=file):
        open_manager().restore(30, **state.components)
    with pytest.raises(CheckpointDamagedError, match=file):
        open_manager().load("step-00000030")
    assert state.stands_at == 99
    assert tree(run_path) == before


def test_a_checkpoint_whose_manifest_is_damaged_is_named_and_not_just_absent(
    three: Path, open_manager: Any, live: Any
) -> None:
    empty(three / "manifest.json")
    with pytest.raises(CheckpointDamagedError, match=r"manifest\.json is not valid JSON"):
        open_manager().restore("step-00000030", **live().components)
    with pytest.raises(CheckpointNotFoundError) as caught:
        open_manager().restore(30, **live().components)
    assert "There are step-00000010, step-00000020." in str(caught.value)
    assert "The manifest of step-00000030 is damaged." in str(caught.value)


@pytest.mark.parametrize("file", ["model.safetensors", "state/counters.json", "manifest.json"])
def test_when_all_are_damaged_nothing_is_moved_and_the_error_says_so(
    file: str, three: Path, open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    for name in ("step-00000010", "step-00000020", "step-00000030"):
        flip(run_path / name / file)
    before = tree(run_path)
    state = live(99)
    with pytest.raises(CheckpointDamagedError, match=file):
        open_manager().resume(**state.components)
    assert state.stands_at == 99
    assert tree(run_path) == before


def test_two_damaged_ones_are_both_set_aside(
    three: Path, open_manager: Any, live: Any, run_path: Path
) -> None:
    flip(three / "model.safetensors")
    delete(run_path / "step-00000020" / "state/optimizer.json")
    state = live()
    report = open_manager().resume(**state.components)
    assert state.stands_at == 10
    assert report.quarantined == ("step-00000030", "step-00000020")
    assert len(report.warnings) == 2


def edited(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        document = json.loads(path.read_text())
        change(document)
        rewrite(path, json.dumps(document).encode())

    return edit


def signed(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """Edit a manifest as somebody would who knows about its digest."""

    def edit(path: Path) -> None:
        document = json.loads(path.read_text())
        document.pop("self_digest")
        change(document)
        rewrite(path, _canonical.dump(document))

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edited(lambda d: d.update(step=40)), "does not match its own digest"),
        (edited(lambda d: d["files"].clear()), "does not match its own digest"),
        (edited(lambda d: d.pop("self_digest")), "does not match its own digest"),
        (signed(lambda d: d.pop("step")), "malformed"),
        (signed(lambda d: d.update(created_at="yesterday")), "malformed"),
        (
            signed(lambda d: d["files"][0].update(path="../../secret")),
            "leads out of the checkpoint",
        ),
        (signed(lambda d: d["files"][0].update(path="/etc/passwd")), "leads out of the checkpoint"),
        (signed(lambda d: d["files"].append(d["files"][0])), "lists a file twice"),
        (
            signed(lambda d: d["components"]["model"].update(files=["state/x.json"])),
            "is not listed",
        ),
        (signed(lambda d: d["components"]["model"].update(kind=["model"])), "is no text"),
        (signed(lambda d: d.update(format="2")), "its format is '2'"),
        (signed(lambda d: d.update(format=1.5)), "its format is 1.5"),
        (signed(lambda d: d.update(format=None)), "its format is None"),
        (lambda path: rewrite(path, b"[]"), "not a JSON object"),
        (lambda path: rewrite(path, b"\xff\xfe"), "not valid JSON"),
    ],
)
def test_an_edited_manifest_is_damage(
    edit: Callable[[Path], None],
    message: str,
    three: Path,
    open_manager: Any,
    live: Any,
) -> None:
    edit(three / "manifest.json")
    report = verify(three)
    assert not report.ok
    assert message in str(report.problems[0])
    state = live()
    assert open_manager().resume(**state.components).quarantined == ("step-00000030",)
    assert state.stands_at == 20


def test_a_newer_format_is_no_damage(
    three: Path, open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    edited(lambda document: document.update(format=2))(three / "manifest.json")
    before = tree(run_path)
    state = live(99)
    with pytest.raises(
        UnsupportedFormatError, match="has format 2; this version reads formats up to 1"
    ):
        open_manager().resume(**state.components)
    with pytest.raises(UnsupportedFormatError) as caught:
        verify(three)
    assert caught.value.hint == "Upgrade with: pip install --upgrade hfl-checkpoint"
    assert state.stands_at == 99
    assert tree(run_path) == before


def test_quick_looks_at_sizes_and_headers_and_full_at_every_byte(three: Path) -> None:
    flip(three / "model.safetensors")
    assert verify(three, "quick").ok
    assert not verify(three, "full").ok


@pytest.mark.parametrize("damage", [truncate, delete, empty])
@pytest.mark.parametrize("file", FILES)
def test_quick_finds_what_is_missing_or_has_another_size(
    file: str, damage: Callable[[Path], None], three: Path
) -> None:
    damage(three / file)
    report = verify(three, "quick")
    assert report.level == "quick"
    assert [problem.file for problem in report.problems] == [file]


@pytest.mark.parametrize("level", ["quick", "full"])
@pytest.mark.parametrize(
    "header", [b"\xff" * 8, (2).to_bytes(8, "little") + b"[]", (3).to_bytes(8, "little") + b"{x}"]
)
def test_a_tensor_file_without_a_proper_header_is_damaged(
    header: bytes, level: Any, three: Path
) -> None:
    path = three / "model.safetensors"
    rewrite(path, header + path.read_bytes()[len(header) :])
    assert [problem.file for problem in verify(three, level).problems] == ["model.safetensors"]


def test_an_unknown_level_is_refused(three: Path) -> None:
    with pytest.raises(ConfigError, match="no verification level 'deep'"):
        verify(three, "deep")  # type: ignore[arg-type]  # what the test is about


def test_verifying_what_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert [str(problem) for problem in report.problems] == [
        "manifest.json is missing, so this is not a checkpoint"
    ]


def test_an_intact_checkpoint_has_no_problems(open_manager: Any, three: Path) -> None:
    manager = open_manager()
    found: List[Any] = [manager.verify(which) for which in (10, "step-00000020", "latest")]
    assert all(report.ok for report in found)
    assert [report.name for report in found] == ["step-00000010", "step-00000020", "step-00000030"]
    assert {report.level for report in found} == {"full"}


def test_the_name_of_the_manifest_is_said_once(tmp_path: Path) -> None:
    with CheckpointManager(tmp_path, background=False) as checkpoints:
        path = checkpoints.save(1, a={"x": 1}).path  # type: ignore[union-attr]  # there is one
        (path / "manifest.json").chmod(0o644)
        (path / "manifest.json").write_text("{")
        (report,) = checkpoints.verify_unreadable()

    (problem,) = report.problems
    assert str(problem).count("manifest.json") == 1
