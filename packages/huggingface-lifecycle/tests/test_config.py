"""``hfl config``: what holds, where it comes from, and changes that leave the rest of a file alone."""

from __future__ import annotations

import json

import pytest

from hf_lifecycle._config import list_settings, set_setting, setting_files, unset_setting
from hfl_core import ConfigError, NotFoundError, Settings, load_settings, settings_files

HAND_WRITTEN = """\
# our cluster
timeout = 20  # its network is slow

[notes]
"a key" = 1
"""


def test_every_setting_is_listed_with_where_it_comes_from(folder, monkeypatch):
    (folder / "hfl.toml").write_text("timeout = 20\n", encoding="utf-8")
    monkeypatch.setenv("HFL_KEEP", "last:2")
    rows = {row["name"]: row for row in list_settings(folder)}
    assert list(rows) == [row.name for row in Settings.fields()]
    assert (rows["timeout"]["value"], rows["timeout"]["source"]) == (20.0, str(folder / "hfl.toml"))
    assert rows["keep"]["source"] == "environment variable HFL_KEEP"
    assert rows["color"]["source"] == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("timeout", "60", 60.0),
        ("retry_attempts", "3", 3),
        ("progress", "off", False),
        ("keep", "last:3 | best:loss", "last:3 | best:loss"),
        ("profile", 'a "quoted" näme', 'a "quoted" näme'),
        ("log_level", "DEBUG", "debug"),
    ],
)
def test_what_is_set_holds_and_stands_in_the_file_once(name, text, value, folder):
    for _ in range(2):
        row = set_setting(folder, name, text)
        assert (row["value"], row["source"]) == (value, row["file"])
    assert row["file"] == str(folder / "hfl.toml")
    assert getattr(load_settings(folder), name) == value
    assert (folder / "hfl.toml").read_text("utf-8").count(f"\n{name} = ") == 1


def test_a_folder_below_uses_the_file_above(folder):
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (folder / "hfl.toml").write_text("timeout = 5\n", encoding="utf-8")
    assert set_setting(below, "timeout", "6")["file"] == str(folder / "hfl.toml")
    assert not (below / "hfl.toml").exists()


def test_the_users_file_is_made_with_its_folder_and_holds_everywhere(folder, tmp_path):
    set_setting(folder, "timeout", "9", for_user=True)
    assert not (folder / "hfl.toml").exists()
    assert load_settings(tmp_path).timeout == 9.0
    rows = {row["what"]: row for row in setting_files(folder)}
    assert rows["user"] == {
        "what": "user",
        "path": str(settings_files(folder).user),
        "exists": True,
    }
    assert rows["project"]["exists"] is False


def test_the_rest_of_a_file_stays_as_it_was_to_the_byte(folder):
    text = HAND_WRITTEN.split("\n[", maxsplit=1)[0].replace("\n", "\r\n")
    path = folder / "hfl.toml"
    path.write_bytes(text.encode())
    set_setting(folder, "timeout", "30")
    assert path.read_bytes().decode() == text.replace("timeout = 20", "timeout = 30.0")
    set_setting(folder, "keep", "last:1")
    unset_setting(folder, "keep")
    assert path.read_bytes().decode() == text.replace("timeout = 20", "timeout = 30.0")
    assert unset_setting(folder, "timeout")["source"] == "default"
    assert path.read_bytes().decode() == "# our cluster\r\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tmeout", "5", "Did you mean 'timeout'"),
        ("timeout", "never", "not a number of seconds"),
        ("timeout", "-1", "not a number of seconds"),
        ("keep", "lst:3", "no policy 'lst'"),
        ("progress", "maybe", "not true or false"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(name, text, message, folder):
    with pytest.raises(ConfigError) as caught:
        set_setting(folder, name, text)
    assert message in f"{caught.value.message} {caught.value.hint}"
    assert not (folder / "hfl.toml").exists()


@pytest.mark.parametrize("content", ["timeout = ", HAND_WRITTEN, "tmeout = 5\n"])
def test_a_file_that_is_wrong_is_named_and_left_alone(content, folder):
    path = folder / "hfl.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"hfl\.toml"):
        set_setting(folder, "timeout", "5")
    assert path.read_text("utf-8") == content


def test_what_a_file_does_not_set_cannot_be_taken_out_of_it(folder, monkeypatch):
    monkeypatch.setenv("HFL_TIMEOUT", "5")
    with pytest.raises(NotFoundError) as caught:
        unset_setting(folder, "timeout")
    assert "environment variable HFL_TIMEOUT" in str(caught.value.hint)


def test_the_command_writes_for_scripts_and_for_people(folder, hfl):
    assert hfl("config", "get", "timeout").stdout == "30.0\n"
    assert hfl("config", "get", "progress").stdout == "true\n"
    assert hfl("config", "get", "keep").stdout == "\n"
    said = json.loads(hfl("config", "set", "timeout", "7", "--format", "json").stdout)
    assert said["file"] == str(folder / "hfl.toml")
    assert json.loads(hfl("config", "get", "timeout", "--format", "json").stdout)["value"] == 7.0
    assert "timeout" in hfl("config", "list").stdout
    assert "hfl.toml" in hfl("config", "path").stdout
    assert "Did you mean 'timeout'" in hfl("config", "get", "tmeout", code=2).stderr


def test_a_stronger_source_is_pointed_out(folder, hfl, monkeypatch):
    monkeypatch.setenv("HFL_TIMEOUT", "5")
    assert (
        "environment variable HFL_TIMEOUT, which is stronger"
        in hfl("config", "set", "timeout", "7").stderr
    )
