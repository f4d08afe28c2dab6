"""One run with secrets everywhere: none of them may be found in anything that it leaves behind."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECRETS = {
    "HF_TOKEN": "hf_" + "Zq9X" * 8,
    "WANDB_API_KEY": "0123456789abcdef" * 2 + "feedbeef",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "REMOTE_PASSWORD": "correct-horse-battery",
}

SCRIPT = """
import logging, os, sys, traceback
from hfl_core import (
    ConfigError, HflError, NetworkError, Notifier, Progress, RetryPolicy, Timer, configure_logging, get_logger,
    log_context, redact, set_log_context,
)

token, password = os.environ["HF_TOKEN"], os.environ["REMOTE_PASSWORD"]
remote = f"https://ann:{password}@example.org/ann/digits"
home = os.path.expanduser("~/runs/digits")
logging.basicConfig(level=logging.DEBUG, filename="root.log")
configure_logging(2, file="hfl.log")
log = get_logger("train")
set_log_context(run="digits", remote=remote)

log.debug("environment %s", {k: v for k, v in os.environ.items() if k in os.environ["NAMES"].split()})
log.info("token %s at %s in %s", token, remote, home, extra={"hf_token": token, "headers": {"Authorization": "Bearer " + token}})
with log_context(wandb_api_key=os.environ["WANDB_API_KEY"]):
    log.warning("aws_secret_access_key=%s", os.environ["AWS_SECRET_ACCESS_KEY"])
try:
    try:
        raise ValueError(token)
    except ValueError as error:
        raise HflError(f"No access to {remote}.", hint=f"HF_TOKEN={token}") from error
except HflError:
    log.exception("failed", stack_info=True)

def fetch():
    raise NetworkError(f"{remote} did not answer {token}")

try:
    RetryPolicy(attempts=2, base_delay=0).call(fetch)
except NetworkError as error:
    log.error("gave up: %s", error, exc_info=error)

with Progress(mode="lines", every=1e-9) as progress:
    with progress.task(f"Sending {home} to {remote}", total=2) as task:
        task.advance(); task.finish()

timer = Timer()
with timer.span("train"):
    pass
log.info("%s", timer.summary())

with Notifier(os.environ["URLS"], events=["failed"]) as notifier:
    notifier.notify("failed", f"{token} {remote} {home}", wandb_api_key=os.environ["WANDB_API_KEY"], where=home)
    notifier.flush(60)
    try:
        with notifier.watch():
            raise ValueError(f"{token} at {remote}")
    except ValueError:
        log.exception("the run failed")
    notifier.flush(60)
try:
    Notifier(f"slack://{token}")
except ConfigError as error:
    print(error)
"""


def _chat() -> Any:
    path = Path(__file__).with_name("chat_services.py")
    spec = importlib.util.spec_from_file_location("chat_services", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_secret_and_no_home_is_in_anything_that_a_run_leaves(
    tmp_path: Path, clean_env: dict[str, str]
):
    chat = _chat()
    work = tmp_path / "work"
    work.mkdir()
    with chat.ChatServices(tmp_path) as services:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            capture_output=True,
            check=False,
            timeout=120,
            cwd=work,
            env={
                **clean_env,
                **services.environment,
                **SECRETS,
                "HOME": "/home/ann",
                "XDG_CONFIG_HOME": str(tmp_path),
                "XDG_CACHE_HOME": str(tmp_path),
                "NAMES": " ".join(SECRETS),
                "URLS": f"{chat.SLACK} {chat.DISCORD}",
            },
        )
    assert done.returncode == 0, done.stderr.decode()
    left = {
        "stdout": done.stdout,
        "stderr": done.stderr,
        "messages": json.dumps(services.received).encode(),
        **{each.name: each.read_bytes() for each in work.iterdir()},
    }
    assert {name for name, content in left.items() if not content} == set()
    assert sorted(left) == ["hfl.log", "messages", "root.log", "stderr", "stdout"]
    assert len(services.received) == 4
    for name, content in left.items():
        for secret in (*SECRETS.values(), *chat.SECRETS, "/home/ann"):
            assert secret.encode() not in content, (name, secret)
    assert left["hfl.log"].count(b"***") >= 10
