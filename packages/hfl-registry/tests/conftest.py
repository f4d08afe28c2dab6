from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from hfl_localhub import LocalHub
from hfl_registry import ModelRegistry, _child, _validate
from hfl_registry._autos import unregister_autos
from hfl_registry._registrations import TABLE

SAMPLES = Path(__file__).parent / "samples"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _samples() -> Iterator[None]:
    """The models of these tests are somebody's own modules: on the path, and installed nowhere."""
    sys.path.insert(0, str(SAMPLES))
    yield
    sys.path.remove(str(SAMPLES))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def token(hub: LocalHub) -> str:
    return hub.create_user("ann")


@pytest.fixture(scope="module", autouse=True)
def _at_home(hub: LocalHub, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting, token or cache of the person who runs the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE"):
            patch.delenv(name, raising=False)
        for name, value in hub.settings(token).items():
            patch.setenv(name, value)
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"):
            patch.setenv(name, str(home / name))
        patch.setenv("HOME", str(home))
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        yield


@pytest.fixture
def registry() -> Iterator[ModelRegistry]:
    """A registry that leaves nothing registered."""
    before = {each.model_type for each in TABLE}
    found = ModelRegistry()
    yield found
    for each in TABLE:
        if each.model_type not in before:
            found.unregister(each.model_type)


@pytest.fixture
def name() -> str:
    """A repository that nobody has used."""
    return f"ann/model{next(_NUMBERS)}"


def run_stranger(program: str, request: Any, folder: Path) -> Any:
    """Run a program in a clean process: nothing is on its path but what is installed.

    It finds the request in `request` and leaves its answer in `answer`.
    """
    code = (
        "import json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "request = json.load(open(sys.argv[1]))\n"
        f"{program}\n"
        "json.dump(answer, open(sys.argv[2], 'w'))\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "request.json").write_text(json.dumps(request))
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HF_TOKEN_PATH")}
    environment.update(HF_HOME=str(folder / "hf"), HOME=str(folder), TQDM_DISABLE="1")
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder / "request.json"), str(folder / "answer")],
        cwd=str(folder),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((folder / "answer").read_text())


@pytest.fixture(scope="session")
def stranger() -> Callable[..., Any]:
    """Run a program in a clean process; see `run_stranger`."""
    return run_stranger


@pytest.fixture
def warm_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fresh process of a validation be a fork of this one, which has torch imported already.

    What it runs is the same; that a really fresh one does it too is tested elsewhere.
    """

    def ask(request: Any, work: Path, timeout: float) -> Dict[str, Any]:
        place = work / "request.json"
        place.write_text(json.dumps(request))
        return _forked(lambda: _in_child(place, request["absent"]), place.with_suffix(".answer"))

    monkeypatch.setattr(_validate, "_ask", ask)


def _in_child(place: Path, absent: Any) -> None:
    for each in TABLE:
        unregister_autos(each)
    for module in [key for key in sys.modules if key.partition(".")[0] in absent]:
        del sys.modules[module]
    sys.argv = ["child", str(place)]
    _child.main()


def _save_coverage() -> None:
    """Keep what was measured in a fork, which ends without the handlers that would do it."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage is not None else None
    if measuring is not None:
        measuring.stop()
        measuring.save()


def _forked(function: Callable[[], None], answer: Path) -> Dict[str, Any]:
    with warnings.catch_warnings():
        # Newer Pythons warn of forks of processes with threads; torch's own have nothing to do here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            import torch

            torch.set_num_threads(1)
            function()
            _save_coverage()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    found: Dict[str, Any] = json.loads(answer.read_text())
    return found
