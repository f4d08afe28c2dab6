"""A folder's `hfl.toml`: what it says, and how to make it say something else and keep the rest."""

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

__all__ = ["ProjectFile", "read_project_file"]

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
class ProjectFile:
    """What a folder's file says.

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

    def conflicts(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return what the file sets to something else than these settings."""
        return {
            name: self.values[name]
            for name, value in settings.items()
            if name in self.values and self.values[name] != value
        }

    def with_settings(self, settings: Mapping[str, str]) -> str:
        """Return the text with these settings; comments and everything else stay.

        Args:
            settings: What the file is to say.

        Raises:
            ConfigError: The file is written in a way in which that cannot be put in.
        """
        if self.text is None:
            return _new_text(settings)
        missing = {name: each for name, each in settings.items() if self.values.get(name) != each}
        if not missing:
            return self.text
        text = _edited(self.text, missing)
        if _parsed(text, self.path) != {**self.values, **settings}:
            lines = ", ".join(_line(name, value) for name, value in missing.items())
            raise ConfigError(
                f"'{self.path}' is written in a way that cannot be changed without touching the rest.",
                hint=f"Write into it: {lines}",
            )
        return text

    def write(self, text: str) -> None:
        """Replace the file; where a link stands, the file that it leads to."""
        write_atomically(os.path.realpath(self.path), text)


def read_project_file(folder: Path) -> ProjectFile:
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
    if not path.exists():
        return ProjectFile(path, None, {}, above[0] if above else None)
    text = path.read_bytes().decode()  # not as text, which would change its line ends
    return ProjectFile(path, text, _parsed(text, path), None)


def _new_text(settings: Mapping[str, str]) -> str:
    lines = [
        _line(name, settings[name]) if name in settings else example
        for name, example in _EXAMPLES.items()
    ]
    return _HEADER + "\n".join(lines) + "\n"


def _edited(text: str, settings: Mapping[str, str]) -> str:
    for name, value in settings.items():
        line = _line(name, value)
        pattern = rf"""^[ \t]*{name}[ \t]*=[ \t]*("[^"\r\n]*"|'[^'\r\n]*')(?=[ \t]*(#|\r?$))"""
        text, count = re.subn(
            pattern,
            lambda _, line=line: line,  # type: ignore[misc]  # a function: backslashes stay
            text,
            count=1,
            flags=re.MULTILINE,
        )
        if count:
            continue
        if _EXAMPLES[name] in text:
            text = text.replace(_EXAMPLES[name], line, 1)
        else:  # before the first table, which would take it in
            text = f"{line}\n{text}"
    return text


def _line(name: str, value: str) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"  # JSON's strings are TOML's


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}.") from error
