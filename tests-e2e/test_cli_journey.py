"""From `hfl init` to a resume on another machine, each step a process, with secrets planted at every door.

The same journey is looked at twice: whether each command did what it says, and whether anything private is in
any byte that was written: checkpoints, metadata, cards, the Hub, logs at DEBUG, errors and results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from hfl_localhub import LocalHub

BIN = Path(sys.executable).parent
SECRETS = {
    "a token in a hyperparameter's text": "hf_" + "Qw3r" * 8 + "Ty",
    "a value under a secret name": "correct-horse-battery-staple",
    "an OpenAI key in an argument": "sk-proj-" + "Zx9c" * 10,
    "an AWS key in the environment": "AKIA" + "Q7" * 8,
    "a password in a URL": "hunter2hunter2",
    "a password in git's remote": "ghp_" + "a1B2" * 9,
}
# What only looks like one, and has to stay.
HARMLESS = {"use_cls_token": True, "num_memory_tokens": 16, "tokenizer_name": "bert-base"}

TRAIN = """
import os, sys
import torch
from hfl_checkpoint import CheckpointManager, EverySteps
from hfl_core import configure_logging, get_logger
from hfl_state import TrainingState

S = {secrets!r}
home = os.path.expanduser("~")
configure_logging(2, file="training.log", json=True)
log = get_logger("training")

class Model(torch.nn.Linear):
    class Config:
        def to_dict(self):
            return {{"name_or_path": home + "/models/base", "hidden": 2}}
    config = Config()

torch.manual_seed(0)
model = Model(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
state = TrainingState(model=model, optimizer=optimizer, loader=torch.utils.data.DataLoader(torch.rand(64, 2), batch_size=4), seed=1)
hyperparameters = {{
    "lr": 0.1, "note": "log in with " + S["a token in a hyperparameter's text"], "api_key": S["a value under a secret name"],
    "dataset": "https://ann:" + S["a password in a URL"] + "@data.example.org/x", "folder": home + "/data", **{harmless!r},
}}
log.debug("starting with %s in %s", hyperparameters, home)
with CheckpointManager(
    "runs/digits", save=EverySteps(5), hub=os.environ.get("RUN_REPO"), hub_keep="last:2" if "RUN_REPO" in os.environ else None, hub_wait=0, metadata={{"hyperparameters": hyperparameters, "model": model}},
) as checkpoints:
    report = None if "--fresh" in sys.argv else checkpoints.resume(state)
    print("resumed at", report.checkpoint.step if report else None)
    for batch in state.batches(steps=int(sys.argv[1])):
        loss = model(batch).square().mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        checkpoints.step(state, loss=loss.item(), step_count=state.step)
    if "--fail" in sys.argv:
        log.error("it breaks with %s", S["a value under a secret name"] and "token=" + S["a token in a hyperparameter's text"])
        checkpoints.restore("step-99999999 " + S["a token in a hyperparameter's text"], model=model)
"""


class Machine:
    """A home and a project of somebody, and what every command there said."""

    def __init__(self, root: Path, name: str, hub: LocalHub) -> None:
        self.home = root / f"{name}-home-of-ann-secretive"
        self.project = self.home / "work" / "digits"
        self.project.mkdir(parents=True)
        shared = {
            key: value
            for key, value in hub.settings().items()
            if not key.startswith("HF_TOKEN") and key not in {"HF_HOME", "HOME"}
        }
        self.environ: Dict[str, str] = {
            **shared,
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "AWS_ACCESS_KEY_ID": SECRETS["an AWS key in the environment"],
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
        }
        self.said: List[str] = []
        self.results: List[Tuple[str, Any]] = []

    def run(self, *command: str, code: int = 0, stdin: str = "", **more: str) -> Any:
        done = subprocess.run(
            command,
            cwd=self.project,
            env={**self.environ, **more},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        self.said.append(f"$ {' '.join(command[:3])}\n{done.stdout}\n{done.stderr}")
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done

    def hfl(self, *arguments: str, code: int = 0, **more: Any) -> Any:
        return self.run("hfl", *arguments, code=code, **more)

    def json(self, *arguments: str) -> Any:
        result = json.loads(self.hfl(*arguments, "--format", "json").stdout)
        groups = ("auth", "checkpoint", "config", "metadata", "repo")
        self.results.append((" ".join(arguments[: 2 if arguments[0] in groups else 1]), result))
        return result

    def train(self, *arguments: str, code: int = 0, **more: str) -> Any:
        text = TRAIN.format(secrets=SECRETS, harmless=HARMLESS)
        key = SECRETS["an OpenAI key in an argument"]
        script = self.home / "train.py"  # not in the project: it holds the secrets
        script.write_text(text, encoding="utf-8")
        return self.run(
            sys.executable, str(script), *arguments, f"--api-key={key}", code=code, **more
        )


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dict[str, Any]]:
    root = tmp_path_factory.mktemp("journey")
    with LocalHub(root / "hub") as hub:
        token = hub.create_user("ann")
        yield {**_travel(root, hub, token), "token": token}


def _travel(root: Path, hub: LocalHub, token: str) -> Dict[str, Any]:
    here, there = Machine(root, "laptop", hub), Machine(root, "cluster", hub)
    git = ["git", "-C", str(here.project), "-c", "user.name=ann", "-c", "user.email=ann@example.org"]  # fmt: skip
    remote = f"https://ann:{SECRETS['a password in git' + chr(39) + 's remote']}@git.example.org/ann/digits.git"
    for command in (["init", "-q"], ["remote", "add", "origin", remote], ["commit", "-q", "--allow-empty", "-m", "Begin"]):  # fmt: skip
        subprocess.run([*git, *command], check=True, capture_output=True)
    seen: Dict[str, Any] = {"here": here, "there": there}
    seen["init"] = here.hfl(
        "init", "--profile", "work", "--gitignore", "runs", "--token-stdin", "--format", "json",
        stdin=token,
    )  # fmt: skip
    seen["again"] = here.json("init", "--profile", "work", "--gitignore", "runs")
    seen["train"] = here.train("20", "--fresh", RUN_REPO="ann/digits", HFL_OFFLINE="1")
    seen["list"] = here.json("checkpoint", "list", "runs/digits")
    here.hfl("checkpoint", "list", "runs/digits")
    seen["compare"] = here.json("checkpoint", "compare", "runs/digits")
    seen["plan"] = here.json("checkpoint", "clean", "runs/digits", "--keep", "last:2", "--dry-run")
    seen["refused"] = here.hfl("checkpoint", "clean", "runs/digits", "--keep", "last:2", code=1)
    seen["clean"] = here.json("checkpoint", "clean", "runs/digits", "--keep", "last:2", "--yes")
    seen["kept"] = here.json("list", "runs/digits")  # by its short name
    seen["push"] = here.json("checkpoint", "push", "runs/digits")
    here.hfl("checkpoint", "promote", "runs/digits", "latest", "--to", "ann/digits")
    seen["status"] = here.json("status")
    here.hfl("status")
    here.hfl("doctor", code=0)
    here.hfl("auth", "explain")
    for command in (
        "auth explain", "auth list", "auth whoami", "config list", "config get keep", "config path", "doctor",
        "checkpoint show runs/digits latest", "checkpoint diff runs/digits 15 20", "checkpoint pin runs/digits 20 --label good",
        "checkpoint verify runs/digits --all", "checkpoint export runs/digits latest out", "repo info ann/digits", "repo list",
        "metadata diff runs/digits/step-00000015 runs/digits/step-00000020", "report runs/digits", "repo history ann/digits",
    ):  # fmt: skip
        here.json(*command.split())
    seen["metadata"] = here.json("metadata", "show", "runs/digits")
    here.hfl("metadata", "show", "runs/digits", "-vv")
    here.hfl("report", "runs/digits")
    here.hfl("report", "runs/digits", "--output", "report.md")
    here.hfl("report", "runs/digits", "--output", "report.json")
    here.json("config", "set", "timeout", "60")
    seen["failed"] = here.train("20", "--fail", code=1)
    seen["absent"] = here.hfl("checkpoint", "show", "runs/digits", "99", "--debug", code=4)
    there.hfl("auth", "login", "--token-stdin", "-vv", stdin=token)
    seen["remote"] = there.json("checkpoint", "list", "hf://ann/digits")
    seen["download"] = there.json("checkpoint", "download", "hf://ann/digits", "--to", "runs/digits")  # fmt: skip
    seen["verify"] = there.json("checkpoint", "verify", "runs/digits", "--all")
    seen["resumed"] = there.train("30")
    seen["then"] = there.json("checkpoint", "list", "runs/digits")
    there.hfl("repo", "download", "ann/digits", "--to", "main")
    return seen


def steps(rows: Any) -> List[int]:
    return [row["step"] for row in rows]


def test_a_folder_is_set_up_once(journey):
    said = json.loads(journey["init"].stdout)
    assert (said["status"], said["account"], said["profile"]) == ("created", "ann", "work")
    assert journey["again"]["status"] == "unchanged"
    assert (journey["here"].project / ".gitignore").read_text() == "/runs/\n"


def test_what_was_trained_is_listed_and_compared(journey):
    assert "resumed at None" in journey["train"].stdout
    assert steps(journey["list"]) == [5, 10, 15, 20]
    assert json.dumps(journey["compare"]).count("step-000000") >= 4


def test_cleaning_plans_asks_and_deletes_what_it_said(journey):
    doomed = ["step-00000005", "step-00000010"]
    text = json.dumps(journey["plan"])
    assert all(name in text for name in doomed)
    assert "--yes" in journey["refused"].stderr  # nobody to ask
    assert steps(journey["kept"]) == [15, 20]


def test_what_waited_is_published_and_found_from_elsewhere(journey):
    assert journey["status"]["runs"][0]["waiting"] == 0
    assert 20 in steps(journey["remote"])
    assert journey["verify"]


def test_another_machine_goes_on_where_this_one_stopped(journey):
    assert "resumed at 20" in journey["resumed"].stdout
    assert steps(journey["then"])[-1] == 30
    files = {path.name for path in (journey["there"].project / "main").iterdir()}
    assert {"README.md", "model.safetensors"} <= files


def test_an_error_is_one_line_and_a_hint(journey):
    assert "Traceback" in journey["absent"].stderr  # --debug
    assert "Steps" in journey["absent"].stderr or "step-000000" in journey["absent"].stderr


def test_what_only_looks_like_a_secret_is_on_record(journey):
    known = journey["metadata"]["hyperparameters"]
    assert {name: known[name] for name in HARMLESS} == HARMLESS
    assert known["lr"] == 0.1


SCHEMA = json.loads((Path(__file__).parents[1] / "docs/cli/json.schema.json").read_text())
KINDS: Dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None),
}  # fmt: skip


def complaints(value: Any, schema: Any, where: str = "") -> Iterator[str]:
    """What a JSON Schema says against a value, for the words that ours uses."""
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    ):
        yield f"{where}: {value!r} is not {kinds}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from complaints(item, schema.get("items", {}), f"{where}[{number}]")
    elif isinstance(value, dict):
        yield from (f"{where}: no {key}" for key in schema.get("required", ()) if key not in value)
        more = schema.get("additionalProperties", {})
        for key, item in value.items():
            known = schema.get("properties", {}).get(key, more)
            if known is False:
                yield f"{where}: {key} is not described"
            else:
                yield from complaints(item, known, f"{where}.{key}")


def test_results_in_json_are_as_the_schema_in_the_docs_describes_them(journey):
    results = [*journey["here"].results, *journey["there"].results]
    aliases = {"list": "checkpoint list"}
    for command, result in results:
        described = SCHEMA["$defs"][aliases.get(command, command)]
        assert list(complaints(result, described, command)) == []
    assert {aliases.get(command, command) for command, _ in results} == set(SCHEMA["$defs"])


def test_the_schema_is_no_rubber_stamp():
    status = SCHEMA["$defs"]["status"]
    assert list(complaints({"account": 3}, status, "status"))[-1] == (
        "status.account: 3 is not ['string', 'null']"
    )
    assert any("no runs" in text for text in complaints({}, status))
    assert list(complaints([{"what": 1}], SCHEMA["$defs"]["config path"]))


def test_nothing_private_is_in_any_byte_that_was_written(journey):
    here, there = journey["here"], journey["there"]
    private = {
        **SECRETS,
        "the token of the account": journey["token"],
        "the home of the laptop": str(here.home),
        "the home of the cluster": str(there.home),
    }
    found, looked_at = [], 0
    for machine in (here, there):
        for path in sorted(machine.project.rglob("*")):
            if ".git" in path.relative_to(machine.project).parts or not path.is_file():
                continue
            looked_at += 1
            found += _leaks(path.read_bytes(), str(path.relative_to(machine.project)), private)
        log = (machine.project / "training.log").read_text(encoding="utf-8")
        assert "starting with" in log  # the log is at DEBUG
    assert looked_at > 60
    # On a terminal, a person's own paths are no secret.
    secrets = {name: value for name, value in private.items() if not name.startswith("the home")}
    results = {f"result {n}": text for n, text in enumerate(here.said + there.said)}
    for name, text in results.items():
        shown = "\n".join(line for line in text.splitlines() if not _is_a_path_of_ours(line))
        found += _leaks(shown.encode(), name + " " + text.splitlines()[0], secrets)
    assert found == []


def _is_a_path_of_ours(line: str) -> bool:
    return line.lstrip().startswith('File "')  # Python's own traceback, with the line of the script


def _leaks(data: bytes, where: str, private: Dict[str, str]) -> List[str]:
    return [f"{what} in {where}" for what, value in private.items() if value.encode() in data]
