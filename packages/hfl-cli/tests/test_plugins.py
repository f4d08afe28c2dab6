from __future__ import annotations

import pickle
from importlib import metadata

import click
import pytest

import hfl_cli
from hfl_cli._plugins import GROUP, Plugin, PluginError, installed_plugins
from hfl_cli.cli import ComposedGroup, UnavailableCommand, hfl
from hfl_core import HflError, MissingExtraError


def test_the_package_exports_its_version_and_nothing_else():
    assert hfl_cli.__all__ == ["__version__"]


def test_a_plugin_loads_a_command_by_its_path():
    assert Plugin("hfl", "hfl_cli.cli:hfl", "hfl-cli").load() is hfl


def test_a_plugin_that_cannot_be_loaded_says_why_and_keeps_the_cause():
    plugin = Plugin("x", "no_such_module_here.cli:x", "x-dist")
    with pytest.raises(PluginError) as caught:
        plugin.load()
    assert caught.value.plugin == plugin
    assert caught.value.reason == "the module 'no_such_module_here' is not installed"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert isinstance(caught.value, HflError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_installed_commands_are_found_without_importing_them():
    expected = {
        e.name for d in metadata.distributions() for e in d.entry_points if e.group == GROUP
    }
    assert set(installed_plugins()) == expected
    assert list(installed_plugins()) == sorted(expected)


def test_the_group_knows_a_command_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    group = ComposedGroup("hfl")
    monkeypatch.setitem(vars(group), "plugins", {})
    with click.Context(group) as ctx:
        command = group.get_command(ctx, "model")
        assert isinstance(command, UnavailableCommand)
        with pytest.raises(MissingExtraError, match="pip install 'hfl-registry'"):
            command.make_context("model", [])
        assert group.get_command(ctx, "nonsense") is None
        assert group.list_commands(ctx) == []


def test_the_help_in_this_process_has_all_sections(monkeypatch: pytest.MonkeyPatch):
    group = ComposedGroup("hfl")
    good = Plugin("good", "hfl_cli.cli:hfl", "good")
    bad = Plugin("bad", "no_such_module_here:x", "bad")
    monkeypatch.setitem(vars(group), "plugins", {"good": good, "bad": bad})
    with click.Context(group, info_name="hfl", max_content_width=200, terminal_width=200) as ctx:
        text = group.get_help(ctx)
    assert "Commands:\n  good  Save, find, prove and publish" in text
    assert "Unavailable:\n  bad  the module 'no_such_module_here' is not installed" in text


def test_a_command_of_the_group_itself_comes_before_plugins(monkeypatch: pytest.MonkeyPatch):
    group = ComposedGroup("hfl")
    own = click.Command("own")
    group.add_command(own)
    monkeypatch.setitem(vars(group), "plugins", {})
    with click.Context(group) as ctx:
        assert group.get_command(ctx, "own") is own
        assert group.list_commands(ctx) == ["own"]
