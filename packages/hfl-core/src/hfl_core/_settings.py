"""Settings: one table of what can be set, and the values with where each came from."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Iterable, Literal, Mapping

from hfl_core._setting_kinds import COUNT, FLAG, FOLDER, PROGRESS, SECONDS, TEXT, URL, Kind, one_of
from hfl_core.errors import ConfigError

ENV_PREFIX = "HFL_"
LogLevel = Literal["critical", "error", "warning", "info", "debug"]
Color = Literal["auto", "always", "never"]


def _default_cache() -> Path:
    from hfl_core._settings_files import user_cache_dir

    return user_cache_dir()


def _about(doc: str, kind: Kind) -> Mapping[str, Any]:
    return {"doc": doc, "kind": kind}


@dataclass(frozen=True)
class SettingField:
    """One row of the table of settings.

    Attributes:
        name: Its name in Python and in `hfl.toml`.
        env: The environment variable that sets it.
        kind: What its values are, for people: ``"true or false"``.
        doc: What it does, in one line.
        default: The value when nothing sets it.
    """

    name: str
    env: str
    kind: str
    doc: str
    default: Any


@dataclass(frozen=True)
class Settings:
    """What can be set, for a person, a project or one run. Made by `load_settings`.

    Example:
        >>> Settings(timeout=5).timeout
        5.0
    """

    endpoint: str | None = field(
        default=None,
        metadata=_about(
            "The Hub to talk to; if not set, huggingface_hub's own (HF_ENDPOINT).", URL
        ),
    )
    profile: str | None = field(default=None, metadata=_about("The sign-in profile to use.", TEXT))
    cache_dir: Path = field(
        default_factory=_default_cache,
        metadata=_about("Where downloads and whatever can be made again are kept.", FOLDER),
    )
    log_level: LogLevel = field(
        default="warning",
        metadata=_about(
            "The least important messages that commands show.",
            one_of("critical", "error", "warning", "info", "debug"),
        ),
    )
    progress: bool | Literal["lines"] = field(
        default=True,
        metadata=_about(
            "Whether progress is shown: bars on a terminal, lines in CI; 'lines' for every log.",
            PROGRESS,
        ),
    )
    color: Color = field(
        default="auto",
        metadata=_about(
            "Whether commands write in colour; NO_COLOR turns it off whatever this says.",
            one_of("auto", "always", "never"),
        ),
    )
    retry_attempts: int = field(
        default=5,
        metadata=_about("How often a request is tried before its error is reported.", COUNT),
    )
    timeout: float = field(
        default=30.0, metadata=_about("How many seconds one request may take.", SECONDS)
    )
    offline: bool = field(
        default=False,
        metadata=_about("Whether the network is left alone; what has to be sent is queued.", FLAG),
    )
    keep: str | None = field(
        default=None,
        metadata=_about(
            "Which checkpoints are kept where a program does not say, such as last:3.", TEXT
        ),
    )
    _sources: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name, row in _rows().items():
            value = getattr(self, name)
            if value is not None or row.default is not None:
                object.__setattr__(self, name, check_value(name, value, where="the arguments"))

    def source(self, name: str) -> str:
        """Say where a setting's value came from.

        Args:
            name: A setting's name.

        Returns:
            ``"argument"``, ``"environment variable HFL_…"``, a file's path or ``"default"``.

        Raises:
            ConfigError: If there is no such setting.

        Example:
            >>> Settings(timeout=5).source("timeout")
            'argument'
        """
        return self.sources(name)[0]

    def sources(self, name: str) -> tuple[str, ...]:
        """List every place that sets a setting, the one whose value holds first.

        Args:
            name: A setting's name.

        Returns:
            As `source` names them; ``("default",)`` if nothing sets it.

        Raises:
            ConfigError: If there is no such setting.

        Example:
            >>> Settings().sources("timeout")
            ('default',)
        """
        if name not in _rows():
            raise unknown_key(name, where="the settings")
        default = _rows()[name].default
        said = "default" if getattr(self, name) == default else "argument"
        return self._sources.get(name, (said,))

    @staticmethod
    def parse(name: str, text: str, *, where: str = "the arguments") -> Any:
        """Read a setting's value from a text, as it would stand in the environment.

        Args:
            name: A setting's name.
            text: The text.
            where: Where it was given, for the error.

        Returns:
            The value in its type.

        Raises:
            ConfigError: If there is no such setting, or the text is not what it takes.

        Example:
            >>> Settings.parse("timeout", "5")
            5.0
        """
        if name not in _rows():
            raise unknown_key(name, where=where)
        return check_value(name, text, where=where, is_text=True)

    @staticmethod
    def fields() -> tuple[SettingField, ...]:
        """Return the table of settings: everything that can be set, in order.

        Returns:
            One row per setting.

        Example:
            >>> [row.env for row in Settings.fields()][:2]
            ['HFL_ENDPOINT', 'HFL_PROFILE']
        """
        return tuple(_rows().values())


def _rows() -> dict[str, SettingField]:
    rows = {}
    for each in dataclasses.fields(Settings):
        if "doc" not in each.metadata:
            continue
        factory = each.default_factory
        rows[each.name] = SettingField(
            name=each.name,
            env=ENV_PREFIX + each.name.upper(),
            kind=each.metadata["kind"].description,
            doc=each.metadata["doc"],
            default=each.default if factory is dataclasses.MISSING else factory(),
        )
    return rows


def check_value(name: str, value: Any, *, where: str, is_text: bool = False) -> Any:
    """Check one value and bring it into its type.

    Args:
        name: The setting's name.
        value: What was given.
        where: Where it was given, for the error.
        is_text: Whether every value is a text there, as in the environment.

    Returns:
        The value in its type.

    Raises:
        ConfigError: If it is not what the setting takes.
    """
    metadata = Settings.__dataclass_fields__[name].metadata
    kind: Kind = metadata["kind"]
    try:
        return kind.check(kind.from_text(value) if is_text else value)
    except ValueError:
        raise ConfigError(
            f"The setting '{name}' in {where} is {value!r}, which is not {kind.description}.",
            hint=f"It sets: {metadata['doc']}",
        ) from None


def unknown_key(name: str, *, where: str, known: Iterable[str] | None = None) -> ConfigError:
    """Make the error for a name that is no setting, with the nearest one that is."""
    names = list(_rows() if known is None else known)
    near = difflib.get_close_matches(name, names, n=1)
    return ConfigError(
        f"There is no setting '{name}' (found in {where}).",
        hint=f"Did you mean '{near[0]}'?" if near else f"Known settings: {', '.join(names)}.",
    )
