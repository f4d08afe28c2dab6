"""The installed distributions: name, version and where they came from."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple

from hfl_core import get_logger
from hfl_metadata._facts import PackageOrigin
from hfl_metadata._privacy import without_credentials

_log = get_logger(__name__)

# The two headers stand at the top of METADATA; the parser for mail, which importlib.metadata asks,
# reads the README below them too and takes twenty times as long.
_NAME = re.compile(r"^Name:[ \t]*(\S.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_VERSION = re.compile(r"^Version:[ \t]*(\S.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_SEPARATORS = re.compile(r"[-_.]+")


class Packages(NamedTuple):
    """What is installed.

    Attributes:
        versions: Normalised name (PEP 503) to version, sorted.
        origins: The same name to origin, for those that did not come from an index.
        problem: What could not be read, or None.
    """

    versions: Dict[str, str]
    origins: Dict[str, PackageOrigin]
    problem: str | None


def read_packages() -> Packages:
    """List the installed distributions.

    Returns:
        What is installed. Of two with the same name the first on ``sys.path`` counts, as it does
        for an import.
    """
    damaged = 0
    versions: Dict[str, str] = {}
    origins: Dict[str, PackageOrigin] = {}
    for distribution in importlib.metadata.distributions():
        try:
            _read(distribution, versions, origins)
        except Exception as error:  # noqa: BLE001  # one that is damaged hides no other
            _log.debug("An installed distribution cannot be read: %s", error)
            damaged += 1
    return Packages(
        versions=dict(sorted(versions.items())),
        origins=dict(sorted(origins.items())),
        problem=f"{damaged} installed distributions are damaged" if damaged else None,
    )


def _read(
    distribution: importlib.metadata.Distribution,
    versions: Dict[str, str],
    origins: Dict[str, PackageOrigin],
) -> None:
    head = _head(distribution)
    name, version = _NAME.search(head), _VERSION.search(head)
    if name is None or version is None:  # a half-removed one has a directory and no METADATA in it
        return
    normalised = _SEPARATORS.sub("-", name.group(1)).lower()
    if normalised in versions:
        return
    versions[normalised] = version.group(1)
    text = distribution.read_text("direct_url.json")
    origin = _develop_origin(distribution) if text is None else _origin(json.loads(text))
    if origin is not None:
        origins[normalised] = origin


def _head(distribution: importlib.metadata.Distribution) -> str:
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    if text is None:  # an .egg-info that is one file
        text = distribution.read_text("") or ""
    return re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]


def _develop_origin(distribution: importlib.metadata.Distribution) -> PackageOrigin | None:
    # What `setup.py develop` installed lies beside its sources, which are on sys.path, and has no
    # direct_url.json.
    path = getattr(distribution, "_path", None)
    if not isinstance(path, Path) or path.suffix != ".egg-info":
        return None
    parent = path.parent
    if parent.name in ("site-packages", "dist-packages") or not (parent / "setup.py").exists():
        return None
    return PackageOrigin(kind="editable", url=without_credentials(parent.as_uri()))


def _origin(recorded: Mapping[str, Any]) -> PackageOrigin:
    url = without_credentials(str(recorded["url"]))
    if "vcs_info" in recorded:
        info = recorded["vcs_info"]
        return PackageOrigin(
            kind=str(info.get("vcs", "vcs")),
            url=url,
            commit=info.get("commit_id"),
            revision=info.get("requested_revision"),
        )
    if "archive_info" in recorded:
        return PackageOrigin(kind="archive", url=url, digest=_digest(recorded["archive_info"]))
    is_editable = bool((recorded.get("dir_info") or {}).get("editable"))
    return PackageOrigin(kind="editable" if is_editable else "directory", url=url)


def _digest(info: Mapping[str, Any]) -> str | None:
    hashes = info.get("hashes")
    if isinstance(hashes, dict) and "sha256" in hashes:
        return f"sha256:{hashes['sha256']}"
    old = info.get("hash")  # "sha256=…", before the specification had a table
    return str(old).replace("=", ":", 1) if old else None
