from __future__ import annotations

import subprocess

import pytest

from hfl_core.errors import ConfigError, ValidationError
from hfl_repo._transfer._paths import checked_folder, checked_path
from hfl_repo._transfer._patterns import PathFilter, Patterns, as_patterns

PATHS = [
    "a.bin",
    "a.txt",
    "logs/x.log",
    "deep/logs/x.log",
    "deep/er/a.bin",
    "deep/er/b1.txt",
    "keep.log",
    "a b.txt",
    "x[1].txt",
    ".hidden/a",
    "deep/.hidden",
]
PATTERNS = [
    ["*.bin"],
    ["/a.bin"],
    ["logs/"],
    ["/logs"],
    ["logs/*.log"],
    ["**/logs"],
    ["deep/**"],
    ["deep/**/a.bin"],
    ["**/*.log", "!keep.log"],
    ["*.log", "!deep/logs/x.log"],
    ["b[0-9].txt"],
    ["b[!2-9].txt"],
    ["?.txt"],
    ["# a comment", "", "*.txt"],
    ["a b.txt"],
    ["x\\[1\\].txt"],
    [".*"],
    ["de*"],
    ["er/a.bin"],
    ["deep/er"],
    ["*"],
    ["\\#x", "a.txt "],
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@pytest.mark.parametrize("patterns", PATTERNS, ids=" ".join)
def test_patterns_mean_what_they_mean_to_git(patterns, checkout) -> None:
    (checkout / ".gitignore").write_text("\n".join(patterns) + "\n")
    told = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=checkout,
        input="\0".join(PATHS),
        capture_output=True,
        text=True,
        check=False,
    )
    expected = {path for path in told.stdout.split("\0") if path}
    assert {path for path in PATHS if Patterns(patterns).match(path)} == expected


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a pattern"):
        Patterns(["[z-a]"])
    with pytest.raises(ConfigError, match="include is a pattern"):
        as_patterns([1], "include")


def test_what_is_excluded_goes_before_what_is_included() -> None:
    taken = PathFilter(["*.txt"], ["secret.*"])
    assert taken.takes("a.txt")
    assert not taken.takes("secret.txt")
    assert not taken.takes("a.bin")


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.git/config", "a\\b", "a\nb", "C:/x",
     "x" * 1100, "a\ud800"],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(path) -> None:
    with pytest.raises(ValidationError, match="cannot be a path"):
        checked_path(path)


@pytest.mark.parametrize("path", ["..", "/", "a/..", "/abs", "//"])
def test_folders_that_lead_elsewhere_are_refused(path) -> None:
    with pytest.raises(ValidationError):
        checked_folder(path)


def test_the_root_has_many_names() -> None:
    assert {checked_folder(path) for path in (None, "", ".", "./")} == {""}
    assert checked_folder("a/b/") == "a/b"
