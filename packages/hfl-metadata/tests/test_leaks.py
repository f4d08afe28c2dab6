"""With secrets, a home and a name all around, nothing that a record becomes holds one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict

import pytest

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
PASSWORD = "correct-horse-battery"
USER = "alicesmith"
SECRETS = (TOKEN, AWS, PASSWORD, USER, "people/")

SCRIPT = textwrap.dedent("""
    import argparse, dataclasses, json, logging, os, sys, types
    from pathlib import Path
    import hfl_core
    hfl_core.configure_logging(2)
    from hfl_metadata import DataSource, RunMetadata, capture, read_metadata

    token, aws, password, home = (os.environ[n] for n in ("HF_TOKEN", "AWS_KEY", "THE_PASSWORD", "HOME"))

    @dataclasses.dataclass
    class Options:
        hub_token: str = token
        output_dir: Path = Path(home, "runs")
        password: str = password
        url: str = f"https://me:{password}@example.com/x"
        nested: dict = dataclasses.field(default_factory=lambda: {
            "AWS_SECRET_ACCESS_KEY": password, "list": [token, f"--key={aws}"], token: 1,
            "credentials": {"user": "x", "pin": password}, "env": dict(os.environ),
            home: home, "use_cls_token": True, "num_memory_tokens": 16, "max_new_tokens": 512,
            "tokenizer": "bert-base-uncased", "pad_token_id": 0})

    class Model:
        config = types.SimpleNamespace(
            to_dict=lambda: {"_name_or_path": home + "/llama", "auth_token": token},
            quantization_config={"path": home, "token": token})
        def parameters(self):
            return iter(())
        def named_modules(self):
            raise OSError(2, "no such file", home + "/x/" + token)

    class Broken:
        def to_dict(self):
            raise RuntimeError(f"{token} in {home}")

    out = Path(sys.argv[1])
    first = capture(
        Model(), Options(),
        DataSource(home + "/digits", revision=token, splits={home: [home]}, preprocessing=[home, {"token": token}]),
        seeds={"api_key": password}, patch=True, broken=Broken(), object=object(),
        note=f"by alicesmith in {home} with {token}", inf=float("inf"), path=Path(home),
    )
    second = capture(Model(), Broken(), note="other", patch=True)
    out.mkdir()
    for name, record in (("first", first), ("second", second)):
        (out / name).mkdir()
        (out / name / "metadata.json").write_text(record.to_json())
        (out / name / "metadata.yaml").write_text(record.to_yaml())
        (out / name / "str.txt").write_text(str(record))
        (out / name / "repr.txt").write_text(ascii(record))
        (out / name / "diff.txt").write_text(str(record.diff(second, everything=True)))
        (out / name / "diff-repr.txt").write_text(ascii(second.diff(first, everything=True)))
    """)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Run a script in alicesmith's home, in a repository of hers, and give what came out."""
    home = tmp_path_factory.mktemp("people") / USER
    code = home / "code"
    code.mkdir(parents=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "HOME": str(home), "LOGNAME": USER, "USER": USER, "HF_TOKEN": TOKEN, "AWS_KEY": AWS,
        "THE_PASSWORD": PASSWORD, "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": f"{USER}/digits", "SLURM_JOB_USER": USER,
        "CUDA_VISIBLE_DEVICES": "0", "PYTHONPATH": str(home / "site"), "PL_GLOBAL_SEED": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    }  # fmt: skip

    def run(*command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, cwd=code, env=environment, capture_output=True, check=False)

    for name, text in (("train.py", "x = 1\n"), ("uv.lock", "version = 1\n")):
        (code / name).write_text(text)
    who = ("-c", f"user.name={USER}", "-c", f"user.email={USER}@example.com")
    for arguments in (
        ["init", "--quiet"],
        ["checkout", "--quiet", "-b", f"{USER}/feature"],
        ["remote", "add", "origin", f"https://{USER}:{TOKEN}@example.com/{USER}/code.git"],
        ["add", "--all"],
        [*who, "commit", "--quiet", "-m", "first"],
    ):
        assert run("git", *arguments).returncode == 0
    (code / "train.py").write_text(
        f"login({TOKEN!r})  # {USER}\nhome = {str(home)!r}\npassword = {PASSWORD!r}\n"
    )
    info = home / "site" / "x-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: x\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(
        json.dumps(
            {
                "url": f"https://{USER}:{PASSWORD}@example.com/x.whl?token={TOKEN}",
                "archive_info": {},
            }
        )
    )
    (code / "run.py").write_text(SCRIPT)
    out = home / "out"
    done = run(
        sys.executable,
        str(code / "run.py"),
        str(out),
        "--token",
        TOKEN,
        f"--password={PASSWORD}",
        str(home),
    )
    assert done.returncode == 0, done.stderr.decode()
    return {"out": out, "run": run, "said": done.stdout + done.stderr}


def assert_private(data: bytes) -> None:
    for secret in SECRETS:
        assert secret.encode() not in data, data[max(0, data.index(secret.encode()) - 200) :][:400]


def test_the_secrets_would_be_there(place):
    """The planted things reach the record, or the tests below could not fail."""
    record = json.loads((place["out"] / "first" / "metadata.json").read_text())
    assert record["git"]["branch"] == "~/feature"
    assert record["git"]["remote"] == "https://example.com/~/code.git"
    assert "login('***')" in record["git"]["patch"]
    assert record["origins"]["x"]["url"] == "https://example.com/x.whl?token=***"
    assert record["lock_files"][0]["path"] == "uv.lock"
    assert record["launcher"]["details"]["SLURM_JOB_NAME"] == "~/digits"
    assert record["command"][1] == "~/code/run.py"
    assert record["hyperparameters"]["output_dir"] == "~/runs"
    nested = record["hyperparameters"]["nested"]
    assert nested["credentials"] == {"user": "***", "pin": "***"}
    assert {name: nested[name] for name in (
        "use_cls_token", "num_memory_tokens", "max_new_tokens", "tokenizer", "pad_token_id"
    )} == {
        "use_cls_token": True, "num_memory_tokens": 16, "max_new_tokens": 512,
        "tokenizer": "bert-base-uncased", "pad_token_id": 0,
    }  # fmt: skip
    assert record["extra"]["note"] == "by ~ in ~ with ***"
    assert "~/x/***" in record["problems"]["model"]
    second = json.loads((place["out"] / "second" / "metadata.json").read_text())
    assert second["problems"]["hyperparameters"] == "RuntimeError: *** in ~"


def test_no_form_of_a_record_holds_one(place):
    files = [path for path in place["out"].rglob("*") if path.is_file()]
    assert len(files) == 12
    for path in files:
        assert_private(path.read_bytes())
    assert_private(place["said"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "first"],
        *(["show", "first", "--format", kind] for kind in ("json", "yaml", "csv")),
        ["show", "first", "--section", "git", "--section", "hyperparameters"],
        ["diff", "first", "second", "--all"],
        ["diff", "first", "second", "--format", "json"],
        *(["export", "first", "second", "--format", kind] for kind in ("json", "yaml", "csv")),
        ["export", "first", "--format", "requirements"],
        ["export", "first", "--format", "patch"],
        ["--debug", "show", "nowhere"],
        ["--debug", "show", "first/str.txt"],
        ["--debug", "export", "first", "-o", "nowhere/x.json"],
    ],
    ids=" ".join,
)
def test_no_command_shows_one(place, arguments):
    out: Path = place["out"]
    names = ("first", "second", "nowhere", "first/str.txt", "nowhere/x.json")
    full = [str(out / word) if word in names else word for word in arguments]
    program = "import sys; sys.argv[0] = 'hfl-metadata'; from hfl_metadata.cli import main; main()"
    done = place["run"](sys.executable, "-c", program, "-vv", *full)
    assert done.stdout or done.stderr
    assert done.returncode == (
        0 if "--debug" not in arguments else 5 if "first/str.txt" in arguments else 4
    )
    assert_private(done.stdout + done.stderr)
