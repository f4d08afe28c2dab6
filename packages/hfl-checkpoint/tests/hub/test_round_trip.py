"""From one machine to the Hub and to another machine, bit for bit."""

from __future__ import annotations

import huggingface_hub.constants
import pytest

from hfl_checkpoint import CheckpointManager


def test_what_was_saved_is_on_the_hub_in_one_commit_each(train, remote) -> None:
    train(1)
    assert remote.names == ["step-00000001"]
    assert remote.latest["latest"] == "step-00000001"
    assert remote.titles[-1] == "Publish step-00000001"
    assert ".gitattributes" in remote.files


@pytest.mark.parametrize("is_xet_off", [True, False])
def test_an_empty_machine_goes_on_where_the_other_one_stopped(
    train, live, name, tmp_path, run_path, monkeypatch, is_xet_off
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", is_xet_off)
    train(1, 2)
    other = live()
    with CheckpointManager(tmp_path / "elsewhere", hub=name) as manager:
        report = manager.resume(**other.components)
    assert report.checkpoint.step == 2
    assert other.stands_at == 2
    assert report.warnings == ()
    for path in (run_path / "step-00000002").rglob("*"):
        if path.is_file():
            twin = tmp_path / "elsewhere" / path.relative_to(run_path)
            assert twin.read_bytes() == path.read_bytes()
