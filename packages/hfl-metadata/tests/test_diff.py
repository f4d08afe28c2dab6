"""In what two runs differ, so that a person can read it."""

from __future__ import annotations

import dataclasses

import pytest

from hfl_metadata import (
    DurationInfo,
    GitInfo,
    GpuInfo,
    LauncherInfo,
    LockFileInfo,
    MetadataChange,
    PackageOrigin,
    capture,
)


@pytest.fixture
def base():
    return dataclasses.replace(
        capture(),
        git=GitInfo(commit="a" * 40, branch="main", dirty=False),
        packages={"numpy": "2.0", "torch": "2.4.0", "tqdm": "4.66"},
        origins={"numpy": PackageOrigin("editable", "file://~/numpy")},
        gpus=[GpuInfo(0, "H100", 80, "9.0", "550"), GpuInfo(1, "H100", 80, "9.0", "550")],
        lock_files=[LockFileInfo("uv.lock", "sha256:00")],
        hyperparameters={"lr": 0.1, "warmup.steps": 10, "betas": [0.9, 0.99], "nested": {"a": 1}},
        launcher=LauncherInfo(world_size=2, rank=0, details={"SLURM_JOB_ID": "1"}),
    )


def test_a_record_does_not_differ_from_itself(base):
    found = base.diff(base)
    assert not found
    assert len(found) == 0
    assert str(found) == "no differences"


def test_the_differences_are_a_list_by_section(base):
    other = dataclasses.replace(
        base,
        git=dataclasses.replace(base.git, commit="b" * 40, dirty=True),
        packages={"numpy": "2.0", "torch": "2.5.1", "rich": "13.7"},
        origins={},
        gpus=[dataclasses.replace(gpu, name="A100") for gpu in base.gpus[:1]],
        lock_files=[LockFileInfo("uv.lock", "sha256:11")],
        hyperparameters={
            "lr": 0.2,
            "warmup.steps": 20,
            "betas": [0.9, 0.95],
            "nested": {"a": True},
        },
        data={"name": "me/digits"},
    )
    assert str(base.diff(other)) == "\n".join(
        [
            "git",
            f"  commit  {'a' * 40} -> {'b' * 40}",
            "  dirty   no -> yes",
            "packages",
            "  torch  2.4.0 -> 2.5.1",
            "  tqdm   removed: 4.66",
            "  rich   added: 13.7",
            "gpus",
            "  [0].name  H100 -> A100",
            '  [1]       removed: {"name": "H100", "memory": 80, "compute_capability": "9.0", "driver":...',
            "hyperparameters",
            "  lr                0.1 -> 0.2",
            '  ["warmup.steps"]  10 -> 20',
            "  betas             [0.9, 0.99] -> [0.9, 0.95]",
            "  nested.a          1 -> yes",
            "data",
            '  data  none -> {"name": "me/digits"}',
            "origins",
            '  numpy  removed: {"kind": "editable", "url": "file://~/numpy", "commit": null, "revisi...',
            "lock_files",
            "  [uv.lock].digest  sha256:00 -> sha256:11",
        ]
    )


def test_what_no_two_runs_have_in_common_is_left_out_unless_it_is_asked_for(base):
    other = dataclasses.replace(
        base,
        captured_at="2024-05-01T12:00:00+00:00",
        durations=DurationInfo(wall=3.0),
        launcher=dataclasses.replace(base.launcher, rank=1, details={"SLURM_JOB_ID": "2"}),
    )
    assert not base.diff(other)
    paths = [change.path for change in base.diff(other, everything=True)]
    assert paths == ["captured_at", "launcher.rank", "launcher.details.SLURM_JOB_ID", "durations"]


def test_a_change_says_where_what_and_how(base):
    other = dataclasses.replace(
        base, extra={"note": "x"}, packages={**base.packages, "torch": "2.5"}
    )
    first, second = base.diff(other)
    assert first == MetadataChange("packages.torch", "changed", "2.4.0", "2.5")
    assert first.section == "packages"
    assert str(first) == "packages.torch 2.4.0 -> 2.5"
    assert second == MetadataChange("extra.note", "added", None, "x")
    assert str(second) == "extra.note added: x"


def test_long_values_that_differ_at_their_end_are_told_apart(base):
    one = dataclasses.replace(base, extra={"text": "x" * 100, "list": [0] * 50})
    other = dataclasses.replace(base, extra={"text": "x" * 101, "list": [0] * 51})
    said = str(one.diff(other))
    assert "(100 characters)" in said
    assert "(101 characters)" in said
    assert "(51 items)" in said


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, 0.0), (None, "none"), ([], {}), ("", None)]
)
def test_values_of_other_types_differ(base, one, other):
    pair = [dataclasses.replace(base, extra={"x": value}) for value in (one, other)]
    assert [change.path for change in pair[0].diff(pair[1])] == ["extra.x"]
    assert str(pair[0].diff(pair[1])).count("x") >= 1


def test_a_part_that_becomes_a_value_is_one_change(base):
    one = dataclasses.replace(base, data={"name": "a", "rows": 3})
    other = dataclasses.replace(base, data="b")
    assert [change.path for change in one.diff(other)] == ["data"]


def test_entries_with_one_name_are_compared_by_their_place(base):
    steps = [{"name": "crop", "size": 3}, {"name": "crop", "size": 5}]
    one = dataclasses.replace(base, data=steps)
    other = dataclasses.replace(base, data=[steps[0], {"name": "crop", "size": 7}])
    assert [change.path for change in one.diff(other)] == ["data[1].size"]


def test_a_patch_does_not_fill_the_screen(base):
    git = dataclasses.replace(base.git, patch="diff --git a/x b/x\n" * 1000)
    said = str(base.diff(dataclasses.replace(base, git=git)))
    assert len(said) < 200
    assert said.count("\n") == 1
