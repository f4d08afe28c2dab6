"""Models: names without wrappers, versions and extra state kept, and folders that from_pretrained opens."""

from __future__ import annotations

import json
import pathlib
from typing import Any, Dict, Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.swa_utils import AveragedModel

from hfl_checkpoint import CheckpointManager, StateMismatchError
from hfl_checkpoint._modules import canonical_names, matched, unwrap

# torch.compile() only wraps here, nothing is compiled; importing its machinery warns in some releases.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


class Net(nn.Module):
    """Has a part that really is called `module`."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(2, 3)
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


NAMES = list(Net().state_dict())


@pytest.fixture(scope="module", autouse=True)
def process_group() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        yield
        dist.destroy_process_group()


def compiled(module: nn.Module) -> Any:
    return torch.compile(module, backend="eager")


def with_compiled_part(net: Net) -> nn.Module:
    net.layers[0] = compiled(net.layers[0])
    net.module = compiled(net.module)
    return net


WRAPPERS = {
    "plain": lambda net: net,
    "compile": compiled,
    "compiled part": with_compiled_part,
    "data parallel": nn.DataParallel,
    "DDP": nn.parallel.DistributedDataParallel,
    "DDP(compile)": lambda net: nn.parallel.DistributedDataParallel(compiled(net)),
    "compile(DDP)": lambda net: compiled(nn.parallel.DistributedDataParallel(net)),
    "DDP(compiled part)": lambda net: nn.parallel.DistributedDataParallel(with_compiled_part(net)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_leaves_no_mark_and_its_checkpoint_loads_into_every_other(
    tmp_path: pathlib.Path, wrapper: str
) -> None:
    wrapped = WRAPPERS[wrapper](Net())
    expected = {name: value.clone() for name, value in zip(NAMES, wrapped.state_dict().values())}
    with CheckpointManager(tmp_path, background=False) as checkpoints:
        checkpoints.save(1, model=wrapped)

        assert list(canonical_names(wrapped).values()) == NAMES
        loaded = checkpoints.load()["model"]
        assert list(loaded) == NAMES
        Net().load_state_dict(loaded)
        for other, wrap in WRAPPERS.items():
            target = wrap(Net())
            checkpoints.restore(model=target)
            for name, value in zip(NAMES, target.state_dict().values()):
                assert torch.equal(value, expected[name]), (other, name)


@pytest.mark.parametrize(
    "mark",
    ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "_fsdp_wrapped_module."],
)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_state_with_the_marks_of_wrappers_is_understood(mark: str, wrapper: str) -> None:
    """What others saved has them, at the front and within."""
    marked = [f"{mark}{name}" for name in NAMES]
    inner = [
        name.replace("layers.0", "layers._orig_mod.0._checkpoint_wrapped_module") for name in NAMES
    ]
    live = canonical_names(WRAPPERS[wrapper](Net())).values()

    assert list(matched(marked, live).values()) == NAMES
    assert list(matched(inner, live).values()) == NAMES
    assert matched(["elsewhere.weight"], live) == {"elsewhere.weight": "elsewhere.weight"}


def test_two_names_do_not_become_one() -> None:
    assert matched(["module.a", "a"], ["a"]) == {"module.a": "module.a", "a": "a"}


def test_a_running_average_goes_on_and_opens_as_the_model_it_averages(
    tmp_path: pathlib.Path,
) -> None:
    net, target = Net(), Net()
    average, its_average = AveragedModel(net), AveragedModel(Net())
    for _ in range(3):
        net.layers(torch.rand(5, 3))
        average.update_parameters(net)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=net, ema=average, plain=net)
        report = checkpoints.restore(ema=its_average)
        assert its_average.n_averaged == 3
        assert report.warnings[-1:] == ("'plain' is in the checkpoint and was not restored",)
        assert list(checkpoints.load()["ema"]) == ["n_averaged", *NAMES]
        assert "how many updates" in checkpoints.restore(ema=target).warnings[0]
        with pytest.raises(StateMismatchError, match="n_averaged was not saved"):
            checkpoints.restore(plain=AveragedModel(Net()))

    for name, value in average.module.state_dict().items():
        assert torch.equal(its_average.module.state_dict()[name], value)
        assert torch.equal(target.state_dict()[name], value)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_unwrapping_finds_the_model_itself(wrapper: str) -> None:
    net = Net()

    assert unwrap(WRAPPERS[wrapper](net)) is net


def test_a_parallel_part_inside_a_parallel_model_is_stripped_at_its_own_place() -> None:
    net = Net()
    net.layers[0] = nn.DataParallel(net.layers[0])

    assert list(canonical_names(nn.DataParallel(net)).values()) == NAMES


def test_two_keys_with_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self._orig_mod = nn.Linear(1, 1, bias=False)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Doubled()

    with pytest.raises(StateMismatchError, match=r"part\._orig_mod\.weight"):
        CheckpointManager(tmp_path).save(1, model=Outer())

    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("wrapper", ["plain", "DDP(compile)", "compiled part"])
def test_the_versions_of_modules_are_kept(tmp_path: pathlib.Path, wrapper: str) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=WRAPPERS[wrapper](Net()))
        versions = checkpoints.load()["model"]._metadata

    assert versions["layers.1"] == {"version": nn.BatchNorm1d._version}
    assert set(versions) >= {"", "module", "layers", "layers.0", "layers.1"}


def test_an_old_version_reaches_the_module_that_upgrades_it(tmp_path: pathlib.Path) -> None:
    class Versioned(nn.Module):
        _version = 1

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.seen: Any = None

        def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
            self.seen = metadata.get("version")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Versioned()

    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=Holder())
        Versioned._version = 2
        target = Holder()
        checkpoints.restore(model=compiled(target))

    assert target.part.seen == 1


class WithExtra(nn.Module):
    def __init__(self, extra: Any = None) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.extra = extra

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        if state == "refused":
            raise ValueError("this extra state is refused")
        self.extra = state


@pytest.mark.parametrize("wrap", [lambda module: module, compiled, nn.DataParallel])
def test_extra_state_of_any_shape_is_kept(tmp_path: pathlib.Path, wrap: Any) -> None:
    saved = WithExtra({"scale": torch.arange(3.0), "names": ("a", 1)})
    target = WithExtra(torch.zeros(7))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=wrap(saved))
        checkpoints.restore(model=wrap(target))

    assert torch.equal(target.extra["scale"], torch.arange(3.0))
    assert target.extra["names"] == ("a", 1)


def test_extra_state_that_is_a_tensor_may_change_its_shape(tmp_path: pathlib.Path) -> None:
    target = WithExtra(torch.zeros(7))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=WithExtra(torch.ones(2)))
        checkpoints.restore(model=target)

    assert torch.equal(target.extra, torch.ones(2))


def test_a_model_that_refuses_its_extra_state_changes_no_model(tmp_path: pathlib.Path) -> None:
    first, second = nn.Linear(2, 2), WithExtra("mine")
    third = WithExtra("mine too")
    before = {
        name: {key: copy_of(value) for key, value in module.state_dict().items()}
        for name, module in (("first", first), ("second", second), ("third", third))
    }
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(
            1, first=nn.Linear(2, 2), second=WithExtra("ok"), third=WithExtra("refused")
        )
        with pytest.raises(StateMismatchError, match=r"third.*refused"):
            checkpoints.restore(first=first, second=second, third=third)

    for name, module in (("first", first), ("second", second), ("third", third)):
        for key, value in module.state_dict().items():
            assert equal(value, before[name][key]), (name, key)


def copy_of(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def equal(left: Any, right: Any) -> bool:
    return torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right


def test_a_lazy_module_is_restored_before_its_first_batch(tmp_path: pathlib.Path) -> None:
    trained = nn.Sequential(nn.Linear(3, 2))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=trained)
        target = nn.Sequential(nn.LazyLinear(2))
        checkpoints.restore(model=target)

    assert torch.equal(target[0].weight, trained[0].weight)


def test_batch_norm_buffers_are_restored_bit_for_bit(tmp_path: pathlib.Path) -> None:
    net, target = Net(), Net()
    for _ in range(3):
        net.layers(torch.rand(5, 3))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=net)
        checkpoints.restore(model=target)

    assert target.layers[1].num_batches_tracked == 3
    assert torch.equal(target.layers[1].running_var, net.layers[1].running_var)


def test_several_models_have_a_folder_each(tmp_path: pathlib.Path) -> None:
    policy, value, target = Net(), nn.Linear(1, 1), nn.Linear(1, 1)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=policy, critic=value, teacher=Net()).result().path
        checkpoints.restore(critic=target)

    assert (path / "model.safetensors").is_file()
    assert (path / "critic" / "model.safetensors").is_file()
    assert (path / "teacher" / "model.safetensors").is_file()
    assert torch.equal(target.weight, value.weight)


def test_a_model_without_tensors_can_be_saved(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=nn.Sequential(nn.ReLU()))

        assert checkpoints.restore(model=nn.Sequential(nn.ReLU())).restored == ("model",)


def transformers_models() -> Dict[str, Any]:
    import transformers

    gpt2 = transformers.GPT2Config(
        vocab_size=32, n_positions=16, n_embd=8, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2
    )
    bert = transformers.BertConfig(
        vocab_size=32,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    return {
        "gpt2": (transformers.GPT2LMHeadModel, transformers.AutoModelForCausalLM, gpt2),
        "bert": (transformers.BertForMaskedLM, transformers.AutoModelForMaskedLM, bert),
        "bert base": (transformers.BertModel, transformers.AutoModel, bert),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["gpt2", "bert", "bert base"])
@pytest.mark.parametrize("wrap", [lambda model: model, compiled], ids=["plain", "compiled"])
def test_from_pretrained_opens_a_checkpoint(tmp_path: pathlib.Path, name: str, wrap: Any) -> None:
    model_class, auto_class, config = transformers_models()[name]
    model = model_class(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=wrap(model)).result().path
        target = model_class(config)
        checkpoints.restore(model=target)

    found, info = auto_class.from_pretrained(str(path), output_loading_info=True)

    assert type(found) is model_class
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    for other in (found, target):
        for key, value in model.state_dict().items():
            assert torch.equal(other.state_dict()[key], value), key
    if name != "bert base":
        assert found.get_input_embeddings().weight is found.get_output_embeddings().weight


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_from_pretrained_opens_each_of_several_models_with_its_data_type(
    tmp_path: pathlib.Path,
) -> None:
    model_class, auto_class, config = transformers_models()["gpt2"]
    student, teacher = model_class(config).to(torch.bfloat16), model_class(config)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=student, teacher=teacher).result().path

    found = auto_class.from_pretrained(str(path), torch_dtype="auto")
    assert found.dtype == torch.bfloat16
    assert torch.equal(found.transformer.wte.weight, student.transformer.wte.weight)
    other = auto_class.from_pretrained(str(path / "teacher"), torch_dtype="auto")
    assert torch.equal(other.transformer.wte.weight, teacher.transformer.wte.weight)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_name_of_a_base_on_the_hub_is_kept(tmp_path: pathlib.Path) -> None:
    model_class, _, config = transformers_models()["bert base"]
    model = model_class(config)
    before = json.loads(model.config.to_json_string()).get("_name_or_path")
    model.config._name_or_path = "org/base"
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=model).result().path

    written = json.loads((path / "config.json").read_text()).get("_name_or_path")
    # Newer releases of transformers do not write it at all.
    assert written == json.loads(model.config.to_json_string()).get("_name_or_path", before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_no_local_path_reaches_the_configuration(tmp_path: pathlib.Path) -> None:
    model_class, _, config = transformers_models()["bert base"]
    model = model_class(config)
    model.config._name_or_path = "/home/alice/models/base"
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=model).result().path

    assert "alice" not in (path / "config.json").read_text()
    assert model.config._name_or_path == "/home/alice/models/base"
    assert json.loads((path / "config.json").read_text())["architectures"] == ["BertModel"]


def test_the_configuration_of_the_live_model_is_not_changed(tmp_path: pathlib.Path) -> None:
    model_class, _, config = transformers_models()["gpt2"]
    model = model_class(config)
    before = model.config.to_json_string()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=model)

    assert model.config.to_json_string() == before
