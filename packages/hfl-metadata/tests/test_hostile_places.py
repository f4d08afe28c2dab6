"""Places where little is allowed, little is there, or something is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from hfl_metadata import _capture, capture

CODE = textwrap.dedent("""
    import sys
    from hfl_metadata import RunMetadata, capture
    metadata = capture(None, {"base": "/home/alice/x"}, patch=True)
    assert RunMetadata.from_json(metadata.to_json()) == metadata
    assert metadata.hyperparameters == {"base": "~/x"}
    assert metadata.packages and metadata.cpu.logical_cores
    print(metadata.git.commit, metadata.git.dirty, metadata.git.problem, metadata.problems, sep="|")
    """)


def run(*command: str, cwd: Path, **environment: str) -> str:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "LOGNAME", "USER")
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return done.stdout.decode().strip()


def namespace(*options: str) -> list[str]:
    command = ["unshare", *options]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("this account cannot make such a namespace")
    return command


def test_a_read_only_file_system_is_no_trouble(repository, git):
    (repository / "train.py").write_text("print('changed')\n")
    script = f'mount -o remount,bind,ro / && ! touch {repository}/new 2>/dev/null && exec "$@"'
    prefix = [*namespace("--mount"), "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], cwd=repository, check=False).returncode:
        pytest.skip("this account cannot make the file system read-only")
    said = run(*prefix, sys.executable, "-c", CODE, cwd=repository)
    assert said == f"{git(repository, 'rev-parse', 'HEAD')}|True|None|{{}}"


def test_an_account_that_nobody_knows_and_no_home_are_no_trouble(repository, git):
    prefix = namespace("--user", "--map-user=54321")
    said = run(*prefix, sys.executable, "-c", CODE, cwd=repository)
    # The repository may belong to another user there, and git then says no more.
    commit = git(repository, "rev-parse", "HEAD")
    assert said in (
        f"{commit}|False|None|{{}}",
        "None|None|the repository belongs to another user|{}",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_directory_whose_name_is_not_utf_8_is_no_trouble(repository, git):
    place = os.fsencode(repository) + b"/caf\xe9"
    os.mkdir(place)
    (Path(os.fsdecode(place)) / "requirements.txt").write_text("torch\n")
    said = run(sys.executable, "-c", CODE, cwd=Path(os.fsdecode(place)))
    assert said == f"{git(repository, 'rev-parse', 'HEAD')}|False|None|{{}}"


def test_arguments_that_are_not_utf_8_are_recorded(tmp_path):
    code = "from hfl_metadata import *; import hfl_metadata as m; c = m.capture(); "
    code += "assert m.RunMetadata.from_json(c.to_json()) == c; print(ascii(c.command[-1]))"
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-c", code.encode(), b"--name=caf\xe9"],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode().strip() == ascii("--name=caf\udce9")


def test_a_driver_that_never_answers_is_not_waited_for(tmp_path):
    (tmp_path / "pynvml.py").write_text(
        "import threading\ndef nvmlInit():\n    threading.Event().wait()\n"
    )
    code = (
        "from hfl_metadata import _capture, _gpu; _gpu.SIGNS = ('/',); _capture.GPU_TIMEOUT = 0.2; "
    )
    code += "m = _capture.capture(); print(m.gpus, m.problems)"
    said = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert said == "[] {'gpus': 'TimeoutError: no answer within 0.2 s'}"


def test_a_broken_binding_is_no_trouble(tmp_path):
    (tmp_path / "pynvml.py").write_text("raise SystemError('mixed versions')\n")
    code = "from hfl_metadata import _gpu, capture; _gpu.SIGNS = ('/',); "
    code += "m = capture(); print(m.gpus, m.problems)"
    assert run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path)) == "[] {}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_in_the_middle_of_a_capture_can_capture():
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with _capture._asking:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            ended = 0 if capture().packages else 1
        finally:
            os._exit(ended)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        leave.set()
        thread.join()


def test_lock_files_are_those_of_the_project(repository, git, monkeypatch):
    (repository / "uv.lock").write_text("version = 1\n")
    (repository / "requirements-dev.txt").write_text("pytest\n")
    (repository / "requirements").mkdir()
    (repository / "requirements" / "gpu.txt").write_text("torch\n")
    (repository / "notes.txt").write_text("no lock\n")
    (repository / "poetry.lock").mkdir()
    inside = repository / "packages" / "one"
    inside.mkdir(parents=True)
    (inside / "poetry.lock").write_text("x\n")
    monkeypatch.chdir(inside)
    found = {file.path: file.digest for file in capture().lock_files}
    assert list(found) == [
        "packages/one/poetry.lock", "requirements-dev.txt", "requirements/gpu.txt", "uv.lock",
    ]  # fmt: skip
    assert found["packages/one/poetry.lock"] == (
        "sha256:73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
    )


def test_without_a_repository_lock_files_above_are_not_looked_at(tmp_path, git, monkeypatch):
    (tmp_path / "uv.lock").write_text("x\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "Pipfile.lock").write_text("x\n")
    monkeypatch.chdir(inside)
    assert [file.path for file in capture().lock_files] == ["Pipfile.lock"]
