"""Where settings are looked for: files, folders and the environment, in order of precedence."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Iterator, Mapping

from hfl_core._extras import import_extra
from hfl_core._settings import ENV_PREFIX, Settings, check_value, unknown_key
from hfl_core.errors import ConfigError, NotFoundError

PROJECT_FILE = "hfl.toml"


def load_settings(
    directory: str | os.PathLike[str] | None = None,
    *,
    env_file: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Settings:
    """Collect the settings that hold for a directory.

    The first of these that sets a value wins: an argument, an environment variable `HFL_…`, an
    `.env` file, the project's `hfl.toml` (the nearest one, from the directory upwards to the root
    of its git repository or the home folder), the user's `config.toml`, the default.

    Args:
        directory: Where the search for `hfl.toml` starts; the working directory if None.
        env_file: An `.env` file. If None, one beside the project file or in the directory is used
            when the extra `dotenv` is installed.
        environ: The environment; `os.environ` if None.
        **arguments: Values for settings by name; None means not given.

    Returns:
        The settings, which also know where each value came from.

    Raises:
        ConfigError: If a name is no setting, a value has the wrong type or a file cannot be read.
        NotFoundError: If `env_file` does not exist.
        MissingExtraError: If `env_file` is given and the extra `dotenv` is not installed.

    Example:
        >>> settings = load_settings(environ={"HFL_TIMEOUT": "10"})
        >>> settings.timeout, settings.source("timeout")
        (10.0, 'environment variable HFL_TIMEOUT')
    """
    environment = os.environ if environ is None else environ
    start = Path.cwd() if directory is None else Path(directory).expanduser().absolute()
    values: dict[str, Any] = {}
    sources: dict[str, tuple[str, ...]] = {}
    project = find_project_file(start)
    beside = start if project is None else project.parent
    # From the weakest to the strongest: what comes later overwrites.
    for layer in (
        _toml_layer(user_config_file(environment)),
        {} if project is None else _toml_layer(project),
        _dotenv_layer(env_file, beside),
        _environment_layer(environment),
        _argument_layer(arguments),
    ):
        for name, (value, source) in layer.items():
            values[name], sources[name] = value, (source, *sources.get(name, ()))
    if "cache_dir" not in values:
        values["cache_dir"] = user_cache_dir(environment)
    complete = {row.name: sources.get(row.name, ("default",)) for row in Settings.fields()}
    return Settings(**values, _sources=MappingProxyType(complete))


_Layer = Mapping[str, "tuple[Any, str]"]

# What Debian calls the home of a user who has none; nobody can make it, so that nothing is read there.
_NO_HOME = Path("/nonexistent")


@dataclass(frozen=True)
class SettingsFiles:
    """The files that settings are read from.

    Attributes:
        user: The user's `config.toml`, whether it exists or not.
        project: The nearest `hfl.toml`, or None if there is none.
        env: The `.env` file beside it or in the directory, or None if there is none.
    """

    user: Path
    project: Path | None
    env: Path | None


def settings_files(
    directory: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None
) -> SettingsFiles:
    """Find the files that `load_settings` reads.

    Args:
        directory: Where the search for `hfl.toml` starts; the working directory if None.
        environ: The environment; `os.environ` if None.

    Returns:
        Their paths.

    Example:
        >>> settings_files(environ={"XDG_CONFIG_HOME": "/etc"}).user.as_posix()
        '/etc/hfl/config.toml'
    """
    start = Path.cwd() if directory is None else Path(directory).expanduser().absolute()
    project = find_project_file(start)
    env = (start if project is None else project.parent) / ".env"
    return SettingsFiles(user_config_file(environ), project, env if env.is_file() else None)


def find_project_file(directory: Path) -> Path | None:
    """Find the nearest `hfl.toml`, from a directory upwards.

    Args:
        directory: Where to start.

    Returns:
        Its path, or None. The root of a git repository and the home folder are the last places
        that are looked at, and so is a folder that everybody may write to, where the file could
        be anybody's.
    """
    for folder in _upwards(directory):
        candidate = folder / PROJECT_FILE
        if _is_there(candidate):
            return candidate
    return None


def user_config_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the user's own settings are, whether the file exists or not."""
    from platformdirs import user_config_path

    return _xdg("XDG_CONFIG_HOME", environ, user_config_path) / "config.toml"


def user_cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the default of the setting `cache_dir`."""
    from platformdirs import user_cache_path

    return _xdg("XDG_CACHE_HOME", environ, user_cache_path)


def _xdg(variable: str, environ: Mapping[str, str] | None, otherwise: Callable[..., Path]) -> Path:
    # platformdirs honours XDG on Linux only; people set it on macOS too, and mean it.
    value = (os.environ if environ is None else environ).get(variable, "")
    if Path(value).is_absolute():
        return Path(value) / "hfl"
    try:
        found = otherwise("hfl", appauthor=False)
    except RuntimeError:
        found = _NO_HOME / "hfl"
    # A container that runs as a number without a name has no home; older releases leave the mark of it.
    return _NO_HOME / "hfl" if found.parts[0] == "~" else found


def _upwards(directory: Path) -> Iterator[Path]:
    try:
        home: Path | None = Path.home()
    except (KeyError, RuntimeError):  # this user has none; Python 3.8 says so with a KeyError
        home = None
    for folder in [directory, *directory.parents]:
        if folder != directory and _is_everybodys(folder):
            return
        yield folder
        if folder == home or _is_there(folder / ".git"):
            return


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder on the way up that this user may not look into
        return False


def _is_everybodys(folder: Path) -> bool:
    try:
        return os.name == "posix" and bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:  # it does not exist yet, or nothing in it could be read either
        return False


def _toml_layer(path: Path) -> _Layer:
    content = _read_toml(path)
    known = [row.name for row in Settings.fields()]
    layer = {}
    for name, value in content.items():
        if name not in known:
            raise unknown_key(name, where=f"'{path}'", known=known)
        checked = check_value(name, value, where=f"'{path}'")
        if isinstance(checked, Path):
            checked = (
                path.parent / checked
            )  # a file means its own folder, not the working directory
        layer[name] = (checked, str(path))
    return layer


def _read_toml(path: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(
            f"The settings in '{path}' cannot be read: {error.strerror or error}."
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(
            f"'{path}' is not valid TOML: {error}.", hint="Correct the file or remove it."
        ) from error


def _dotenv_layer(asked_for: str | os.PathLike[str] | None, folder: Path) -> _Layer:
    path = folder / ".env" if asked_for is None else Path(asked_for).expanduser()
    if not path.is_file():
        if asked_for is None:
            return {}
        raise NotFoundError(f"There is no file '{path}'.", hint="Check env_file.")
    if asked_for is None and not _sets_something(path):
        return {}  # it is about something else, so nobody misses what would read it
    dotenv = import_extra(
        "dotenv",
        feature="reading an .env file",
        extra="hfl-core[dotenv]",
        required=asked_for is not None,
    )
    if dotenv is None:
        return {}
    found = dotenv.dotenv_values(path)
    content = {name: value for name, value in found.items() if value is not None}
    return _variables_layer(content, lambda variable: f"{variable} in '{path}'")


def _sets_something(path: Path) -> bool:
    try:
        return ENV_PREFIX.encode() in path.read_bytes()
    except OSError:
        return False


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    return _variables_layer(environ, lambda variable: f"environment variable {variable}")


def _variables_layer(variables: Mapping[str, str], source: Callable[[str], str]) -> _Layer:
    layer = {}
    for row in Settings.fields():
        text = variables.get(row.env, "")
        if text.strip():  # an empty variable is how a shell says "not set"
            where = source(row.env)
            layer[row.name] = (check_value(row.name, text, where=where, is_text=True), where)
    return layer


def _argument_layer(arguments: Mapping[str, Any]) -> _Layer:
    known = [row.name for row in Settings.fields()]
    layer = {}
    for name, value in arguments.items():
        if name not in known:
            raise unknown_key(name, where="the arguments", known=known)
        if value is not None:
            layer[name] = (check_value(name, value, where="the arguments"), "argument")
    return layer
