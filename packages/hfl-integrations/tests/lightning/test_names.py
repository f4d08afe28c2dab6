"""Both names under which Lightning is imported, and both at once."""

from __future__ import annotations

import signal

import pytest

from hfl_core import ConfigError
from hfl_integrations import UnsupportedFrameworkError
from hfl_integrations._lightning._compat import framework_of, require_supported


def test_the_other_name_works_as_well(zygotes, tmp_path) -> None:
    run = zygotes.runner("lightning:pytorch_lightning", tmp_path)
    settings = {"callback": {"every_n_train_steps": 3, "save_top_k": -1}}
    whole = run(directory="whole", test="best", **settings)
    killed = {"directory": "killed", "resume": "last", "expect": signal.SIGKILL, **settings}
    run(signal_at=(5, "SIGKILL"), **killed)
    run(signal_at=(11, "SIGKILL"), **killed)
    resumed = run(directory="killed", resume="last", **settings)
    for name in ("model", "optimizer", "metrics", "step"):
        assert resumed[name] == whole[name], name
    looped = run(directory="fabric", fabric=True)
    assert looped["step"] == 21
    run(plugin=True, save_to="first", **settings)


@pytest.mark.parametrize("version", ["2.2.5", "1.9.0", "2.7.0", "3.0"])
def test_a_version_out_of_range_is_refused(version) -> None:
    with pytest.raises(UnsupportedFrameworkError, match="works with lightning>=2.3,<2.7"):
        require_supported("lightning", version)


def test_what_is_not_lightnings_is_refused() -> None:
    with pytest.raises(ConfigError, match="none of Lightning's classes"):
        framework_of(object())
