"""What a loop over a prepared data loader does, and what is refused, within one process."""

from __future__ import annotations

import itertools
import logging
import warnings

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from hfl_checkpoint import EverySteps, KeepLast, StateMismatchError
from hfl_core import ConfigError, ConflictError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import, of libraries of its own
    import accelerate
    from accelerate.state import AcceleratorState, GradientState, PartialState

from hfl_integrations import UnsupportedFrameworkError
from hfl_integrations.accelerate import AcceleratedCheckpoints


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """accelerate keeps its state for the whole process."""
    monkeypatch.delenv("HFL_KEEP", raising=False)
    PartialState._reset_state()
    AcceleratorState._reset_state()
    GradientState._reset_state()
    yield
    PartialState._reset_state()
    AcceleratorState._reset_state()
    GradientState._reset_state()


class Training:
    """What a script has."""

    def __init__(self, directory=None, *, seedable=False, data=None, own=None, **options) -> None:
        torch.manual_seed(1)
        config = accelerate.DataLoaderConfiguration(use_seedable_sampler=seedable)
        self.accelerator = accelerate.Accelerator(cpu=True, dataloader_config=config, **(own or {}))
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        if data is None:
            data = DataLoader(TensorDataset(torch.arange(10.0)[:, None]), 2, shuffle=True)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(model, optimizer, data)
        if directory is not None:
            self.checkpoints = AcceleratedCheckpoints(
                self.accelerator, directory, background=False, **options
            )

    def epoch(self, batches=99) -> list:
        seen = []
        for batch in self.loader:
            seen.append(batch[0].flatten().tolist())
            self.train(batch[0])
            if len(seen) == batches:
                break
        return seen

    def train(self, x) -> None:
        with self.accelerator.accumulate(self.model):
            self.accelerator.backward(self.model(x).mean())
            self.optimizer.step()
            self.optimizer.zero_grad()


class Numbers(IterableDataset):
    """A stream that does not know where it is."""

    def __iter__(self):
        return iter(torch.arange(6.0)[:, None])


@pytest.fixture
def training(tmp_path):
    made = Training(tmp_path / "run")
    yield made
    made.checkpoints.close()


# -- loops ----------------------------------------------------------------------------------------


def test_a_loop_that_is_broken_off_begins_anew_with_another_shuffle(training) -> None:
    loops = [training.epoch(2) for _ in range(3)]
    assert len({str(loop) for loop in loops}) == 3
    assert training.checkpoints.epoch == 0
    whole = training.epoch()
    assert sorted(itertools.chain(*whole)) == list(range(10))
    assert training.checkpoints.epoch == 1


def test_with_a_seedable_sampler_a_loop_that_is_broken_off_repeats_its_order(tmp_path) -> None:
    training = Training(tmp_path / "run", seedable=True)
    alone = training.epoch(2)
    assert (
        training.epoch()[:2] == alone
    )  # as with accelerate itself: the order follows from the epoch
    training.checkpoints.close()


def test_a_run_that_breaks_off_saves_and_ends_is_gone_on_from_there(tmp_path) -> None:
    first = Training(tmp_path / "run")
    next(iter(first.loader))  # who only looked at a batch did not begin
    seen = first.epoch(2)
    first.checkpoints.save_state()
    first.checkpoints.close()
    again = Training(tmp_path / "run")
    again.checkpoints.load_state()
    assert sorted(itertools.chain(*seen, *again.epoch())) == list(range(10))
    again.checkpoints.close()


def test_a_run_that_caps_its_epochs_is_gone_on_from_exactly(tmp_path, caplog) -> None:
    whole = Training(tmp_path / "run")
    seen = []
    for _ in range(4):
        seen.append(whole.epoch(2))
        whole.checkpoints.save_state()
    assert caplog.text.count("here that epoch begins anew") == 1
    whole.checkpoints.close()
    again = Training(tmp_path / "run")
    again.checkpoints.load_state(4)
    assert [again.epoch(2), again.epoch(2)] == seen[2:]
    again.checkpoints.close()


def test_an_evaluation_that_is_broken_off_begins_anew(tmp_path) -> None:
    training = Training()
    evaluation = training.accelerator.prepare(DataLoader(torch.arange(6.0)))
    with AcceleratedCheckpoints(training.accelerator, tmp_path / "run") as checkpoints:
        training.epoch()
        for _ in evaluation:
            break
        checkpoints.save_state()
        checkpoints.load_state()
        assert len(list(evaluation)) == 6


def test_looking_at_one_batch_loses_none(training) -> None:
    next(iter(training.loader))
    assert len(training.epoch()) == 5


def test_a_state_that_is_loaded_in_a_loop_is_gone_on_from_in_the_next(training) -> None:
    seen = []
    for number, batch in enumerate(training.loader):
        seen.append(batch[0].flatten().tolist())
        training.train(batch[0])
        if number == 0:
            training.checkpoints.save_state()
        if number == 2:
            training.checkpoints.load_state(1)
    assert len(seen) == 3
    assert training.epoch()[:2] == seen[1:]
    assert training.checkpoints.epoch == 1


def test_a_loop_knows_its_end_as_accelerates_own_does(training) -> None:
    state = training.accelerator.gradient_state
    ends = [state.end_of_dataloader for _ in training.loader]
    assert ends == [False] * 4 + [True]
    assert not state.in_dataloader
    sizes = [len(training.accelerator.gather_for_metrics(batch[0])) for batch in training.loader]
    assert sizes == [2] * 5


def test_an_empty_loader_is_no_epoch(tmp_path) -> None:
    empty = DataLoader(TensorDataset(torch.empty(0, 1)), 2)
    training = Training(tmp_path / "run", data=empty)
    assert training.epoch() == []
    assert training.checkpoints.epoch == 0
    training.checkpoints.close()


def test_another_epoch_than_the_saved_one_is_said(tmp_path, caplog) -> None:
    first = Training(tmp_path / "run")
    first.epoch()
    first.epoch(2)
    first.checkpoints.save_state()
    first.checkpoints.close()
    again = Training(tmp_path / "run")
    again.checkpoints.load_state()
    again.loader.set_epoch(0)
    with caplog.at_level(logging.WARNING, "hfl"):
        assert len(again.epoch()) == 5
    assert "was to go on in epoch 1, and set_epoch(0) was called" in caplog.text
    again.checkpoints.close()


def test_the_loader_has_its_own_loop_again_afterwards(tmp_path) -> None:
    training = Training()
    cls = type(training.loader)
    with AcceleratedCheckpoints(training.accelerator, tmp_path / "run") as checkpoints:
        assert type(training.loader) is not cls
        assert isinstance(training.loader, DataLoader)
        training.epoch()
        assert checkpoints.step == 5
    assert type(training.loader) is cls
    training.epoch()
    assert checkpoints.step == 5


# -- saves ----------------------------------------------------------------------------------------


def test_a_save_without_a_step_since_the_last_is_that_one(training, caplog) -> None:
    training.epoch()
    saved = training.checkpoints.save_state()
    assert training.checkpoints.save_state() is saved
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "hfl"):
        assert training.checkpoints.save_state(metrics={"loss": 1}) is saved
    assert "the metrics of now are not recorded" in caplog.text
    assert len(training.checkpoints.manager.checkpoints()) == 1


def test_a_save_within_an_accumulation_window_is_refused_and_one_that_is_due_waits(
    tmp_path,
) -> None:
    training = Training(
        tmp_path / "run", own={"gradient_accumulation_steps": 2}, save=EverySteps(1)
    )
    saved = []
    for number, batch in enumerate(training.loader):
        training.train(batch[0])
        if number == 2:
            with pytest.raises(
                ConfigError, match="Batch 1 of 2 of an accumulation window"
            ) as caught:
                training.checkpoints.save_state()
            assert "save_if_due()" in caught.value.hint
        saved.append(training.checkpoints.save_if_due() is not None)
    assert saved == [False, True, False, True, True]
    training.checkpoints.close()


def test_what_is_registered_and_prepared_later_is_saved_as_well(training) -> None:
    scheduler = torch.optim.lr_scheduler.StepLR(training.optimizer.optimizer, 1)
    training.accelerator.prepare(scheduler)
    training.accelerator.register_for_checkpointing(torch.nn.BatchNorm1d(1))
    later = training.accelerator.prepare(DataLoader(torch.arange(2.0)))
    training.epoch()
    saved = training.checkpoints.save_state()
    assert {"scheduler", "custom_0"} <= set(saved.components)
    assert len(list(later)) == 2


def test_a_loader_that_nobody_counted_is_refused(training) -> None:
    later = training.accelerator.prepare(DataLoader(torch.arange(4.0)))
    for _ in later:
        with pytest.raises(ConfigError, match="is in use already"):
            training.checkpoints.save_state()
        break


def test_a_stream_without_a_state_is_said_at_once_and_saved_between_epochs(
    tmp_path, caplog
) -> None:
    stream = DataLoader(Numbers(), 2)
    with caplog.at_level(logging.WARNING, "hfl"):
        training = Training(tmp_path / "run", data=stream, save=EverySteps(2))
    assert "data loader 0 can be saved between two loops over it, not within one" in caplog.text
    assert "without state_dict()" in caplog.text
    for batch in training.loader:
        training.train(batch)
        with pytest.raises(ConfigError, match="is in the middle of an epoch") as caught:
            training.checkpoints.save_state()
        assert training.checkpoints.save_if_due() is None
    assert "Save between two epochs" in caught.value.hint
    assert training.checkpoints.save_if_due().step == 3
    training.checkpoints.close()
    again = Training(tmp_path / "run", data=stream)
    again.checkpoints.load_state()
    assert again.checkpoints.epoch == 1
    again.checkpoints.close()


def test_a_loop_over_a_stream_that_is_broken_off_can_be_saved(tmp_path) -> None:
    training = Training(tmp_path / "run", data=DataLoader(Numbers(), 2))
    for batch in training.loader:
        training.train(batch)
        break
    assert training.checkpoints.save_state().epoch == 0
    training.checkpoints.close()


# -- bad input ------------------------------------------------------------------------------------


def test_another_batch_size_or_dataset_is_refused_and_nothing_is_changed(tmp_path) -> None:
    first = Training(tmp_path / "run")
    first.epoch(2)
    first.checkpoints.save_state()
    first.checkpoints.close()
    for other, text in (
        (
            DataLoader(TensorDataset(torch.arange(10.0)[:, None]), 5, shuffle=True),
            "batch size was 2",
        ),
        (
            DataLoader(TensorDataset(torch.arange(12.0)[:, None]), 2, shuffle=True),
            "dataset length was 10",
        ),
        (DataLoader(TensorDataset(torch.arange(10.0)[:, None]), 2), "sampler was 'RandomSampler'"),
        (DataLoader(Numbers(), 2), "It could go on in an epoch then"),
    ):
        again = Training(tmp_path / "run", data=other)
        before = [each.clone() for each in again.model.parameters()]
        with pytest.raises(StateMismatchError, match=text):
            again.checkpoints.load_state()
        assert all(torch.equal(*pair) for pair in zip(before, again.model.parameters()))
        assert again.checkpoints.step == again.checkpoints.epoch == 0
        again.checkpoints.close()


def test_another_batch_size_can_be_insisted_on(tmp_path) -> None:
    first = Training(
        tmp_path / "run", data=DataLoader(TensorDataset(torch.arange(12.0)[:, None]), 2)
    )
    first.epoch(3)
    first.checkpoints.save_state()
    first.checkpoints.close()
    other = DataLoader(TensorDataset(torch.arange(12.0)[:, None]), 3)
    again = Training(tmp_path / "run", data=other, on_change="override")
    again.checkpoints.load_state()
    assert again.epoch() == [[6, 7, 8], [9, 10, 11]]
    again.checkpoints.close()


def test_another_number_of_prepared_objects_is_refused_by_name(tmp_path) -> None:
    first = Training(tmp_path / "run")
    first.accelerator.prepare(torch.nn.Linear(1, 1), DataLoader(torch.arange(4.0)))
    first.epoch()
    first.checkpoints.save_state()
    first.checkpoints.close()
    again = Training(tmp_path / "run")
    with pytest.raises(StateMismatchError) as caught:
        again.checkpoints.load_state()
    assert "2 models were prepared, and 1 are now" in str(caught.value)
    again.accelerator.prepare(torch.nn.Linear(1, 1))
    with pytest.raises(StateMismatchError, match="2 data loaders were prepared, and 1 are now"):
        again.checkpoints.load_state()
    again.checkpoints.close()


def test_two_for_one_directory_or_one_accelerator_are_refused(tmp_path, training) -> None:
    with pytest.raises(ConflictError, match="is open for"):
        Training(tmp_path / "run")
    with pytest.raises(ConflictError, match="has an AcceleratedCheckpoints already"):
        AcceleratedCheckpoints(training.accelerator, tmp_path / "other")
    training.checkpoints.close()
    AcceleratedCheckpoints(training.accelerator, tmp_path / "other").close()


def test_an_accelerator_without_anything_prepared_is_refused(tmp_path) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    with pytest.raises(ConfigError, match="No model was prepared") as caught:
        AcceleratedCheckpoints(accelerator, tmp_path)
    assert "accelerator.prepare" in caught.value.hint
    with pytest.raises(ConfigError, match="A str is not an Accelerator"):
        AcceleratedCheckpoints("run", tmp_path)


def test_options_that_make_no_sense_are_refused_and_loaders_stay_as_they_are(tmp_path) -> None:
    training = Training()
    cls = type(training.loader)
    for options, text in (
        ({"total_limit": 3}, "no option 'total_limit'"),
        ({"nonsense": 3}, "no option 'nonsense'"),
        ({"on_change": "keep"}, "no on_change='keep'"),
        ({"save": 500}, "save=500 is not a save policy"),
    ):
        with pytest.raises(ConfigError, match=text):
            AcceleratedCheckpoints(training.accelerator, tmp_path / "run", **options)
    assert type(training.loader) is cls


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_sharded_training_is_refused_with_what_to_use(tmp_path, kind) -> None:
    training = Training()
    state = training.accelerator.state
    before, state.distributed_type = state.distributed_type, accelerate.DistributedType[kind]
    try:
        with pytest.raises(ConfigError, match=f"uses {kind}") as caught:
            AcceleratedCheckpoints(training.accelerator, tmp_path)
        assert "accelerator.save_state()" in caught.value.hint
    finally:
        state.distributed_type = before


@pytest.mark.parametrize("version", ["0.34.2", "2.0.0"])
def test_a_version_that_is_not_supported_is_said(version) -> None:
    from hfl_integrations._accelerate._compat import require_supported

    with pytest.raises(UnsupportedFrameworkError, match=f"accelerate {version} is installed"):
        require_supported(version)
    require_supported()


def test_the_projects_limit_and_naming_are_followed(tmp_path, caplog) -> None:
    project = accelerate.utils.ProjectConfiguration(
        str(tmp_path), automatic_checkpoint_naming=True, total_limit=2
    )
    for _ in range(2):  # two processes, in a manner of speaking
        training = Training(tmp_path / "run", own={"project_config": project})
        training.checkpoints.load_state()
        for _ in range(2):
            training.epoch()
            training.checkpoints.save_state()
        names = [item.name for item in training.checkpoints.manager.checkpoints()]
        training.checkpoints.close()
    assert names == ["checkpoint_3", "checkpoint_4"]
    assert training.accelerator.save_iteration == 4
    project = accelerate.utils.ProjectConfiguration(
        str(tmp_path), automatic_checkpoint_naming=True, total_limit=2, save_on_each_node=True
    )
    with caplog.at_level(logging.WARNING, "hfl"):
        other = Training(tmp_path / "more", own={"project_config": project}, keep=KeepLast(1))
    assert "total_limit=2 gives way to keep=KeepLast" in caplog.text
    assert "save_on_each_node gives way" in caplog.text
    other.checkpoints.close()
