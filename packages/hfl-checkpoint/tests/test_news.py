"""What a messenger and the log are told of a run."""

from __future__ import annotations

import logging
import signal
from typing import Any, Dict, List, Tuple

import pytest

from hfl_checkpoint import CheckpointManager, EverySteps, KeepBest, KeepLast, OnBest, OnSignal
from hfl_checkpoint._news import News
from hfl_core import log_context, log_fields

Told = List[Tuple[str, str, Dict[str, Any]]]


class Messenger:
    def __init__(self) -> None:
        self.told: Told = []

    def notify(self, event: str, text: str = "", /, **facts: Any) -> bool:
        self.told.append((event, text, {**facts, "run": log_fields().get("run")}))
        return True

    @property
    def events(self) -> List[str]:
        return [event for event, _, _ in self.told]


class State:
    def __init__(self, live: Any, step: int) -> None:
        self.step, self.epoch, self._live = step, None, live(step)

    def components(self) -> Dict[str, Any]:
        return dict(self._live.components)


@pytest.fixture
def messenger() -> Messenger:
    return Messenger()


def train(manager: CheckpointManager, live: Any, *losses: float, begin: int = 0) -> None:
    for number, loss in enumerate(losses, start=begin + 1):
        manager.step(State(live, number), loss=loss)


def test_a_run_starts_finds_a_new_best_and_finishes(open_manager, live, messenger, run_path):
    manager = open_manager(save=EverySteps(1) | OnBest("loss"), keep=KeepLast(2), notify=messenger)
    train(manager, live, 3.0, 4.0, 2.0)
    manager.close()
    assert messenger.events == ["started", "new_best", "finished"]
    _, _, best = messenger.told[1]
    assert best == {"step": 3, "loss": 2.0, "run": run_path.name}
    assert messenger.told[2][2]["step"] == 3


def test_making_a_manager_and_reading_with_it_is_no_run(open_manager, live, messenger):
    open_manager().save(1, **live(1).components)
    reader = open_manager(notify=messenger)
    reader.load("latest")
    reader.close()
    assert messenger.events == []


def test_a_run_that_goes_on_says_from_where_and_knows_its_best(open_manager, live, messenger):
    first = open_manager(save=EverySteps(1), keep=KeepBest("loss"))
    train(first, live, 3.0, 1.0)
    first.close()
    manager = open_manager(save=EverySteps(1), keep=KeepBest("loss"), notify=messenger)
    assert manager.resume(**live().components) is not None
    train(manager, live, 2.0, 0.5, begin=2)
    manager.close()
    assert messenger.events == ["resumed", "new_best", "finished"]
    assert messenger.told[0][2]["step"] == 2
    assert messenger.told[1][2]["step"] == 4


def test_a_fresh_run_that_asks_to_resume_starts_once(open_manager, live, messenger):
    manager = open_manager(save=EverySteps(1), notify=messenger)
    assert manager.resume(**live().components) is None
    train(manager, live, 1.0)
    assert messenger.events == ["started"]


def test_more_is_better_where_a_policy_says_so(open_manager, live, messenger):
    manager = open_manager(
        save=EverySteps(1), keep=KeepBest("acc", mode="max") | KeepLast(1), notify=messenger
    )
    for step, acc in enumerate((0.5, float("nan"), 0.4, 0.9), start=1):
        manager.step(State(live, step), acc=acc)
    assert [(event, facts["step"]) for event, _, facts in messenger.told[1:]] == [("new_best", 4)]


@pytest.mark.parametrize(
    ("error", "event", "words"),
    [
        (ValueError("the loss is NaN"), "failed", "ValueError: the loss is NaN"),
        (KeyboardInterrupt(), "preempted", "KeyboardInterrupt"),
        (SystemExit(3), "failed", "exit status 3"),
        (SystemExit(0), "finished", ""),
    ],
    ids=repr,
)
def test_how_a_run_ends_is_told(run_path, live, messenger, error, event, words):
    with pytest.raises(type(error)), CheckpointManager(  # noqa: PT012  # the block is what ends
        run_path, background=False, notify=messenger
    ) as manager:
        manager.save(1, **live(1).components)
        raise error
    assert messenger.events == ["started", event]
    assert words in messenger.told[-1][1]


def test_a_preempted_run_says_so_when_its_checkpoint_is_safe(run_path, live, messenger):
    policy = OnSignal("SIGUSR1")
    with CheckpointManager(run_path, save=policy, notify=messenger) as manager:
        train(manager, live, 1.0)
        signal.raise_signal(signal.SIGUSR1)
        train(manager, live, 1.0, begin=1)
        assert messenger.events == ["started", "preempted"]
        assert messenger.told[-1][1:] == (
            "It is saved as step-00000002.",
            {"step": 2, "run": run_path.name},
        )
    assert messenger.events == ["started", "preempted"]


def test_a_run_that_went_on_after_a_signal_finishes(run_path, live, messenger):
    with CheckpointManager(
        run_path, save=OnSignal("SIGUSR1") | EverySteps(3), notify=messenger
    ) as manager:
        signal.raise_signal(signal.SIGUSR1)
        train(manager, live, 1.0, 1.0, 1.0)
    assert messenger.events == ["started", "preempted", "finished"]


def test_a_save_that_fails_at_the_end_is_a_failed_run(run_path, live, messenger, monkeypatch):
    with pytest.raises(OSError, match="broken"), CheckpointManager(  # noqa: PT012
        run_path, notify=messenger
    ) as manager:
        manager.save(1, **live(1).components).result()

        def fail(path: Any, content: Any) -> None:
            raise OSError("broken")

        monkeypatch.setattr(manager._run.files, "write_bytes", fail)
        manager.save(2, **live(2).components)
    assert messenger.events == ["started", "failed"]


def test_a_messenger_that_raises_costs_nothing(open_manager, live, caplog):
    class Broken:
        def notify(self, event: str, text: str = "", /, **facts: Any) -> bool:
            raise ConnectionError("down")

    manager = open_manager(save=EverySteps(1), notify=Broken())
    train(manager, live, 1.0)
    manager.close()
    assert len(manager.checkpoints()) == 1
    assert caplog.text.count("the notification failed") == 2  # the beginning and the end


def test_a_function_hears_only_what_a_person_has_to_do(open_manager, live):
    told: List[str] = []
    manager = open_manager(save=EverySteps(1) | OnBest("loss"), notify=told.append)
    train(manager, live, 2.0, 1.0)
    manager._news.upload_stuck("Nothing was published for an hour.")
    manager.close()
    assert told == ["Nothing was published for an hour."]


def test_stuck_uploads_are_told_once_until_they_go_on(messenger):
    news = News("digits", messenger)
    for _ in range(2):
        news.upload_stuck("The Hub is gone.")
    news.uploads_go_on()
    news.upload_stuck("The Hub is gone again.")
    assert [text for _, text, _ in messenger.told] == ["The Hub is gone.", "The Hub is gone again."]


def test_without_a_messenger_no_list_of_checkpoints_is_read(open_manager, live):
    manager = open_manager(save=OnBest("loss"), keep=KeepBest("loss"))
    assert manager._news._goals == ()
    assert manager._news.is_under_way


def test_records_say_which_run_and_step_they_belong_to(open_manager, live, run_path):
    manager = open_manager(save=EverySteps(2))
    train(manager, live, 1.0, 1.0, 1.0)
    known = dict(log_fields())
    assert (known["run"], known["step"]) == (run_path.name, 3)
    assert known["run_id"] == manager.latest().run_id
    manager.close()
    assert {"run", "run_id", "step"}.isdisjoint(log_fields())


def test_a_manager_that_was_never_closed_lends_its_name_to_no_other_run(
    open_manager, live, run_path
):
    train(open_manager(run_path / "first", save=EverySteps(2)), live, 1.0)
    second = open_manager(run_path / "second", save=EverySteps(2))
    train(second, live, 1.0, 1.0)
    assert log_fields()["run"] == "second"
    second.close()
    assert "run" not in log_fields()


def test_a_record_of_a_save_says_the_step_that_is_saved(run_path, live, caplog):
    steps: List[Any] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            steps.append((record.getMessage(), log_fields()["step"]))

    class Policy(EverySteps):
        def on_commit(self, seconds: float) -> None:
            logging.getLogger("hfl.test").warning("committed")

    listener = Listener()
    logging.getLogger("hfl.test").addHandler(listener)
    try:
        with CheckpointManager(run_path, save=Policy(1)) as manager:
            train(manager, live, 1.0)
            manager.wait()
    finally:
        logging.getLogger("hfl.test").removeHandler(listener)
    assert steps == [("committed", 1)]


def test_what_the_program_said_about_itself_stays(open_manager, live):
    with log_context(run="digits-1"):
        manager = open_manager(save=EverySteps(1))
        train(manager, live, 1.0)
        assert log_fields()["run"] == "digits-1"
        manager.close()
        assert log_fields()["run"] == "digits-1"
