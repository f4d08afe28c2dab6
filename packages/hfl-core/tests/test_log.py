from __future__ import annotations

import io
import json
import logging
import math
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

import pytest

from hfl_core import ConfigError, configure_logging, get_logger, log_context, set_log_context

SECRET = "hf_" + "a1B2" * 8


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger("hfl")
    level = root.level
    yield
    for handler in list(root.handlers):
        if getattr(handler, "is_hfl", False):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("hfl_core._retry", "hfl.core.retry"),
        ("hfl_checkpoint", "hfl.checkpoint"),
        ("hf_lifecycle.cli", "hfl.lifecycle.cli"),
        ("hfl", "hfl"),
        ("hfl.custom", "hfl.custom"),
        ("__main__", "hfl.main"),
        ("train", "hfl.train"),
    ],
)
def test_every_logger_is_in_one_hierarchy(module: str, name: str):
    assert get_logger(module).name == name
    assert get_logger(module) is logging.getLogger(name)


def test_getting_a_logger_twice_adds_nothing():
    filters = list(get_logger("hfl_core.twice").filters)
    assert get_logger("hfl_core.twice").filters == filters
    assert len(filters) == 1


def test_any_handler_sees_redacted_records_only(caplog: pytest.LogCaptureFixture):
    log = get_logger("hfl_core.demo")
    log.warning("sent %s to %s", SECRET, {"password": "hunter22"}, extra={"url": "https://u:p@h/x"})
    (record,) = caplog.records
    assert record.getMessage() == "sent *** to {'password': '***'}"
    assert record.url == "https://***@h/x"
    assert SECRET not in repr(vars(record))


def test_a_traceback_is_redacted_for_every_handler(caplog: pytest.LogCaptureFixture):
    try:
        int(SECRET)
    except ValueError:
        get_logger("hfl_core.demo").exception("failed", stack_info=True)
    (record,) = caplog.records
    assert record.exc_info is None  # a handler that renders it itself would show the secret
    assert "ValueError: invalid literal for int() with base 10: '***'" in (record.exc_text or "")
    assert SECRET not in caplog.text
    assert "Stack (most recent call last)" in caplog.text


def test_exc_info_without_an_exception_is_harmless(caplog: pytest.LogCaptureFixture):
    get_logger("hfl_core.demo").warning("nothing failed", exc_info=True)
    assert caplog.messages == ["nothing failed"]


def test_a_wrong_format_string_does_not_raise(caplog: pytest.LogCaptureFixture):
    get_logger("hfl_core.demo").warning("%d files", "three")
    assert "%d files (could not be formatted" in caplog.messages[0]


def test_nothing_is_configured_at_import_and_only_warnings_are_seen():
    code = (
        "import logging, hfl_core, hfl_core._retry\n"
        "log = hfl_core.get_logger('x')\n"
        "log.info('quiet'); log.warning('seen')\n"
        "root = logging.getLogger()\n"
        "print(root.handlers, [type(h).__name__ for h in logging.getLogger('hfl').handlers], log.level)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[] [] 0\n"
    assert out.stderr == "seen\n"


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (-2, ["critical"]),
        (-1, ["error", "critical"]),
        (0, ["warning", "error", "critical"]),
        (1, ["info", "warning", "error", "critical"]),
        (2, ["debug", "info", "warning", "error", "critical"]),
        (5, ["debug", "info", "warning", "error", "critical"]),
    ],
)
def test_verbosity_decides_what_reaches_stderr(
    verbosity: int, shown: list[str], capsys: pytest.CaptureFixture[str]
):
    configure_logging(verbosity)
    log = get_logger("hfl_core.demo")
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(log, name)("said %s", name)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.findall(r"said (\w+)", captured.err) == shown


def test_a_line_says_when_how_bad_where_and_what(capsys: pytest.CaptureFixture[str]):
    configure_logging()
    get_logger("hfl_core.demo").warning("look")
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING hfl\.core\.demo: look\n", line
    )


def test_configuring_again_replaces_what_was_configured(capsys: pytest.CaptureFixture[str]):
    configure_logging(1)
    configure_logging(1)
    get_logger("hfl_core.demo").info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_stderr_is_the_one_of_now(monkeypatch: pytest.MonkeyPatch):
    configure_logging()
    late = io.StringIO()
    monkeypatch.setattr(sys, "stderr", late)
    get_logger("hfl_core.demo").warning("late")
    assert "late" in late.getvalue()


def test_other_libraries_and_the_root_logger_are_left_alone():
    root, other = logging.getLogger(), logging.getLogger("somebody.else")
    before = (list(root.handlers), root.level, list(other.handlers), other.level)
    configure_logging(2)
    assert (list(root.handlers), root.level, list(other.handlers), other.level) == before


def test_a_child_that_was_not_made_by_us_is_redacted_too(capsys: pytest.CaptureFixture[str]):
    configure_logging()
    logging.getLogger("hfl.plugin").warning("token %s", SECRET)
    assert "token ***" in capsys.readouterr().err


def test_json_lines_carry_the_extras(capsys: pytest.CaptureFixture[str]):
    configure_logging(json=True)
    try:
        Path(SECRET).read_text()
    except OSError:
        get_logger("hfl_core.demo").error(
            "failed ünïcode", exc_info=True, stack_info=True, extra={"step": 5, "path": Path("a/b")}
        )
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["logger"], fields["message"]) == (
        "error",
        "hfl.core.demo",
        "failed ünïcode",
    )
    assert (fields["step"], fields["path"]) == (5, "a/b")
    assert "No such file or directory: '***'" in fields["exception"]
    assert fields["stack"].startswith("Stack")
    assert fields["time"].endswith("Z")


def test_a_file_gets_json_lines_and_is_rotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "logs" / "hfl.log"
    configure_logging(file=path, max_bytes=500, backups=2)
    log = get_logger("hfl_core.demo")
    for number in range(50):
        log.warning("line %d %s", number, SECRET)
    files = sorted(each.name for each in path.parent.iterdir())
    assert files == ["hfl.log", "hfl.log.1", "hfl.log.2"]
    assert all(each.stat().st_size <= 500 for each in path.parent.iterdir())
    lines = [
        json.loads(line) for each in files for line in (path.parent / each).read_text().splitlines()
    ]
    assert {line["message"] for line in lines} <= {f"line {number} ***" for number in range(50)}
    assert json.loads(path.read_text().splitlines()[-1])["message"] == "line 49 ***"
    assert "line 49" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("")
    configure_logging(1)
    with pytest.raises(ConfigError, match="cannot be written"):
        configure_logging(2, file=tmp_path / "file" / "x.log")
    with pytest.raises(ConfigError, match="cannot be written"):
        configure_logging(2, file=tmp_path)
    get_logger("hfl_core.demo").info("still there")
    get_logger("hfl_core.demo").debug("not there")
    assert "still there" in (err := capsys.readouterr().err)
    assert "not there" not in err


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"backups": -1}])
def test_limits_that_make_no_sense_are_refused(options: dict[str, int]):
    with pytest.raises(ConfigError, match="cannot rotate"):
        configure_logging(file="x.log", **options)  # type: ignore[arg-type]  # wrong on purpose


def test_fields_follow_the_message_as_key_value(capsys: pytest.CaptureFixture[str]):
    configure_logging()
    get_logger("hfl_core.demo").warning(
        "saved",
        extra={"step": 5, "loss": 0.123456789, "path": "a b", "quote": 'x"=y', "none": None},
    )
    assert capsys.readouterr().err.rstrip().partition("saved ")[2] == (
        'step=5 loss=0.123457 path="a b" quote="x\\"=y" none=None'
    )


def test_run_and_step_are_in_every_record(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    configure_logging(json=True)
    log = get_logger("hfl_core.demo")
    set_log_context(run="digits-1", step=7)
    try:
        with log_context(shard=3, step=8):
            log.warning("inner", extra={"step": 9})
            thread = threading.Thread(target=log.warning, args=("another thread",))
            thread.start()
            thread.join()
        set_log_context(step=None)
        log.warning("later")
    finally:
        set_log_context(run=None, step=None)
    log.warning("nothing")
    found = [
        (each["message"], each.get("run"), each.get("step"), each.get("shard"))
        for each in map(json.loads, capsys.readouterr().err.splitlines())
    ]
    assert found == [
        ("inner", "digits-1", 9, 3),
        ("another thread", "digits-1", 7, None),
        ("later", "digits-1", None, None),
        ("nothing", None, None, None),
    ]
    assert caplog.records[0].shard == 3  # other libraries' handlers see it too


@pytest.mark.parametrize("name", ["msg", "level", "time", "_private", "exc_info"])
def test_a_field_that_records_have_already_is_refused(name: str):
    with pytest.raises(ConfigError, match=name):
        set_log_context(**{name: 1})
    with pytest.raises(ConfigError, match=name), log_context(**{name: 1}):
        pass  # pragma: no cover  # never entered


def test_a_field_named_like_a_part_of_the_line_hides_nothing(capsys: pytest.CaptureFixture[str]):
    configure_logging(json=True)
    get_logger("hfl_core.demo").warning("x", extra={"time": "now", "level": 3, "loss": math.nan})
    fields = json.loads(capsys.readouterr().err)
    assert (fields["time_"], fields["level_"], fields["level"]) == ("now", 3, "warning")
    assert fields["loss"] == "nan"


class Config:
    def __str__(self) -> str:
        return f"Config(api_key={SECRET})"


def test_secrets_are_masked_wherever_they_are_in_extra_fields(caplog: pytest.LogCaptureFixture):
    knot: list[object] = []
    knot.append(knot)
    get_logger("hfl_core.demo").warning(
        "x",
        extra={
            "api_key": "plain",
            "eos_token": "<s>",
            "hf_token": 12345,
            "token": 5,
            "nested": {"a": [("b", {"password": "pw"}), {SECRET}], SECRET: 1, "n": 2.5},
            "config": Config(),
            "path": Path("/home/ann/x"),
            "knot": knot,
        },
    )
    (record,) = caplog.records
    assert (record.api_key, record.eos_token, record.hf_token) == ("***", "<s>", "***")
    assert record.token == 5
    assert record.nested == {"a": [("b", {"password": "***"}), {"***"}], "***": 1, "n": 2.5}
    assert record.config == "Config(api_key=***)"
    assert record.path == "~/x"
    assert SECRET not in repr(vars(record))


def test_an_escape_sequence_does_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]):
    configure_logging()
    get_logger("hfl_core.demo").warning("name \x1b[2J\r\x07", extra={"file": "\x1b]0;x"})
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "name \\x1b[2J\\x0d\\x07" in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_level_is_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch):
    for name in ("NO_COLOR", "HFL_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, pipe = Terminal(), io.StringIO()
    configure_logging(1)
    monkeypatch.setattr(sys, "stderr", terminal)
    get_logger("hfl_core.demo").warning("look")
    get_logger("hfl_core.demo").info("plain")
    monkeypatch.setattr(sys, "stderr", pipe)
    get_logger("hfl_core.demo").warning("look")
    assert "\x1b[33mWARNING\x1b[0m" in terminal.getvalue()
    assert terminal.getvalue().count("\x1b") == 2
    assert "\x1b" not in pipe.getvalue()
    monkeypatch.setattr(sys, "stderr", None)
    get_logger("hfl_core.demo").warning("nobody hears it")


def test_the_file_may_say_more_than_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    configure_logging(0, file=tmp_path / "x.log", file_verbosity=2)
    log = get_logger("hfl_core.demo")
    log.debug("detail")
    log.warning("look")
    lines = [json.loads(each)["message"] for each in (tmp_path / "x.log").read_text().splitlines()]
    assert lines == ["detail", "look"]
    assert "detail" not in (err := capsys.readouterr().err)
    assert "look" in err


def test_a_library_that_is_named_is_taken_in_redacted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    silent, loud = logging.getLogger("some.silent"), logging.getLogger("some.loud")
    own = logging.StreamHandler(io.StringIO())
    loud.addHandler(own)
    loud.propagate = False
    loud.setLevel(logging.ERROR)
    try:
        configure_logging(1, file=tmp_path / "x.log", libraries=["some.silent", "some.loud", "hfl"])
        silent.info("token %s", SECRET)
        silent.debug("too much")
        loud.error("broken")
        loud.info("its own level stays")
        get_logger("hfl_core.demo").info("ours once")
        text = (tmp_path / "x.log").read_text()
        assert [json.loads(line)["message"] for line in text.splitlines()] == [
            "token ***",
            "broken",
            "ours once",
        ]
        err = capsys.readouterr().err
        assert "token ***" in err
        assert "broken" not in err  # it writes there itself
        configure_logging()
        assert (silent.handlers, silent.level) == ([], logging.NOTSET)
        assert (loud.handlers, loud.level) == ([own], logging.ERROR)
    finally:
        loud.removeHandler(own)
        loud.propagate = True
        loud.setLevel(logging.NOTSET)
