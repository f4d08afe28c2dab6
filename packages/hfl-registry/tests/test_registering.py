from __future__ import annotations

import pytest
import transformers
from torch import nn

from hfl_core.errors import ConfigError, NotFoundError
from hfl_registry import ModelRegistry, ModelValidationError, RegistrationConflictError
from hfl_registry._heads import head_of


def test_the_auto_classes_find_what_is_registered_and_forget_it_again(registry) -> None:
    from one_file import TinyConfig, TinyForCausalLM

    found = registry.register(TinyForCausalLM, TinyConfig)
    assert dict(found.models) == {"AutoModelForCausalLM": TinyForCausalLM}
    config = transformers.AutoConfig.for_model("tiny-decoder")
    made = transformers.AutoModelForCausalLM.from_config(config)
    assert type(made) is TinyForCausalLM
    registry.unregister(TinyForCausalLM)
    with pytest.raises(ValueError, match="tiny-decoder"):
        transformers.AutoConfig.for_model("tiny-decoder")


def test_several_heads_share_a_configuration(registry) -> None:
    from lab.models.encoder import LabConfig, LabForSequenceClassification, LabModel

    registry.register(LabModel, LabConfig)
    found = registry.register(LabForSequenceClassification, LabConfig)
    assert set(found.models) == {"AutoModel", "AutoModelForSequenceClassification"}
    assert registry.registrations() == (found,)


def test_registering_again_with_a_newer_definition_replaces_the_old_one(registry) -> None:
    def define():
        class CellConfig(transformers.PretrainedConfig):
            model_type = "cell"

        class CellModel(transformers.PreTrainedModel):
            config_class = CellConfig

        CellConfig.__qualname__, CellModel.__qualname__ = "CellConfig", "CellModel"
        return CellModel, CellConfig

    registry.register(*define())
    newer, config = define()
    registry.register(newer, config)
    assert transformers.AutoModel._model_mapping[config] is newer
    assert len(registry.registrations()) == 1


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("GPT2LMHeadModel", "AutoModelForCausalLM"),
        ("BertForMaskedLM", "AutoModelForMaskedLM"),
        ("T5ForConditionalGeneration", "AutoModelForSeq2SeqLM"),
        ("ViTForImageClassification", "AutoModelForImageClassification"),
        ("BertModel", "AutoModel"),
    ],
)
def test_the_head_is_told_by_the_name_or_by_a_parents(name: str, head: str) -> None:
    cls = getattr(transformers, name)
    assert head_of(cls) == head
    assert head_of(type("Tuned", (cls,), {})) == head


def test_a_built_in_name_is_refused(registry) -> None:
    class BertConfig(transformers.PretrainedConfig):
        model_type = "bert"

    class Model(transformers.PreTrainedModel):
        config_class = BertConfig

    with pytest.raises(RegistrationConflictError, match="'bert' belongs to BertConfig of trans"):
        registry.register(Model, BertConfig)


def test_a_name_that_is_registered_already_is_refused(registry) -> None:
    class FirstConfig(transformers.PretrainedConfig):
        model_type = "twice"

    class First(transformers.PreTrainedModel):
        config_class = FirstConfig

    class SecondConfig(FirstConfig):
        pass

    class Second(transformers.PreTrainedModel):
        config_class = SecondConfig

    registry.register(First, FirstConfig)
    with pytest.raises(RegistrationConflictError, match="'twice' belongs to .*FirstConfig"):
        registry.register(Second, SecondConfig)


def test_a_class_without_a_configuration_is_refused_with_its_line(registry) -> None:
    class Bare(transformers.PreTrainedModel):
        pass

    class BareConfig(transformers.PretrainedConfig):
        pass

    with pytest.raises(ModelValidationError) as caught:
        registry.register(Bare, BareConfig)
    first, second = caught.value.problems
    assert first.startswith("test_registering.py:")
    assert "does not name its configuration" in first
    assert "has no model_type (model_type = 'bare')" in second


def test_a_model_without_its_configuration_class_is_refused(registry) -> None:
    from one_file import TinyForCausalLM

    with pytest.raises(ModelValidationError, match=r"no configuration class was given \(it names"):
        registry.register(TinyForCausalLM)


def test_a_plain_module_needs_no_configuration(registry) -> None:
    class DigitNet(nn.Module):
        pass

    found = registry.register(DigitNet)
    assert (found.model_type, found.is_plain) == ("digit-net", True)


def test_an_auto_class_that_does_not_exist_is_refused(registry) -> None:
    from one_file import TinyConfig, TinyForCausalLM

    with pytest.raises(ConfigError, match="no Auto class 'AutoModelForNothing'"):
        registry.register(TinyForCausalLM, TinyConfig, auto_class="AutoModelForNothing")
    assert registry.registrations() == ()


def test_what_is_not_registered_cannot_be_unregistered(registry) -> None:
    with pytest.raises(NotFoundError, match="'nothing' is not registered"):
        registry.unregister("nothing")


def test_a_builtin_configuration_keeps_the_builtin_models(registry) -> None:
    class Louder(transformers.GPT2LMHeadModel):
        pass

    registry.register(Louder, transformers.GPT2Config)
    config = transformers.GPT2Config(n_embd=4, n_layer=1, n_head=1, vocab_size=8, n_positions=4)
    made = transformers.AutoModelForCausalLM.from_config(config)
    assert type(made) is transformers.GPT2LMHeadModel


def test_all_registries_of_a_process_know_the_same(registry) -> None:
    from one_file import TinyConfig, TinyForCausalLM

    found = registry.register(TinyForCausalLM, TinyConfig)
    assert ModelRegistry().registrations() == (found,)
