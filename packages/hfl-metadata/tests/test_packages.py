"""Installed distributions: all of them, and where they came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hfl_metadata import PackageOrigin
from hfl_metadata._packages import read_packages


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "site-packages"
    directory.mkdir()
    monkeypatch.setattr(sys, "path", [str(directory)])
    return directory


def install(site: Path, name: str, version: str, direct_url: Any = None) -> Path:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: x\n\nName: readme\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    if direct_url is not None:
        text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
        (info / "direct_url.json").write_text(text, encoding="utf-8")
    return info


def test_names_are_normalised_and_sorted(site):
    install(site, "Zope.Interface", "6.0")
    install(site, "a_b--C", "1.0+cu121")
    assert read_packages().versions == {"a-b-c": "1.0+cu121", "zope-interface": "6.0"}
    assert list(read_packages().versions) == ["a-b-c", "zope-interface"]
    assert read_packages().origins == {}


@pytest.mark.parametrize(
    ("recorded", "origin"),
    [
        (
            {"url": "file:///home/alice/src/x", "dir_info": {"editable": True}},
            PackageOrigin("editable", "file://~/src/x"),
        ),
        ({"url": "file:///srv/x", "dir_info": {}}, PackageOrigin("directory", "file:///srv/x")),
        (
            {
                "url": "https://me:hunter2@example.com/x.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "v1"},
            },
            PackageOrigin("git", "https://example.com/x.git", commit="abc", revision="v1"),
        ),
        (
            {
                "url": "https://example.com/x.whl?token=hunter2",
                "archive_info": {"hashes": {"sha256": "00"}},
            },
            PackageOrigin("archive", "https://example.com/x.whl?token=***", digest="sha256:00"),
        ),
        (
            {"url": "https://example.com/x.whl", "archive_info": {"hash": "sha256=11"}},
            PackageOrigin("archive", "https://example.com/x.whl", digest="sha256:11"),
        ),
        (
            {"url": "https://example.com/x.whl", "archive_info": {}},
            PackageOrigin("archive", "https://example.com/x.whl"),
        ),
    ],
)
def test_where_one_came_from_is_known(site, recorded, origin):
    install(site, "x", "1.0", recorded)
    assert read_packages().origins == {"x": origin}


def test_the_first_one_on_the_path_counts(site, tmp_path, monkeypatch):
    install(site, "x", "1.0")
    other = tmp_path / "other"
    other.mkdir()
    install(other, "X", "2.0", {"url": "file:///srv/x", "dir_info": {"editable": True}})
    monkeypatch.setattr(sys, "path", [str(site), str(other)])
    found = read_packages()
    assert found.versions == {"x": "1.0"}
    assert found.origins == {}


def test_what_setup_develop_left_is_editable(tmp_path, monkeypatch):
    source = tmp_path / "source"
    (source / "x.egg-info").mkdir(parents=True)
    (source / "x.egg-info" / "PKG-INFO").write_text("Name: x\nVersion: 0.1\n")
    (source / "setup.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(source)])
    found = read_packages()
    assert found.versions == {"x": "0.1"}
    assert found.origins == {"x": PackageOrigin("editable", source.as_uri())}


def test_an_egg_info_that_is_a_file_is_read(site):
    (site / "old-3.1.egg-info").write_text("Metadata-Version: 1.1\nName: old\nVersion: 3.1\n")
    assert read_packages().versions == {"old": "3.1"}


def test_one_in_an_archive_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x-1.0.dist-info/METADATA", "Name: x\nVersion: 1.0\n")
    monkeypatch.setattr(sys, "path", [str(path)])
    assert read_packages().versions == {"x": "1.0"}


def test_damaged_ones_hide_no_other_and_are_counted(site):
    install(site, "good", "1.0")
    (site / "half_removed-1.0.dist-info").mkdir()
    binary = install(site, "binary", "1.0")
    (binary / "METADATA").write_bytes(b"\xff\xfe\x00")
    install(site, "url-is-no-json", "2.0", "{")
    install(site, "url-is-empty", "2.0", {})
    found = read_packages()
    assert found.versions == {"good": "1.0", "url-is-empty": "2.0", "url-is-no-json": "2.0"}
    assert found.problem == "3 installed distributions are damaged"


def test_ten_thousand_are_all_on_record(tmp_path):
    for number in range(10_000):
        install(tmp_path, f"many-{number}", f"1.{number}")
    code = """
        from hfl_metadata import RunMetadata, capture
        metadata = capture()
        assert RunMetadata.from_json(metadata.to_json()) == metadata
        print(sum(name.startswith("many-") for name in metadata.packages), metadata.problems)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.decode().split(None, 1) == ["10000", "{}\n"]
