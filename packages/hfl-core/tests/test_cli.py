from __future__ import annotations

import importlib.util
import json
import os
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Callable

import click
import pytest
from click.testing import CliRunner

from hfl_core import __version__
from hfl_core.cli import Output, format_option, main_for

SECRET = "hf_" + "a1B2" * 8


@pytest.fixture
def demo(demo_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_command", demo_path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(
    demo: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Callable[..., tuple[int, str, str]]:
    """Run the demo's main in this process; return the exit code, stdout and stderr."""
    for name in [name for name in os.environ if name.startswith(("HFL_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/demo", *args])
        with pytest.raises(SystemExit) as ended:
            demo.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err  # type: ignore[return-value]  # always a number here

    return run


def test_a_command_that_works_ends_with_0(run: Callable[..., tuple[int, str, str]]):
    code, out, err = run("list", "1")
    assert code == 0
    assert out == "Step  Name\n   0  step-00000000\n"
    assert err == "looking\nWarning: careful with ***\n"


def test_a_known_error_is_one_line_and_a_hint(run: Callable[..., tuple[int, str, str]]):
    assert run("fail", "known") == (4, "", "Error: No run ***.\nHint: Look elsewhere.\n")


def test_an_error_with_notes_shows_them(run: Callable[..., tuple[int, str, str]]):
    code, _, err = run("fail", "retry")
    assert code == 7
    assert (
        err
        == "Error: Slow down.\nNote: Tried once; the server asks to wait 3600.0 s, but only 60.0 s of 60 s are left.\n"
    )


def test_an_unexpected_error_is_one_line_and_advice(run: Callable[..., tuple[int, str, str]]):
    code, out, err = run("fail", "crash")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "Unexpected error: RuntimeError: broken by ***",
        "Hint: Run it again with --debug to see where it came from.",
    ]
    assert run("fail", "empty")[2].startswith("Unexpected error: RuntimeError\n")


@pytest.mark.parametrize("args", [["--debug", "fail", "crash"], ["fail", "crash", "--debug"]])
def test_debug_shows_the_redacted_traceback_wherever_it_is_written(
    run: Callable[..., tuple[int, str, str]], args: list[str]
):
    code, _, err = run(*args)
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "in _crash" in err
    assert SECRET not in err
    assert "--debug" not in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("value", "is_debug"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_the_environment_turns_debug_on(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    is_debug: bool,
):
    monkeypatch.setenv("HFL_DEBUG", value)
    assert ("Traceback" in run("fail", "known")[2]) == is_debug


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["list"], "Missing argument 'COUNT'"),
        (["list", "x"], "'x' is not a valid integer"),
        (["list", "1", "--format", "xml"], "'xml' is not one of"),
        (["--nope"], "No such option"),
        (["lst", "1"], "No such command 'lst'. Did you mean 'list'?"),
        (["zzz"], "No such command 'zzz'."),
        (["fail", "usage"], "*** is no number"),
    ],
)
def test_wrong_usage_ends_with_2(
    run: Callable[..., tuple[int, str, str]], args: list[str], text: str
):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert text in err
    assert SECRET not in err


def test_an_exit_code_of_the_command_itself_stays(run: Callable[..., tuple[int, str, str]]):
    assert run("fail", "exit") == (5, "", "")
    assert run("fail", "sysexit") == (6, "", "")


def test_help_and_version_end_with_0(run: Callable[..., tuple[int, str, str]]):
    assert run("--version") == (0, f"demo {__version__}\n", "")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for text in (
        "Usage: demo [OPTIONS] COMMAND",
        "--verbose",
        "--quiet",
        "--debug",
        "--version",
        "List some steps.",
    ):
        assert text in out
    code, out, _ = run("list", "--help")
    assert "--format [table|json|yaml|csv]" in out
    assert "--verbose" not in out


@pytest.mark.parametrize(
    "args", [["-v", "list", "0"], ["list", "-v", "0"], ["list", "0", "--verbose"]]
)
def test_verbose_shows_what_is_being_done_wherever_it_is_written(
    run: Callable[..., tuple[int, str, str]], args: list[str]
):
    assert "INFO    hfl.demo.command: listing 0" in run(*args)[2]


@pytest.mark.parametrize("args", [["-q", "list", "0"], ["list", "0", "-q"]])
def test_quiet_leaves_out_notes_but_no_warnings(
    run: Callable[..., tuple[int, str, str]], args: list[str]
):
    code, out, err = run(*args)
    assert (code, out, err) == (0, "", "Warning: careful with ***\n")


def test_the_setting_log_level_holds_without_options(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HFL_LOG_LEVEL", "info")
    assert "listing 0" in run("list", "0")[2]
    monkeypatch.setenv("HFL_LOG_LEVEL", "wrong")  # a command that reads no settings still works
    assert run("list", "0")[0] == 0


def test_an_option_of_the_command_itself_wins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @click.command()
    @click.option("-v", "--variant")
    def own(variant: str) -> None:
        click.echo(variant)

    monkeypatch.setattr(sys, "argv", ["own", "-v", "big"])
    with pytest.raises(SystemExit):
        main_for(own)()
    assert capsys.readouterr().out == "big\n"
    assert [param.name for param in own.params] == ["variant"]  # the command itself is as it was


@pytest.mark.parametrize(
    ("argv0", "name"),
    [("/usr/bin/hfl-demo", "hfl-demo"), ("x/__main__.py", "demo"), ("-c", "demo"), ("", "demo")],
)
def test_the_program_is_called_what_the_user_called_it(
    demo: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv0: str,
    name: str,
):
    monkeypatch.setattr(sys, "argv", [argv0, "--version"])
    with pytest.raises(SystemExit):
        demo.main()
    assert capsys.readouterr().out.split()[0] == name


def test_a_shell_can_complete_commands(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["hfl-demo"])
    monkeypatch.setenv("_HFL_DEMO_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "hfl-demo li")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as ended:
        demo.main()
    assert ended.value.code == 0
    assert "list" in capsys.readouterr().out


def test_the_output_reaches_a_command_run_by_click_alone():
    @click.command()
    @format_option
    def one(output: Output) -> None:
        """Show one."""
        output.record({"a": 1})

    result = CliRunner().invoke(one, ["--format", "json"])
    assert json.loads(result.stdout) == {"a": 1}
    assert one.help == "Show one."


# From here on: real processes, because pipes, signals and terminals are what is looked at.


@pytest.mark.parametrize("format_", ["table", "json", "yaml", "csv"])
def test_a_reader_that_leaves_ends_the_command_silently(
    clean_env: dict[str, str], demo_path: Path, format_: str
):
    process = subprocess.Popen(
        [sys.executable, str(demo_path), "-q", "list", "6000", "--format", format_],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_env,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), err) == (141, b"Warning: careful with ***\n")


def shell(
    clean_env: dict[str, str], demo_path: Path, rest: str
) -> subprocess.CompletedProcess[str]:
    command = f"exec {shlex.quote(sys.executable)} {shlex.quote(str(demo_path))} -q {rest}"
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        env=clean_env,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("format_", ["table", "json", "yaml", "csv"])
@pytest.mark.parametrize("rows", [3, 6000])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_results_that_find_no_room_are_an_error(
    clean_env: dict[str, str], demo_path: Path, format_: str, rows: int
):
    done = shell(clean_env, demo_path, f"list {rows} --format {format_} >/dev/full")
    assert done.returncode == 8
    _, first, second = done.stderr.splitlines()
    assert first == "Error: The results could not be written: No space left on device."
    assert second.startswith("Hint: ")


@pytest.mark.parametrize("format_", ["table", "json", "yaml", "csv"])
def test_results_that_have_nowhere_to_go_are_an_error(
    clean_env: dict[str, str], demo_path: Path, format_: str
):
    done = shell(clean_env, demo_path, f"list 3 --format {format_} >&-")
    assert done.returncode == 1
    assert "Error: The results have nowhere to go: the standard output is closed." in done.stderr
    assert "Traceback" not in done.stderr


def test_what_nobody_can_hear_is_not_said_elsewhere(clean_env: dict[str, str], demo_path: Path):
    done = shell(clean_env, demo_path, "list 2 --format csv 2>&-")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 3, "")
    done = shell(clean_env, demo_path, "list --nonsense 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    assert shell(clean_env, demo_path, "fail socket >&- 2>&-").returncode == 1


def test_a_lost_connection_is_no_reader_that_left(
    run_demo: Callable[..., subprocess.CompletedProcess[str]],
):
    done = run_demo("fail", "socket")
    assert done.returncode == 1
    assert done.stderr.startswith("Unexpected error: BrokenPipeError")


def test_ctrl_c_ends_with_130(run_demo: Callable[..., subprocess.CompletedProcess[str]]):
    done = run_demo("fail", "interrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_no_to_a_question_ends_with_1(run_demo: Callable[..., subprocess.CompletedProcess[str]]):
    done = run_demo("fail", "abort", stdin="n\n")
    assert done.returncode == 1
    assert "Aborted.\nHint: There is nobody to ask here. In a script" in done.stderr


def test_no_input_for_a_question_ends_with_1(
    run_demo: Callable[..., subprocess.CompletedProcess[str]],
):
    assert run_demo("fail", "prompt").returncode == 1


def test_data_goes_to_stdout_and_talk_to_stderr(
    run_demo: Callable[..., subprocess.CompletedProcess[str]],
):
    done = run_demo("-v", "list", "2", "--format", "json")
    assert [row["step"] for row in json.loads(done.stdout)] == [0, 1]
    assert "looking" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_narrow_encoding_loses_nothing(run_demo: Callable[..., subprocess.CompletedProcess[str]]):
    done = run_demo("zün", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 2
    assert "z\\xfcn" in done.stderr


def on_terminal(
    demo_path: Path, env: dict[str, str], *args: str, keys: bytes = b""
) -> tuple[int, str]:
    """Run the demo with a pseudo-terminal for everything; return its exit code and what was shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(demo_path), *args],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    for _ in range(600):
        if not select.select([master], [], [], 0.2)[0]:
            # CPython misses a signal that comes between its prompt and its read, and a person
            # presses Ctrl-C again then.
            if b":" in shown and keys:
                os.write(master, keys)
            continue
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        if not part:
            break
        shown += part
    else:
        process.kill()
    os.close(master)
    return process.wait(60), shown.decode()


def test_a_terminal_gets_a_drawn_table_and_colour(demo_path: Path, clean_env: dict[str, str]):
    code, shown = on_terminal(demo_path, clean_env, "list", "2")
    assert code == 0
    assert "─" in shown
    assert "\x1b[33mWarning: \x1b[0m" in shown
    code, shown = on_terminal(demo_path, clean_env, "fail", "known")
    assert code == 4
    assert "\x1b[1;31mError: \x1b[0m" in shown


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"HFL_COLOR": "never"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("args", [["list", "2"], ["fail", "known"]])
def test_colour_can_be_turned_off(
    demo_path: Path, clean_env: dict[str, str], env: dict[str, str], args: list[str]
):
    assert "\x1b" not in on_terminal(demo_path, {**clean_env, **env}, *args)[1]


def test_colour_can_be_forced_into_a_pipe(
    run_demo: Callable[..., subprocess.CompletedProcess[str]],
):
    assert "\x1b[1;31mError: " in run_demo("fail", "known", HFL_COLOR="always").stderr
    assert "\x1b" not in run_demo("fail", "known", HFL_COLOR="always", NO_COLOR="1").stderr


def test_json_on_a_terminal_is_plain(demo_path: Path, clean_env: dict[str, str]):
    _, shown = on_terminal(demo_path, clean_env, "-q", "show", "--format", "json")
    assert json.loads(shown) == {"step": 500, "loss": "nan", "tags": ["a", "b"]}


def test_without_click_the_extra_is_named():
    code = (
        "import sys; sys.modules['click'] = None\n"
        "from hfl_core import MissingExtraError\n"
        "try:\n    import hfl_core.cli\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'hfl-core[cli]'" in out.stdout


def test_ctrl_c_at_a_question_ends_with_130(
    demo_path: Path, clean_env: dict[str, str], tmp_path: Path
):
    # The terminal has to control the process for Ctrl-C to become a signal.
    code = (
        "import fcntl, os, sys, termios\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    launcher = tmp_path / "launch.py"
    launcher.write_text(code)
    status, shown = on_terminal(launcher, clean_env, str(demo_path), "fail", "prompt", keys=b"\x03")
    assert "Aborted." in shown
    assert status == 130


@pytest.mark.skipif(os.name == "nt", reason="the shell is POSIX's")
@pytest.mark.parametrize(
    ("closing", "status"), [(">&-", 1), ("2>&-", 0), ("<&-", 0), ("<&- >&- 2>&-", 1)]
)
def test_the_numbers_of_closed_streams_go_to_no_file(
    closing: str, status: int, clean_env: dict[str, str], demo_path: Path
):
    done = subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$0" "$1" -q list 2 --format json {closing}',
            sys.executable,
            demo_path,
        ],
        env=clean_env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Unexpected" not in done.stderr
    assert bool(done.stdout) == (">&-" not in closing.replace("2>&-", ""))
