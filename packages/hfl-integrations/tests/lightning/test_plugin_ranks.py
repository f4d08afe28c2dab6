"""The plugin, of which Lightning calls the first process's only, says so instead of waiting for the others."""

from __future__ import annotations


def test_a_plugin_among_several_processes_is_refused(run, tmp_path) -> None:
    first, second = run(ranks=2, joins=True, plugin_alone=True, fails=True)
    assert first["error"]["type"] == "ConfigError"
    assert "several train here" in first["error"]["text"]
    assert second["error"] is None
    assert not (tmp_path / "one").exists()
