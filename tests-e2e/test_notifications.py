"""A training in a process of its own tells Slack and Discord what becomes of it, and is never held up by them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

SCRIPT = """
import os, sys
import torch
from hfl_checkpoint import CheckpointManager, EverySteps, KeepBest
from hfl_core import Notifier

with Notifier(os.environ["NOTIFY_URLS"], interval=0.0, drain=float(os.environ.get("DRAIN", "20"))) as notifier:
    model = torch.nn.Linear(2, 2)
    with CheckpointManager(
        "runs/digits", keep=KeepBest("loss"), notify=notifier, metadata={},
        hub=os.environ.get("RUN_REPO"), hub_wait=0.5,
    ) as checkpoints:
        report = None if "RUN_REPO" in os.environ else checkpoints.resume(model=model)
        first = report.checkpoint.step + 1 if report else 1
        for step in range(first, first + 3):
            checkpoints.save(step, model=model, metrics={"loss": 1 / step})
        if "FAIL" in os.environ:
            raise RuntimeError("the loss is " + os.environ["FAIL"])
"""


def _chat() -> Any:
    path = Path(__file__).parents[1] / "packages/hfl-core/tests/chat_services.py"
    spec = importlib.util.spec_from_file_location("chat_services", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chat = _chat()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Any]:
    with chat.ChatServices(tmp_path) as running:
        yield running


@pytest.fixture
def train(tmp_path: Path, services: Any) -> Any:
    def run(*, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=tmp_path,
            env={
                **os.environ,
                **services.environment,
                "NOTIFY_URLS": f"{chat.SLACK} {chat.DISCORD}",
                "HOME": str(tmp_path),
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
                **more,
            },
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def titles(services: Any, host: str) -> list[str]:
    return [chat.text_of(payload).splitlines()[0] for payload in services.payloads(host)]


def test_slack_and_discord_hear_of_the_whole_life_of_a_run(services, train):
    train()
    secret = "hf_" + "a1B2" * 8
    failed = train(FAIL=secret, code=1)
    assert secret in failed.stderr  # Python's own traceback; what we send has it masked
    assert services.refused == []
    for host in ("hooks.slack.com", "discord.com"):
        # Several of one kind may have become one message.
        assert list(dict.fromkeys(titles(services, host))) == [
            "digits: started",
            "digits: new best",
            "digits: finished",
            "digits: resumed",
            "digits: failed",
        ]
        last = chat.text_of(services.payloads(host)[-1])
        assert "RuntimeError: the loss is" in last
        assert "step: 6" in last
        assert secret not in last
    (slack,) = services.payloads("hooks.slack.com")[-1]["attachments"]
    assert slack["color"] == "#A32037"


@pytest.mark.parametrize("how", ["an error 500", "no answer"])
def test_a_webhook_that_fails_or_hangs_changes_nothing_for_the_training(
    services, train, tmp_path, how
):
    services.status = 500 if how == "an error 500" else None
    services.is_mute = how == "no answer"
    done = train(DRAIN="0.2")
    assert services.asked.is_set()
    assert services.received == []
    assert sorted(path.name for path in (tmp_path / "runs/digits").glob("step-*")) == [
        "step-00000003"
    ]
    shown = done.stdout + done.stderr
    assert not any(secret in shown for secret in chat.SECRETS)


def test_uploads_that_never_arrive_are_told(services, train):
    train(RUN_REPO="me/digits", HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="hf_" + "x" * 34)
    assert "digits: an upload is stuck" in titles(services, "discord.com")
    stuck = next(
        text
        for text in map(chat.text_of, services.payloads("discord.com"))
        if "upload is stuck" in text
    )
    assert "hfl checkpoint push" in stuck
