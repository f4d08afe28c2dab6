from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from hfl_core import ConfigError, Notifier, log_context


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chat = _load("chat_services")
DISCORD, SECRETS, SLACK, text_of = chat.DISCORD, chat.SECRETS, chat.SLACK, chat.text_of

TOKEN = "hf_" + "a1B2" * 8
# Delivered or given up within this many seconds on a machine that is busy; nothing waits for it.
SOON = 60.0


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with chat.ChatServices(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def standing_still() -> float:
    return 100.0


def test_slack_and_discord_take_the_real_payload(services: Any):
    with Notifier([SLACK, DISCORD], run="digits") as notifier:
        assert notifier.notify("new_best", "The loss fell.", step=500, loss=0.25)
        assert notifier.flush(SOON)
        assert (notifier.delivered, notifier.failed, notifier.pending) == (2, 0, 0)
    assert services.refused == []
    (slack,) = services.payloads("hooks.slack.com")
    (attachment,) = slack["attachments"]
    assert attachment["title"] == "digits: new best"
    assert attachment["text"] == "The loss fell.\nstep: 500\nloss: 0.25"
    assert attachment["footer"] == "huggingface-lifecycle"
    (discord,) = services.payloads("discord.com")
    assert discord["content"].splitlines() == [
        "digits: new best",
        "The loss fell.",
        "step: 500",
        "loss: 0.25",
    ]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("started", "started"),
        ("resumed", "resumed"),
        ("finished", "finished"),
        ("failed", "failed"),
        ("preempted", "preempted"),
        ("new_best", "new best"),
        ("disk_low", "disk space is low"),
        ("upload_stuck", "an upload is stuck"),
        ("attention", "needs attention"),
        ("evaluation_done", "evaluation done"),
    ],
)
def test_every_event_is_told_in_words(services: Any, event: str, words: str):
    with Notifier(DISCORD, run="digits") as notifier:
        notifier.notify(event)
        assert notifier.flush(SOON)
    assert text_of(services.received[0][1]).splitlines()[0] == f"digits: {words}"


def test_how_bad_it_is_shows_in_the_colour(services: Any):
    with Notifier(SLACK, run="digits") as notifier:
        for event in ("finished", "failed"):
            notifier.notify(event)
        assert notifier.flush(SOON)
    colors = {each["attachments"][0]["color"] for _, each in services.received}
    assert colors == {"#3AA337", "#A32037"}


def test_addresses_in_apprise_s_form_and_several_in_one_text(services: Any):
    slack = "slack://" + "/".join(SECRETS[:3])
    discord = "discord://" + "/".join(SECRETS[3:])
    with Notifier(f" {slack},{discord}\n", run="digits") as notifier:
        notifier.notify("started")
        assert notifier.flush(SOON)
    assert sorted(host for host, _ in services.received) == ["discord.com", "hooks.slack.com"]


def test_it_can_be_called_with_a_sentence_and_made_to_say_one_event(services: Any):
    with Notifier(DISCORD, run="digits", clock=standing_still) as notifier:
        assert notifier("The save waits for room.")
        assert notifier.sender("upload_stuck")("Nothing was sent for an hour.")
        assert notifier.flush(SOON)
    texts = sorted(text_of(payload) for _, payload in services.received)
    assert texts == [
        "digits: an upload is stuck\nNothing was sent for an hour.",
        "digits: needs attention\nThe save waits for room.",
    ]


def test_the_run_and_the_step_come_from_the_log_s_context(services: Any):
    with Notifier(DISCORD) as notifier:
        with log_context(run="digits-7", step=1200):
            notifier.notify("new_best", loss=0.125)
        assert notifier.flush(SOON)
    text = text_of(services.received[0][1])
    assert text.splitlines() == ["digits-7: new best", "step: 1200", "loss: 0.125"]


def test_a_flood_is_merged_into_one_message(services: Any):
    with Notifier(DISCORD, run="digits", interval=3600) as notifier:
        notifier.notify("new_best", step=0)
        assert notifier.flush(SOON)
        for step in range(1, 1001):
            notifier.notify("new_best", step=step)
        assert len(services.received) == 1
        assert notifier.flush(SOON)
        assert notifier.delivered == 1001
    lines = text_of(services.received[1][1]).splitlines()
    assert len(services.received) == 2
    assert lines[:2] == ["digits: new best", "step: 1000"]
    assert "- 995 more like these" in lines
    assert lines[-1] == "- digits: new best: step: 999"


def test_events_of_a_program_s_own_are_limited_together(services: Any):
    with Notifier(DISCORD, interval=3600) as notifier:
        notifier.notify("step_0")
        assert notifier.flush(SOON)
        for step in range(1, 50):
            notifier.notify(f"step_{step}")
        assert notifier.flush(SOON)
    assert len(services.received) == 2


def test_only_the_events_that_are_wanted_are_sent(services: Any):
    with Notifier(DISCORD, events=["failed"]) as notifier:
        assert not notifier.notify("started")
        assert notifier.notify("failed")
        assert notifier.flush(SOON)
    assert len(services.received) == 1


def test_secrets_homes_and_mentions_do_not_arrive(services: Any):
    with Notifier([SLACK, DISCORD], run=f"run of {TOKEN}") as notifier:
        notifier.notify(
            "failed",
            f"@everyone <!channel> <@U024BE7LH> token {TOKEN} in /home/ann/runs, "
            "https://me:pw12345678@example.org",
            api_key="plain-words",
            headers={"Authorization": f"Bearer {TOKEN}"},
            error=ValueError(TOKEN),
        )
        assert notifier.flush(SOON)
    assert len(services.received) == 2
    for _, payload in services.received:
        whole = json.dumps(payload, ensure_ascii=False)
        for secret in (TOKEN, "/home/ann", "pw12345678", "plain-words"):
            assert secret not in whole
        for mention in ("@everyone", "<!channel", "!channel", "<@U"):
            assert mention not in whole


def test_long_texts_are_cut_to_what_services_take(services: Any):
    with Notifier([SLACK, DISCORD], run="digits " * 99, interval=3600) as notifier:
        notifier.notify("failed", "word " * 5000)
        assert notifier.flush(SOON)
        for _ in range(5):
            notifier.notify("failed", "word " * 5000)
        assert notifier.flush(SOON)
    assert services.refused == []
    assert len(services.received) == 4


@pytest.mark.parametrize("status", [500, 429, 404])
def test_a_service_that_fails_is_logged_once_and_stops_nothing(
    services: Any, caplog: pytest.LogCaptureFixture, status: int
):
    services.status = status
    with caplog.at_level(logging.DEBUG), Notifier(DISCORD) as notifier:
        for _ in range(2):
            assert notifier.notify("failed")
            assert notifier.flush(SOON)
        assert (notifier.delivered, notifier.failed) == (0, 2)
        services.status = None
        notifier.notify("finished")
        assert notifier.flush(SOON)
        assert notifier.delivered == 1
    ours = [each for each in caplog.records if each.name == "hfl.core.notify_channel"]
    assert [each.levelname for each in ours] == ["WARNING", "DEBUG", "INFO"]
    assert "a notification through https was not delivered" in ours[0].getMessage()
    assert not any(secret in caplog.text for secret in SECRETS)


def test_webhooks_stay_out_of_the_logs_of_every_library(
    services: Any, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG), Notifier([SLACK, DISCORD]) as notifier:
        notifier.notify("started")
        assert notifier.flush(SOON)
        logging.getLogger("apprise").warning("another thread's words")
    assert "another thread's words" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_service_that_never_answers_holds_nobody_up(
    services: Any, caplog: pytest.LogCaptureFixture
):
    services.is_mute = True
    notifier = Notifier([f"{SLACK}?rto=600", DISCORD + "?rto=600"])
    assert notifier.notify("started")
    assert services.asked.wait(SOON)
    assert notifier.notify("finished")  # nothing waits for the one that is under way
    assert notifier.pending == 4
    assert not notifier.close(timeout=0.01)
    assert "4 notifications were not delivered in time" in caplog.text
    notifier.notify("failed")
    assert notifier.pending == 2  # those under way; it takes nothing any more
    assert notifier.failed == 2
    services.let_go.set()


def test_one_service_that_hangs_does_not_delay_another(services: Any):
    services.is_mute = True
    with Notifier(f"{SLACK}?rto=600", drain=0) as stuck:
        stuck.notify("started")
        assert services.asked.wait(SOON)
        services.is_mute = False
        with Notifier(DISCORD) as other:
            other.notify("started")
            assert other.flush(SOON)
        services.let_go.set()
    assert len(services.payloads("discord.com")) == 1


SCRIPT = """
import os, sys
from hfl_core import Notifier
notifier = Notifier(os.environ["URLS"], run="digits", drain=float(os.environ["DRAIN"]))
{body}
"""


def run_script(
    services: Any, clean_env: dict[str, str], body: str, urls: str = DISCORD, drain: str = "60"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.format(body=body)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**clean_env, **services.environment, "URLS": urls, "DRAIN": drain},
    )


def test_the_end_of_the_process_sends_what_waits(services: Any, clean_env: dict[str, str]):
    done = run_script(
        services, clean_env, "with notifier.watch():\n    raise ValueError('no more data')"
    )
    assert done.returncode == 1
    texts = [text_of(payload) for _, payload in services.received]
    assert texts[0].startswith("digits: started")
    assert texts[1].startswith("digits: failed\nValueError: no more data\nafter: ")


def test_a_process_ends_while_a_notification_hangs(services: Any, clean_env: dict[str, str]):
    services.is_mute = True
    body = "notifier.notify('finished')\nprint('trained')"
    done = run_script(services, clean_env, body, urls=f"{SLACK}?rto=600&cto=600", drain="0.2")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "1 notifications were not delivered in time" in done.stderr
    services.let_go.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_notifier_of_its_own(services: Any, clean_env: dict[str, str]):
    body = (
        "notifier.notify('started')\n"
        "assert notifier.flush(60)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    notifier.notify('failed', 'in the child')\n"
        "    os._exit(0 if notifier.flush(60) else 1)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    assert run_script(services, clean_env, body).returncode == 0
    # A busy machine may answer so late that a message is sent twice.
    assert any("in the child" in text_of(payload) for _, payload in services.received)


class Guard:
    def __init__(self, *, is_stopping: bool) -> None:
        self.is_stopping = is_stopping
        self.reason = "SIGTERM" if is_stopping else None


@pytest.mark.parametrize(
    ("error", "guard", "event"),
    [
        (None, None, "finished"),
        (None, Guard(is_stopping=False), "finished"),
        (None, Guard(is_stopping=True), "preempted\nSIGTERM"),
        (ValueError("no data"), Guard(is_stopping=True), "failed\nValueError: no data"),
        (KeyboardInterrupt(), None, "preempted\nIt was interrupted."),
        (SystemExit(0), None, "finished"),
        (SystemExit(143), Guard(is_stopping=True), "preempted\nSIGTERM"),
        (SystemExit(143), None, "preempted\nIt ended with 143."),
        (SystemExit(1), None, "failed\nIt ended with 1."),
    ],
)
def test_a_watch_tells_how_a_run_ended(
    services: Any, error: BaseException | None, guard: Any, event: str
):
    notifier = Notifier(DISCORD)
    watch = notifier.watch("digits", resumed_at=500, guard=guard)
    with watch if error is None else pytest.raises(type(error)):
        if error is not None:
            with watch:
                raise error
    assert notifier.close(SOON)
    texts = sorted(text_of(payload) for _, payload in services.received)
    assert texts[1] == "digits: resumed\nstep: 500"
    assert texts[0].startswith(f"digits: {event}\nafter: ")


def test_only_the_first_rank_sends(services: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Notifier(DISCORD) as silent, Notifier(DISCORD, every_rank=True) as loud:
        assert not silent.notify("started")
        assert loud.notify("started")
        assert loud.flush(SOON)
    assert len(services.received) == 1


def test_nobody_to_tell_is_no_error():
    for urls in ("", [], ["", " "]):
        with Notifier(urls) as notifier:
            assert not notifier.notify("started")
            assert notifier.flush()
            assert (notifier.delivered, notifier.failed, notifier.pending) == (0, 0, 0)


@pytest.mark.parametrize(
    "url",
    [f"slack://{TOKEN}", f"nonsense://{TOKEN}", TOKEN, f"https://hooks.slack.com/services/{TOKEN}"],
)
def test_a_wrong_address_is_refused_at_once_and_not_repeated(
    url: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError, match="no address") as caught:
        Notifier(url)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": -1}, "interval=-1"),
        ({"drain": float("inf")}, "drain=inf"),
        ({"events": ["finnished"]}, "no event 'finnished'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Notifier("", **options)


def test_a_fact_that_cannot_be_shown_stops_nothing(services: Any):
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with Notifier(DISCORD, run="digits") as notifier:
        assert notifier.notify("failed", thing=Broken())
        assert notifier.flush(SOON)
    assert "Broken that cannot be shown: RuntimeError" in text_of(services.received[0][1])


def test_a_missing_extra_is_named(clean_env: dict[str, str]):
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'apprise':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from hfl_core import MissingExtraError, Notifier\n"
        "Notifier('').notify('started')\n"
        "try:\n"
        "    Notifier('json://localhost')\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_env
    )
    assert "pip install 'hfl-core[notify]'" in done.stdout
