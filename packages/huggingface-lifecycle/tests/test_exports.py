"""One namespace: every name resolves, and importing it costs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import hf_lifecycle
from hfl_core import check_exports

PACKAGES = [
    "hfl_auth", "hfl_checkpoint", "hfl_core", "hfl_datasets", "hfl_integrations", "hfl_localhub",
    "hfl_metadata", "hfl_registry", "hfl_repo", "hfl_state",
]  # fmt: skip

# What packages are built with, not what is done with them; the README says so, too.
MACHINERY = {
    "Digest",  "FileWriter", "Files", "check_errors", "check_exports", "digest_file", "import_extra", "lazy_exports", "new_digest",
    "read_secret", "require_free_space", "settings_files", "SettingsFiles", "translated_os_errors", "write_atomically",
    "write_secret", "SignalHandlers", "SignalName", "SteadyEvent", "SteadyWorker", "find_signals", "in_parallel", "signals_listened_to",
}  # fmt: skip

NAMES = [
    (package, name)
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
    if name != "__version__" and not (package == "hfl_core" and name in MACHINERY)
]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_name_is_the_package_s_own(package, name):
    assert getattr(hf_lifecycle, name) is getattr(sys.modules[package], name)


def test_everything_that_the_packages_export_is_there_and_nothing_else():
    names = sorted(name for _, name in NAMES)
    assert dir(hf_lifecycle) == names
    assert sorted(hf_lifecycle.__all__) == sorted([*names, "__version__"])
    assert check_exports("hf_lifecycle") == []


def test_no_package_is_forgotten():
    installed = {
        distribution.metadata["Name"].replace("-", "_")
        for distribution in metadata.distributions()
        if distribution.metadata["Name"].startswith("hfl-")
    }
    assert installed == {*PACKAGES, "hfl_cli"}  # which has nothing to import


def test_the_readme_names_what_is_left_out():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert {name for name in MACHINERY if f"`{name}`" not in readme} == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hf_lifecycle.nothing  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize("module", ["hf_lifecycle", "hf_lifecycle.cli"])
def test_importing_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; print([name for name in ('torch', 'transformers', 'datasets',"
        "'huggingface_hub', 'numpy', 'sklearn', 'hfl_checkpoint', 'hfl_state')"
        " if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert loaded.stdout.decode().strip() == "[]"
