"""A file of settings: what it says, and how to make it say something else and keep the rest."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from hfl_core import load_settings, write_atomically
from hfl_core.errors import ConfigError

__all__ = ["SettingsFile", "read_project_file", "read_settings_file"]

NAME = "hfl.toml"
_HEADER = """\
# Settings of huggingface-lifecycle for this folder and those below: the variables HFL_…, in lower case and
# without HFL_. It may be committed, a token never stands here. `hfl auth explain` shows what is used, and why.
"""
_EXAMPLES = {
    "profile": '# profile = "work"                     # whose token is used, by its name in `hfl auth list`',
    "endpoint": '# endpoint = "https://huggingface.co"  # the Hub',
}


@dataclass(frozen=True)
class SettingsFile:
    """What a file of settings says: a folder's `hfl.toml`, or the user's `config.toml`.

    Attributes:
        path: The file.
        text: Its text; None where there is none.
        values: What it sets.
        shadowed: The file of a folder above that holds here as long as this one does not exist.
    """

    path: Path
    text: str | None
    values: Mapping[str, Any]
    shadowed: Path | None

    def conflicts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the file sets to something else than these settings."""
        return {
            name: self.values[name]
            for name, value in settings.items()
            if name in self.values and self.values[name] != value
        }

    def with_settings(self, settings: Mapping[str, Any]) -> str:
        """Return the text with these settings; comments and everything else stay.

        Args:
            settings: What the file is to say.

        Raises:
            ConfigError: The file is written in a way in which that cannot be put in.
        """
        if self.text is None:
            return _new_text(settings, with_header=self.path.name == NAME)
        missing = {name: each for name, each in settings.items() if self.values.get(name) != each}
        if not missing:
            return self.text
        text = _edited(self.text, missing)
        lines = ", ".join(_line(name, value) for name, value in missing.items())
        self._require(text, {**self.values, **settings}, f"Write into it: {lines}")
        return text

    def without(self, name: str) -> str:
        """Return the text without a setting; comments and everything else stay.

        Args:
            name: A setting that it holds.

        Raises:
            ConfigError: The file is written in a way in which that cannot be taken out.
        """
        text = re.sub(
            _pattern(name) + r"[^\r\n]*\r?\n?", "", self.text or "", count=1, flags=re.MULTILINE
        )
        rest = {key: value for key, value in self.values.items() if key != name}
        self._require(text, rest, f"Take {name!r} out of it by hand.")
        return text

    def _require(self, text: str, values: Mapping[str, Any], otherwise: str) -> None:
        if _parsed(text, self.path) != values:
            raise ConfigError(
                f"'{self.path}' is written in a way that cannot be changed without touching the rest.",
                hint=otherwise,
            )

    def write(self, text: str) -> None:
        """Replace the file; where a link stands, the file that it leads to."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(os.path.realpath(self.path), text)


def read_project_file(folder: Path) -> SettingsFile:
    """Read a folder's file.

    Args:
        folder: The folder, not one above it.

    Returns:
        What it says, or that there is none.

    Raises:
        ConfigError: It cannot be read, or says what is no setting.
    """
    path = folder / NAME
    settings = load_settings(folder)  # whatever is wrong with the file is said here
    sources = {Path(settings.source(row.name)) for row in settings.fields()}
    above = [each for each in sources if each.name == NAME and each != path]
    return read_settings_file(path, shadowed=above[0] if above else None)


def read_settings_file(path: Path, *, shadowed: Path | None = None) -> SettingsFile:
    """Read a file of settings.

    Args:
        path: The file; it need not exist.
        shadowed: What holds as long as it does not.

    Raises:
        ConfigError: It is not valid TOML.
    """
    if not path.exists():
        return SettingsFile(path, None, {}, shadowed)
    text = path.read_bytes().decode()  # not as text, which would change its line ends
    return SettingsFile(path, text, _parsed(text, path), None)


def _new_text(settings: Mapping[str, Any], *, with_header: bool) -> str:
    if not with_header:
        return "".join(f"{_line(name, value)}\n" for name, value in settings.items())
    lines = [
        _line(name, settings[name]) if name in settings else example
        for name, example in _EXAMPLES.items()
    ]
    lines += [_line(name, value) for name, value in settings.items() if name not in _EXAMPLES]
    return _HEADER + "\n".join(lines) + "\n"


def _pattern(name: str) -> str:
    value = r"""("[^"\r\n]*"|'[^'\r\n]*'|[\w.+-]+)"""
    return rf"""^[ \t]*{name}[ \t]*=[ \t]*{value}(?=[ \t]*(#|\r?$))"""


def _edited(text: str, settings: Mapping[str, Any]) -> str:
    for name, value in settings.items():
        line = _line(name, value)
        text, count = re.subn(
            _pattern(name),
            lambda _, line=line: line,  # type: ignore[misc]  # a function: backslashes stay
            text,
            count=1,
            flags=re.MULTILINE,
        )
        if count:
            continue
        if name in _EXAMPLES and _EXAMPLES[name] in text:
            text = text.replace(_EXAMPLES[name], line, 1)
        elif re.search(r"^[ \t]*\[", text, flags=re.MULTILINE):  # the first table would take it in
            text = f"{line}\n{text}"
        else:
            text = f"{text}\n{line}\n" if text and not text.endswith("\n") else f"{text}{line}\n"
    return text


def _line(name: str, value: Any) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"  # JSON's scalars are TOML's


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}.") from error
