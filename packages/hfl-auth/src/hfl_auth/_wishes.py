"""What was asked for, where: a profile, a Hub, or a token, in order of precedence."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfl_auth._credential import SourceName
from hfl_auth._endpoints import PUBLIC, hub_endpoint, normalize_endpoint
from hfl_auth._snapshot import Snapshot
from hfl_auth.errors import shown_path
from hfl_core import Settings, load_settings

_LEVELS: tuple[SourceName, ...] = ("argument", "environment", "project file", "profile")


@dataclass(frozen=True)
class Wish:
    """A profile or a Hub that was named.

    Attributes:
        value: The name or the address.
        level: The kind of place where it was named.
        place: The very place, as a person would name it.
    """

    value: str
    level: SourceName
    place: str


@dataclass(frozen=True)
class Endpoint:
    """The Hub to talk to.

    Attributes:
        url: Its address.
        place: Where it was named.
        is_asked_for: Whether a folder's files had no part in naming it. Only then a token that
            nothing binds to a Hub may go there.
    """

    url: str
    place: str
    is_asked_for: bool


class Wishes:
    """Everything that was asked for, in one place of the program and at one time.

    Args:
        profile: The profile that an argument or ``use`` names.
        profile_place: Which of the two.
        endpoint: The Hub that an argument names.
        snapshot: The profiles.
    """

    def __init__(
        self, profile: str | None, profile_place: str, endpoint: str | None, snapshot: Snapshot
    ) -> None:
        self._snapshot = snapshot
        settings = load_settings()
        self.profiles: dict[SourceName, Wish] = {}
        self.endpoints: dict[SourceName, Wish] = {}
        if profile is not None:
            self.profiles["argument"] = Wish(profile, "argument", profile_place)
        if endpoint is not None:
            self.endpoints["argument"] = Wish(endpoint, "argument", "the argument")
        self._take(self.profiles, settings, "profile", settings.profile)
        hub = hub_endpoint()
        if hub is not None:
            self.endpoints["environment"] = Wish(hub[0], "environment", hub[1])
        if settings.endpoint is not None:
            place = _level(settings.source("endpoint"))[1]
            url = normalize_endpoint(settings.endpoint, where=place)
            self._take(self.endpoints, settings, "endpoint", url)

    @staticmethod
    def _take(
        wishes: dict[SourceName, Wish], settings: Settings, name: str, value: str | None
    ) -> None:
        if value is not None:
            level, place = _level(settings.source(name))
            wishes[level] = Wish(value, level, place)

    @property
    def environment_home(self) -> str | None:
        """The Hub that the environment names, and that a token beside it belongs to."""
        wish = self.endpoints.get("environment")
        return None if wish is None else wish.value

    def endpoint(self, *, but: SourceName | None = None) -> Endpoint:
        """Find the Hub to talk to: the first that is named, as itself or through a profile.

        Args:
            but: A kind of place that is left out.

        Returns:
            The Hub.
        """
        for level in _LEVELS:
            wish = self.endpoints.get(level)
            if level != but and wish is not None:
                return Endpoint(wish.value, wish.place, level != "project file")
            named = self.profiles.get(level)
            home = None if level == but or named is None else self.home_of(named.value)
            if named is not None and home is not None:
                # The user signed in there under that name, so a project may refer to it.
                return Endpoint(home, f"the profile {named.value!r} of {named.place}", True)
        current = self._snapshot.current_endpoint()
        if current is not None:
            return Endpoint(current, "the profile in use", True)
        return Endpoint(PUBLIC, "the default", True)

    def home_of(self, profile: str) -> str | None:
        """Return the Hub that a profile belongs to, or None if there is no such profile."""
        found = self._snapshot.profiles().get(profile)
        return None if found is None else found.endpoint


def environment_token() -> tuple[str, str] | None:
    """Return the token that the environment holds, as it stands there, and the variable's name."""
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        text = os.environ.get(variable, "")
        if text.strip():
            return text, variable
    return None


def _level(source: str) -> tuple[SourceName, str]:
    """Tell which kind of place a setting's source is, and how to name it."""
    if source.startswith("environment variable "):
        return "environment", source[len("environment variable ") :]
    variable, of_dotenv, path = source.partition(" in '")
    if of_dotenv:  # it lies in the project's folder
        return "project file", f"{variable} in '{shown_path(Path(path[:-1]))}'"
    level: SourceName = "profile" if Path(source).name == "config.toml" else "project file"
    return level, f"'{shown_path(Path(source))}'"
