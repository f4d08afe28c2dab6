from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfl_core import (
    ConfigError,
    MissingExtraError,
    NotFoundError,
    Settings,
    SettingsFiles,
    load_settings,
    settings_files,
)
from hfl_core._settings_files import find_project_file, user_cache_dir, user_config_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home that no real setting reaches."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("HFL_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return folder


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write_user(home: Path, text: str) -> Path:
    path = home / "config" / "hfl" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold(project: Path):
    settings = load_settings()
    assert settings == Settings()
    assert {settings.source(row.name) for row in Settings.fields()} == {"default"}


def test_each_place_overrides_the_ones_below_it(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    def timeout_and_source(**arguments: object) -> tuple[float, str]:
        settings = load_settings(**arguments)  # type: ignore[arg-type]  # any setting
        return settings.timeout, settings.source("timeout")

    assert timeout_and_source() == (30, "default")
    user = write_user(home, "timeout = 1")
    assert timeout_and_source() == (1, str(user))
    (project / "hfl.toml").write_text("timeout = 2.5")
    assert timeout_and_source() == (2.5, str(project / "hfl.toml"))
    (project / ".env").write_text("HFL_TIMEOUT=3\n")
    assert timeout_and_source() == (3, f"HFL_TIMEOUT in '{project / '.env'}'")
    monkeypatch.setenv("HFL_TIMEOUT", "4")
    assert timeout_and_source() == (4, "environment variable HFL_TIMEOUT")
    assert timeout_and_source(timeout=5) == (5, "argument")
    assert timeout_and_source(timeout=None) == (4, "environment variable HFL_TIMEOUT")


def test_each_setting_is_resolved_on_its_own(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    write_user(home, 'profile = "me"\ncolor = "never"')
    (project / "hfl.toml").write_text('profile = "work"\n')
    monkeypatch.setenv("HFL_OFFLINE", "yes")
    settings = load_settings(retry_attempts=2)
    assert (settings.profile, settings.color, settings.offline, settings.retry_attempts) == (
        "work",
        "never",
        True,
        2,
    )


def test_the_nearest_project_file_is_used(project: Path):
    (project / "hfl.toml").write_text("timeout = 1")
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    assert load_settings(inner).timeout == 1
    (project / "a" / "hfl.toml").write_text("timeout = 2")
    assert load_settings(inner).timeout == 2


def test_the_root_of_a_repository_ends_the_search(project: Path):
    (project / "hfl.toml").write_text("timeout = 1")
    repo = project / "repo"
    (repo / ".git").mkdir(parents=True)
    (repo / "src").mkdir()
    assert find_project_file(repo / "src") is None
    (repo / "hfl.toml").write_text("timeout = 2")
    assert find_project_file(repo / "src") == repo / "hfl.toml"


def test_the_home_folder_ends_the_search(home: Path, project: Path):
    (home.parent / "hfl.toml").write_text("timeout = 1")
    assert find_project_file(project) is None
    (home / "hfl.toml").write_text("timeout = 2")
    assert find_project_file(project) == home / "hfl.toml"


@pytest.mark.skipif(os.name != "posix", reason="modes mean something else there")
def test_a_folder_that_everybody_may_write_to_ends_the_search(project: Path):
    shared = project / "shared"
    (shared / "mine").mkdir(parents=True)
    (shared / "hfl.toml").write_text("timeout = 1")
    assert find_project_file(shared / "mine") == shared / "hfl.toml"
    shared.chmod(0o1777)
    assert find_project_file(shared / "mine") is None
    assert find_project_file(shared) == shared / "hfl.toml"  # asked for by being there


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HFL_ENDPOINT", "http://127.0.0.1:9/", "endpoint", "http://127.0.0.1:9"),
        ("HFL_PROFILE", " work ", "profile", "work"),
        ("HFL_CACHE_DIR", "~/c", "cache_dir", None),
        ("HFL_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("HFL_PROGRESS", "off", "progress", False),
        ("HFL_PROGRESS", "1", "progress", True),
        ("HFL_COLOR", "Always", "color", "always"),
        ("HFL_RETRY_ATTEMPTS", "3", "retry_attempts", 3),
        ("HFL_TIMEOUT", "2.5", "timeout", 2.5),
        ("HFL_OFFLINE", "True", "offline", True),
        ("HFL_OFFLINE", "", "offline", False),
    ],
)
def test_the_environment_sets_every_setting(
    home: Path, variable: str, text: str, name: str, value: object
):
    settings = load_settings(home, environ={variable: text})
    assert getattr(settings, name) == (home / "c" if value is None else value)


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("HFL_ENDPOINT", "ftp://x", "an address that starts with https:// or http://"),
        ("HFL_ENDPOINT", "https://", "an address that starts"),
        ("HFL_LOG_LEVEL", "loud", "one of critical, error, warning, info, debug"),
        ("HFL_PROGRESS", "maybe", "true or false"),
        ("HFL_RETRY_ATTEMPTS", "0", "a whole number of 1 or more"),
        ("HFL_RETRY_ATTEMPTS", "2.5", "a whole number of 1 or more"),
        ("HFL_RETRY_ATTEMPTS", "many", "a whole number of 1 or more"),
        ("HFL_TIMEOUT", "-1", "a number of seconds above 0"),
        ("HFL_TIMEOUT", "inf", "a number of seconds above 0"),
        ("HFL_TIMEOUT", "nan", "a number of seconds above 0"),
    ],
)
def test_a_wrong_variable_is_named(home: Path, variable: str, text: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        load_settings(home, environ={variable: text})
    assert f"environment variable {variable}" in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ('timeout = "5"', "timeout", "a number of seconds above 0"),
        ("retry_attempts = true", "retry_attempts", "a whole number"),
        ('progress = "yes"', "progress", "true or false"),
        ("profile = 1", "profile", "a text"),
        ('profile = " "', "profile", "a text"),
        ("color = 1", "color", "one of auto, always, never"),
        ("cache_dir = 1", "cache_dir", "a text"),
    ],
)
def test_a_wrong_type_names_the_file_and_the_key(project: Path, line: str, key: str, expected: str):
    (project / "hfl.toml").write_text(line)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert f"'{key}' in '{project / 'hfl.toml'}'" in caught.value.message


def test_an_unknown_key_names_the_file_and_the_nearest_known_one(home: Path, project: Path):
    (project / "hfl.toml").write_text("time_out = 5")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "'time_out'" in caught.value.message
    assert str(project / "hfl.toml") in caught.value.message
    assert caught.value.hint == "Did you mean 'timeout'?"


def test_an_unknown_argument_is_refused():
    with pytest.raises(
        ConfigError, match=r"'zzzz' \(found in the arguments\).*Known settings: endpoint, profile"
    ):
        load_settings(zzzz=1)


def test_a_file_that_is_not_toml_is_named(project: Path):
    (project / "hfl.toml").write_text("timeout = ")
    with pytest.raises(ConfigError, match=r"hfl\.toml' is not valid TOML"):
        load_settings()


def test_a_file_that_is_not_text_is_named(project: Path):
    (project / "hfl.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"hfl\.toml' is not valid TOML"):
        load_settings()


def test_a_file_that_cannot_be_read_is_named(home: Path, project: Path):
    (home / "config" / "hfl" / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml' cannot be read"):
        load_settings()


def test_a_path_in_a_file_is_relative_to_the_file(project: Path):
    (project / "hfl.toml").write_text('cache_dir = "cache"')
    (project / "deep").mkdir()
    assert load_settings(project / "deep").cache_dir == project / "cache"


def test_an_env_file_is_used_when_named(project: Path):
    (project / "ci.env").write_text("HFL_PROFILE=ci\nOTHER=1\n")
    settings = load_settings(env_file=project / "ci.env")
    assert settings.profile == "ci"
    assert "OTHER" not in os.environ
    assert settings.source("profile") == f"HFL_PROFILE in '{project / 'ci.env'}'"


def test_an_env_file_that_does_not_exist_is_an_error(project: Path):
    with pytest.raises(NotFoundError, match=r"no\.env"):
        load_settings(env_file="no.env")


WITHOUT_DOTENV = """
import sys
sys.modules["dotenv"] = None  # as if it were not installed
from hfl_core import MissingExtraError, load_settings
assert load_settings().profile is None
try:
    load_settings(env_file=".env")
except MissingExtraError as error:
    print(error)
"""


def test_without_the_extra_only_a_file_that_was_asked_for_is_an_error(project: Path):
    (project / ".env").write_text("HFL_PROFILE=ci\n")
    out = subprocess.run(
        [sys.executable, "-c", WITHOUT_DOTENV], capture_output=True, text=True, check=True
    )
    assert "pip install 'hfl-core[dotenv]'" in out.stdout


def test_a_directory_that_does_not_exist_is_searched_upwards(project: Path):
    (project / "hfl.toml").write_text("timeout = 7")
    assert load_settings(project / "runs" / "new").timeout == 7


def test_xdg_says_where_files_are(tmp_path: Path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_CACHE_HOME": str(tmp_path / "k")}
    assert user_config_file(environ) == tmp_path / "c" / "hfl" / "config.toml"
    assert user_cache_dir(environ) == tmp_path / "k" / "hfl"
    assert load_settings(tmp_path, environ=environ).cache_dir == tmp_path / "k" / "hfl"


def test_without_xdg_the_platform_says_where_files_are(home: Path):
    assert home in user_config_file({}).parents or sys.platform != "linux"
    assert user_config_file({"XDG_CONFIG_HOME": "relative"}).is_absolute()


# As a container may start it: by a number that no file of users knows, and without HOME.
HOMELESS = """
import os
from hfl_core import Settings, load_settings
load_settings()
os.setuid(54321)
print(load_settings(timeout=7).timeout, load_settings().source("cache_dir"))
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user"
)
def test_a_user_without_a_home_has_the_defaults():
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS],
        env={"PATH": os.environ["PATH"]},
        cwd="/",  # where this user may look
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "7.0 default\n", done.stderr


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().timeout = 1  # type: ignore[misc]  # the test


def test_settings_made_by_hand_are_checked_and_know_their_source():
    settings = Settings(timeout=5)
    assert settings.source("timeout") == "argument"
    assert settings.source("profile") == "default"
    with pytest.raises(ConfigError, match="'color' in the arguments is 'pink'"):
        Settings(color="pink")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match=r"Did you mean 'timeout'\?"):
        settings.source("timeouts")


def test_the_table_describes_every_setting():
    table = Settings.fields()
    assert [row.name for row in table] == [
        "endpoint",
        "profile",
        "cache_dir",
        "log_level",
        "progress",
        "color",
        "retry_attempts",
        "timeout",
        "offline",
        "keep",
    ]
    for row in table:
        assert row.env == f"HFL_{row.name.upper()}"
        assert row.doc.endswith(".")
        assert "\n" not in row.doc
        assert getattr(Settings(), row.name) == row.default
        assert row.kind


def test_nothing_is_read_at_import(tmp_path: Path):
    (tmp_path / "hfl.toml").write_text("not toml")
    code = "import hfl_core; hfl_core.Settings; hfl_core.load_settings; print('fine')"
    env = {**os.environ, "HFL_TIMEOUT": "wrong"}
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout == "fine\n"


def test_the_missing_extra_is_an_import_error():
    assert issubclass(MissingExtraError, ImportError)


def test_every_place_that_sets_a_value_is_named_the_strongest_first(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    write_user(home, "timeout = 1")
    (project / "hfl.toml").write_text("timeout = 2\n")
    monkeypatch.setenv("HFL_TIMEOUT", "4")
    settings = load_settings(timeout=5)
    assert settings.sources("timeout") == (
        "argument",
        "environment variable HFL_TIMEOUT",
        str(project / "hfl.toml"),
        str(home / "config" / "hfl" / "config.toml"),
    )
    assert settings.source("timeout") == "argument"
    assert settings.sources("profile") == ("default",)
    assert Settings(timeout=5).sources("timeout") == ("argument",)
    with pytest.raises(ConfigError, match="no setting 'timeut'.*Did you mean 'timeout'"):
        settings.sources("timeut")


def test_the_files_that_settings_come_from_are_found(home: Path, project: Path):
    user = home / "config" / "hfl" / "config.toml"
    assert settings_files(project) == SettingsFiles(user, None, None)
    (project / "hfl.toml").write_text("")
    (project / ".env").write_text("")
    (project / "src").mkdir()
    assert settings_files(project / "src") == SettingsFiles(
        user, project / "hfl.toml", project / ".env"
    )
    elsewhere = settings_files(project, environ={"XDG_CONFIG_HOME": "/etc"})
    assert elsewhere.user == Path("/etc/hfl/config.toml")


@pytest.mark.parametrize("text", ["lines", "LINES", " lines "])
def test_progress_may_be_lines(home: Path, project: Path, text: str):
    assert load_settings(environ={"HFL_PROGRESS": text}).progress == "lines"
    (project / "hfl.toml").write_text('progress = "lines"')
    assert load_settings(project).progress == "lines"


@pytest.mark.parametrize("value", ['"bars"', "1"])
def test_progress_is_nothing_else(project: Path, value: str):
    (project / "hfl.toml").write_text(f"progress = {value}")
    with pytest.raises(ConfigError, match="true or false, or lines"):
        load_settings(project)
