from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Callable

import pytest

from hfl_core import __version__

Install = Callable[..., None]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = [
    "torch",
    "transformers",
    "datasets",
    "huggingface_hub",
    "numpy",
    "safetensors",
    "pandas",
    "rich",
    "yaml",
]

GOOD = '''
import click
from hfl_core import ConflictError
from hfl_core.cli import format_option

print("talk at import")

@click.group()
def zoo():
    """Look after animals. More about that."""

@zoo.command("list")
@click.argument("count", type=int, default=1)
@format_option
def list_(count, output):
    """List animals."""
    output.note("counting")
    output.rows([{"name": "cat", "legs": 4}] * count, {"name": "Name", "legs": "Legs"})

@zoo.command()
def fight():
    """Cause trouble."""
    raise ConflictError("Two cats.", hint="Remove one.")

hidden = click.Command("hidden", hidden=True, callback=lambda: print("found"))
not_a_command = 3
'''


def test_help_lists_what_is_installed_with_a_short_text(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo", hidden="zoo_cli:hidden")
    done = hfl("--help")
    assert done.returncode == 0
    assert "zoo" in done.stdout
    assert "Look after animals." in done.stdout
    assert "hidden" not in done.stdout
    assert "talk at import" not in done.stdout
    assert "talk at import" in done.stderr
    assert hfl("hidden").stdout == "found\n"


def test_help_without_anything_to_do_is_shown_too(hfl: Run):
    done = hfl()
    assert "Usage: hfl [OPTIONS] COMMAND" in done.stdout + done.stderr
    assert hfl("-h").stdout == hfl("--help").stdout


def test_a_command_runs_with_its_data_on_stdout(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    done = hfl("zoo", "list", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == [{"name": "cat", "legs": 4}]
    assert "counting" in done.stderr


def test_an_error_has_its_exit_code(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    done = hfl("zoo", "fight")
    assert done.returncode == 6
    assert done.stderr.endswith("Error: Two cats.\nHint: Remove one.\n")


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (
            "import not_installed_anywhere",
            "broken_cli:cmd",
            "the module 'not_installed_anywhere' is not installed",
        ),
        ("raise RuntimeError('boom at import')", "broken_cli:cmd", "RuntimeError: boom at import"),
        ("raise RuntimeError", "broken_cli:cmd", "RuntimeError"),
        ("import sys; sys.exit(3)", "broken_cli:cmd", "SystemExit: 3"),
        ("def cmd(:", "broken_cli:cmd", "SyntaxError"),
        (GOOD, "broken_cli:gone", "has no attribute 'gone'"),
        (GOOD, "broken_cli:not_a_command", "'broken_cli:not_a_command' is not a click command"),
        (None, "broken_cli:cmd", "the module 'broken_cli' is not installed"),
        ("raise ValueError('hf_' + 'a1' * 16)", "broken_cli:cmd", "ValueError: ***"),
    ],
)
def test_a_broken_command_breaks_only_itself(
    hfl: Run, install: Install, source: str | None, target: str, reason: str
):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    install("broken-thing", "broken_cli", source, broken=target)
    done = hfl("--help", COLUMNS="300")
    assert done.returncode == 0
    assert "Look after animals." in done.stdout
    unavailable = done.stdout.split("Unavailable:")[1]
    assert "broken" in unavailable
    assert reason in unavailable
    done = hfl("broken", "list", "-x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Error: The command 'broken' of broken-thing cannot be loaded: " in done.stderr
    assert reason in done.stderr
    assert "Hint: Reinstall or update it: pip install --upgrade 'broken-thing'" in done.stderr
    assert "Traceback" not in done.stderr


def test_beside_a_broken_command_the_others_work(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    install("broken-thing", "broken_cli", "raise RuntimeError('boom')", broken="broken_cli:cmd")
    assert hfl("zoo", "list").returncode == 0
    assert hfl("broken", "--help").returncode == 1


def test_debug_shows_why_a_command_is_broken(hfl: Run, install: Install):
    install("broken-thing", "broken_cli", "raise RuntimeError('boom')", broken="broken_cli:cmd")
    done = hfl("--debug", "broken")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "broken_cli.py" in done.stderr


def test_only_the_command_that_is_used_is_imported(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    install("loud", "loud_cli", "import sys; sys.stderr.write('loud')", loud="loud_cli:cmd")
    assert "loud" not in hfl("zoo", "list").stderr
    assert "loud" not in hfl("--version").stderr


CHECKPOINT = """
import click

@click.group()
def checkpoint():
    "Checkpoints."

@checkpoint.command("list")
@click.argument("run")
def list_(run):
    "List them."
    click.echo(f"those of {run}")
"""


def test_a_short_name_is_the_command_of_its_group(env: dict[str, str], install: Install):
    install("acme", "stand_in", CHECKPOINT, checkpoint="stand_in:checkpoint")
    assert run_without_packages(env, "list", "digits").stdout == "those of digits\n"
    assert "List them." in run_without_packages(env, "list", "--help").stdout
    assert " list " not in run_without_packages(env, "--help").stdout


def test_a_short_name_of_a_package_that_is_not_installed_names_it(env: dict[str, str]):
    done = run_without_packages(env, "dataset-upload", "x.csv")
    assert (done.returncode, "pip install 'hfl-datasets'" in done.stderr) == (1, True)


def test_an_installed_command_comes_before_a_short_name(hfl: Run, install: Install):
    source = "import click\n\n@click.command()\ndef upload():\n    click.echo('mine')\n"
    install("acme", "acme_mod", source, upload="acme_mod:upload")
    assert hfl("upload").stdout == "mine\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_asks_this_program(hfl: Run, shell: str):
    done = hfl("completion", shell)
    assert done.returncode == 0
    assert f"_HFL_COMPLETE={shell}_complete" in done.stdout
    assert hfl("completion", "tcsh").returncode == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(hfl: Run, env: dict[str, str], tmp_path: Path):
    binary = Path(sys.executable).with_name("hfl")
    script = (
        f'eval "$({binary} completion bash)"; COMP_WORDS=({binary} comp); COMP_CWORD=1; '
        f'_hfl_completion {binary}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["completion"]


@pytest.mark.parametrize("typo", ["zooo", "ozo"])
def test_a_mistyped_command_gets_a_suggestion(hfl: Run, install: Install, typo: str):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    done = hfl(typo)
    assert done.returncode == 2
    assert f"No such command '{typo}'. Did you mean 'zoo'?" in done.stderr


def test_a_mistyped_subcommand_gets_a_suggestion(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    done = hfl("zoo", "lits")
    assert done.returncode == 2
    assert "Did you mean 'list'?" in done.stderr


def test_nonsense_gets_no_suggestion(hfl: Run):
    done = hfl("qqqqqq")
    assert done.returncode == 2
    assert "No such command 'qqqqqq'." in done.stderr
    assert "Did you mean" not in done.stderr


WITHOUT = """
import sys
from importlib import metadata
real = metadata.distributions
metadata.distributions = lambda: [d for d in real() if not d.metadata["Name"].startswith(("hfl", "huggingface-l"))]
sys.argv[0] = "hfl"
from hfl_cli.cli import main
main()
"""


def run_without_packages(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *args], capture_output=True, text=True, env=env, check=False
    )


def test_a_command_of_a_package_that_is_not_installed_is_named(env: dict[str, str]):
    done = run_without_packages(env, "dataset", "list")
    assert done.returncode == 1
    assert "Install it with: pip install 'hfl-datasets'" in done.stderr


def test_without_any_commands_the_help_says_what_to_install(env: dict[str, str]):
    done = run_without_packages(env, "--help")
    assert done.returncode == 0
    assert "No commands are installed. Try: pip install huggingface-lifecycle" in done.stdout
    assert "Unavailable" not in done.stdout


def test_of_two_commands_with_one_name_the_first_is_used_and_the_other_named(
    hfl: Run, install: Install
):
    install("zoo-b", "b_cli", GOOD.replace("Look after animals", "From B"), zoo="b_cli:zoo")
    install("zoo-a", "a_cli", GOOD.replace("Look after animals", "From A"), zoo="a_cli:zoo")
    done = hfl("--help")
    assert "From A." in done.stdout
    assert "From B." not in done.stdout
    assert "zoo-b also brings a command 'zoo'; the one of zoo-a is used." in done.stderr


def test_a_command_of_ours_cannot_be_taken_over(hfl: Run, install: Install):
    # Of the package that it belongs to, whether that is installed beside this one or not.
    install("aaa", "a_cli", GOOD.replace("Look after animals", "Taken over"), model="a_cli:zoo")
    install("hfl-registry", "b_cli", GOOD.replace("Look after animals", "Ours"), model="b_cli:zoo")
    done = hfl("model", "--help")
    assert done.returncode == 0
    assert "Usage: hfl model" in done.stdout
    assert "Taken over" not in done.stdout
    assert "aaa also brings a command 'model'; the one of hfl-registry is used." in done.stderr


def test_the_version_is_the_one_of_all_packages(hfl: Run):
    done = hfl("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hfl {__version__}\n", "")


def test_help_loads_nothing_heavy(env: dict[str, str]):
    code = (
        "import sys\n"
        "from hfl_cli.cli import main\n"
        "sys.argv = ['hfl', '--help']\n"
        "try:\n    main()\n"
        f"finally:\n    sys.stderr.write(repr([n for n in {HEAVY} if n in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert "Usage: hfl" in done.stdout
    assert done.stderr.endswith("[]")


def test_a_shell_completes_commands_even_when_one_is_broken(hfl: Run, install: Install):
    install("zoo", "zoo_cli", GOOD.replace('print("talk at import")', ""), zoo="zoo_cli:zoo")
    install("broken-thing", "broken_cli", "raise RuntimeError('boom')", zbroken="broken_cli:cmd")
    done = hfl(_HFL_COMPLETE="zsh_complete", COMP_WORDS="hfl z", COMP_CWORD="1")
    assert done.returncode == 0
    assert "zoo" in done.stdout
    assert "zbroken" not in done.stdout


def test_a_reader_that_leaves_ends_hfl_silently(
    env: dict[str, str], install: Install, tmp_path: Path
):
    install("zoo", "zoo_cli", GOOD.replace('print("talk at import")', ""), zoo="zoo_cli:zoo")
    process = subprocess.Popen(
        [sys.executable, "-m", "hfl_cli", "-q", "zoo", "list", "50000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(4) == b"Name"
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), err) == (141, b"")


@pytest.mark.parametrize(("extra", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal(
    env: dict[str, str], install: Install, extra: dict[str, str], is_coloured: bool
):
    install("zoo", "zoo_cli", GOOD, zoo="zoo_cli:zoo")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hfl_cli", "zoo", "fight"],
        stdout=slave,
        stderr=slave,
        env={**env, **extra},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(60) == 6
    assert b"Two cats." in shown
    assert (b"\x1b" in shown) == is_coloured


def test_the_console_script_is_installed(env: dict[str, str]):
    script = shutil.which("hfl", path=sysconfig.get_path("scripts"))
    assert script is not None
    done = subprocess.run(
        [script, "--version"], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout == f"hfl {__version__}\n"
