"""The workspace itself: that its checks reject what they are there to reject, and that its parts agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [ROOT / ".dev" / name for name in ("need", "oldest", "python", "requirements", "uv")]


def lint_imports(copy: Path) -> subprocess.CompletedProcess[str]:
    sources = sorted(str(path) for path in (copy / "packages").glob("*/src"))
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-cache", "--config", str(copy / "pyproject.toml")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def copied_sources(tmp_path: Path) -> Path:
    if not LINT_IMPORTS.exists():
        pytest.skip("import-linter is not installed here; `make check` installs it")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in (ROOT / "packages").glob("*/src"):
        shutil.copytree(source, tmp_path / source.relative_to(ROOT))
    return tmp_path


def test_the_import_contract_holds_as_the_code_is(copied_sources: Path) -> None:
    done = lint_imports(copied_sources)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("hfl-core/src/hfl_core", "hfl_state"),
        ("hfl-state/src/hfl_state", "hfl_metadata"),
        ("hfl-checkpoint/src/hfl_checkpoint", "hfl_state"),
        ("hfl-cli/src/hfl_cli", "hfl_checkpoint"),
        ("hfl-repo/src/hfl_repo", "hf_lifecycle"),
    ],
)
def test_the_import_contract_rejects_a_planted_violation(
    copied_sources: Path, importer: str, imported: str
) -> None:
    planted = copied_sources / "packages" / importer / "_planted.py"
    planted.write_text(f"import {imported}\n", encoding="utf-8")
    done = lint_imports(copied_sources)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "_planted" in done.stdout
    assert "BROKEN" in done.stdout


def test_an_undeclared_import_is_rejected(tmp_path: Path) -> None:
    pytest.importorskip("deptry", reason="deptry is not installed here; `make check` installs it")
    package = tmp_path / "hfl-auth"
    shutil.copytree(ROOT / "packages" / "hfl-auth", package)
    planted = package / "src" / "hfl_auth" / "_planted.py"
    planted.write_text("import hfl_state\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "deptry", "--no-ansi", "src"],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "'hfl_state' imported but" in done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is(workflow: Path) -> None:
    uses = re.findall(r"^\s*-? ?uses: (.*)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)
    assert uses
    for use in uses:
        assert re.match(r"^[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", use), use


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_unless_a_job_says_otherwise(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    assert "concurrency" in content
    assert all("timeout-minutes" in job for job in content["jobs"].values())


def test_workflows_and_hooks_call_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    callers = [*WORKFLOWS, ROOT / ".pre-commit-config.yaml", ROOT / ".ci" / "run"]
    called = set()
    for caller in callers:
        code = re.sub(r"#.*", "", caller.read_text(encoding="utf-8"))
        called |= set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", code))
    assert called
    assert called <= targets, called - targets


def test_make_help_explains_every_target_that_people_use() -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make on this machine")
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = set(re.findall(r"^  ([a-z0-9<>-]+) ", done.stdout, re.MULTILINE))
    wanted = "demo install format lint types imports security test test-<package> test-oldest"
    wanted += " test-newest e2e docs examples bench wheels check requirements hooks clean"
    assert set(wanted.split()) <= listed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_shell_script_is_plain_sh(script: Path) -> None:
    if shutil.which("sh") is None:
        pytest.skip("there is no sh on this machine")
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_an_absent_python_is_an_error_that_says_so() -> None:
    if os.name == "nt":
        pytest.skip("the script is for POSIX shells")
    done = subprocess.run(
        ["sh", str(ROOT / ".dev" / "python"), "3.99"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "No Python 3.99 on this machine" in done.stderr


def test_a_failing_example_fails_the_run_after_all_had_their_turn(tmp_path: Path) -> None:
    (tmp_path / "a_fails.py").write_text("raise SystemExit('no')\n", encoding="utf-8")
    (tmp_path / "b_works.py").write_text("open('made', 'w').close()\n", encoding="utf-8")
    (tmp_path / "_shared.py").write_text("raise SystemExit('never run')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".dev" / "run_scripts.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"a_fails\.py: FAILED \(exit status 1\)", done.stdout)
    assert re.search(r"b_works\.py: ok", done.stdout)
    assert "_shared" not in done.stdout
    assert not (tmp_path / "made").exists()


def test_the_example_environment_names_every_setting_with_a_value_that_is_accepted() -> None:
    hfl_core = pytest.importorskip("hfl_core")
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    values = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    names = {row.env for row in hfl_core.Settings.fields()}
    assert names <= set(values)
    environ = {name: value for name, value in values.items() if name in names}
    settings = hfl_core.load_settings(environ=environ)
    for row in hfl_core.Settings.fields():
        assert settings.source(row.name) == f"environment variable {row.env}"


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    visible = {path.split("/")[0] for path in tracked if path and not path.startswith(".")}
    if not visible:
        pytest.skip("not a git checkout")
    allowed = "packages tests-e2e docs examples benchmarks pyproject.toml uv.lock Makefile README.md LICENSE"
    assert visible <= set(allowed.split())
