"""The judge: it finds every difference between two runs, and none where there is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hf_lifecycle._demo.comparison import compare_runs
from hf_lifecycle._demo.conductor import Training
from hf_lifecycle._demo.publication import Arrival, Publication
from hf_lifecycle._demo.report import report_on, require_identical, show
from hfl_core import HflError, NotFoundError
from hfl_core.cli import Output


def newest(run: Path) -> Path:
    return sorted(path.parent for path in run.glob("step-*/manifest.json"))[-1]


def overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def test_two_runs_of_the_same_training_are_identical(make_run):
    comparison = compare_runs(make_run("a"), make_run("b"))
    assert comparison.is_identical
    assert comparison.differences == []
    assert {part.name: part.kind for part in comparison.components} == {
        "model": "model",
        "counter": "mapping",
    }
    assert all(part.digests and part.bytes > 0 for part in comparison.components)


def test_only_the_last_checkpoint_counts(make_run):
    assert compare_runs(make_run("a", steps=(1, 2, 3)), make_run("b", steps=(3,))).is_identical


def test_one_other_weight_is_found_and_named(make_run):
    comparison = compare_runs(make_run("a"), make_run("b", weight=0.5 + 1e-7))
    assert not comparison.is_identical
    assert "model: model.safetensors differs" in comparison.differences
    assert [part.is_identical for part in comparison.components] == [False, True]


def test_a_bit_that_flipped_on_disk_is_found_though_the_manifests_agree(make_run):
    first, second = make_run("a"), make_run("b")
    file = newest(second) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    overwrite(file, bytes(content))
    comparison = compare_runs(first, second)
    assert not comparison.is_identical
    assert comparison.differences == [
        f"b/{newest(second).name}/model.safetensors is not what its manifest says"
    ]


def test_a_file_that_is_gone_is_found(make_run):
    first, second = make_run("a"), make_run("b")
    (newest(first) / "model.safetensors").unlink()
    assert compare_runs(first, second).differences == [
        f"a/{newest(first).name}/model.safetensors is missing"
    ]


def test_a_component_that_one_lacks_is_found(make_run):
    lean, rich = make_run("a"), make_run("b", extra={"x": 1})
    assert compare_runs(lean, rich).differences == ["extra: the first run does not have it"]
    assert compare_runs(rich, lean).differences == ["extra: the second run does not have it"]


def test_a_component_with_another_file_is_found(make_run):
    first, second = make_run("a"), make_run("b")
    manifest = newest(second) / "manifest.json"
    document = json.loads(manifest.read_bytes())
    document["components"]["counter"]["files"] = []
    overwrite(manifest, json.dumps(document).encode())
    [difference] = compare_runs(first, second).differences
    assert difference.startswith("counter: only the first has state/counter")
    [difference] = compare_runs(second, first).differences
    assert difference.startswith("counter: only the second has state/counter")


def test_runs_of_other_length_differ(make_run):
    differences = compare_runs(make_run("a", steps=(1,)), make_run("b", steps=(1, 2))).differences
    assert "the runs ended at different steps, 1 and 2" in differences


def test_a_directory_without_checkpoints_cannot_be_compared(make_run, tmp_path):
    with pytest.raises(NotFoundError, match="no checkpoint in"):
        compare_runs(make_run("a"), tmp_path / "nothing")


PUBLISHED = Publication(
    "demo/digits", "step-00000002", "c" * 40, bytes=10, identical=True, accuracy=0.9
)


ARRIVED = Arrival("step-00000002", step=2, accuracy=0.9, identical=True)


@pytest.mark.parametrize("change", [{"identical": False}, {"accuracy": 0.8}])
def test_a_run_that_arrives_different_makes_the_demo_fail(make_run, change):
    killed = Training(run=make_run("a"), steps=2, accuracy=0.9, kept=[], kills=[])
    undisturbed = Training(run=make_run("b"), steps=2, accuracy=0.9, kept=[], kills=[])
    arrived = dataclasses.replace(ARRIVED, **change)
    report = report_on(killed, undisturbed, PUBLISHED, arrived, seed=5, directory=None, seconds=1.0)
    assert report.differences == ["the run that was resumed from the local Hub differs"]


def test_a_model_that_comes_back_different_makes_the_demo_fail(make_run):
    killed = Training(run=make_run("a"), steps=2, accuracy=0.9, kept=[], kills=[])
    undisturbed = Training(run=make_run("b"), steps=2, accuracy=0.9, kept=[], kills=[])
    other = dataclasses.replace(PUBLISHED, identical=False)
    report = report_on(killed, undisturbed, other, ARRIVED, seed=5, directory=None, seconds=1.0)
    assert report.differences == ["the model that came back from the local Hub differs"]


def judged(first: Path, second: Path):
    killed = Training(run=first, steps=2, accuracy=0.9, kept=[], kills=[])
    undisturbed = Training(run=second, steps=2, accuracy=0.9, kept=[], kills=[])
    return report_on(killed, undisturbed, PUBLISHED, ARRIVED, seed=5, directory=None, seconds=1.0)


def test_a_tampered_run_makes_the_demo_fail(make_run, capsys):
    first, second = make_run("a"), make_run("b")
    require_identical(judged(first, second))
    overwrite(newest(first) / "model.safetensors", b"something else")
    report = judged(first, second)
    assert not report.identical
    show(report, Output("table"))
    assert "DIFFERENT: a/" in capsys.readouterr().out
    with pytest.raises(HflError, match="did not end with the same bits") as caught:
        require_identical(report)
    assert caught.value.exit_code == 1
    assert "--seed 5" in str(caught.value.hint)


def test_another_accuracy_makes_the_demo_fail(make_run):
    killed = Training(run=make_run("a"), steps=2, accuracy=0.9, kept=[], kills=[])
    undisturbed = Training(run=make_run("b"), steps=2, accuracy=0.8, kept=[], kills=[])
    report = report_on(killed, undisturbed, PUBLISHED, ARRIVED, seed=5, directory=None, seconds=1.0)
    assert report.differences == ["the accuracy on the test images differs"]
