from __future__ import annotations

import subprocess
import sys

import pytest

import hfl_integrations

PUBLIC = {
    "AcceleratedCheckpoints",
    "CompetingCheckpointsError",
    "FabricCheckpoints",
    "LifecycleCallback",
    "LifecycleCheckpoint",
    "LifecycleCheckpointIO",
    "UnsupportedFrameworkError",
    "__version__",
    "export_for_accelerate",
    "export_for_lightning",
    "export_for_trainer",
    "load_lightning_model",
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(hfl_integrations.__all__) == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in PUBLIC:
        assert getattr(hfl_integrations, name) is not None


def test_the_version_is_that_of_the_whole_project() -> None:
    import hfl_core

    assert hfl_integrations.__version__ == hfl_core.__version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = [
        "torch",
        "accelerate",
        "transformers",
        "lightning",
        "pytorch_lightning",
        "datasets",
        "huggingface_hub",
        "numpy",
        "hfl_integrations.errors",
    ]
    code = (
        "import sys, hfl_integrations, hfl_integrations.accelerate, hfl_integrations.lightning, "
        "hfl_integrations.transformers; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_exports_agree_with_the_modules() -> None:
    from hfl_core import check_exports

    assert check_exports("hfl_integrations") == []
    assert check_exports("hfl_integrations.transformers") == []
    assert check_exports("hfl_integrations.accelerate") == []
    assert check_exports("hfl_integrations.lightning") == []


@pytest.mark.parametrize(
    ("modules", "name", "extra"),
    [
        (["accelerate"], "AcceleratedCheckpoints", "accelerate"),
        (["transformers"], "LifecycleCallback", "transformers"),
        (["lightning", "pytorch_lightning"], "LifecycleCheckpoint", "lightning"),
        (["lightning", "pytorch_lightning"], "LifecycleCheckpointIO", "lightning"),
    ],
)
def test_a_framework_that_is_not_installed_is_named_with_its_extra(modules, name, extra) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
        "from hfl_core import MissingExtraError\n"
        "import hfl_integrations\n"
        f"try:\n    hfl_integrations.{name}()\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"hfl-integrations[{extra}]" in done.stdout
