from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hfl_core.errors import NetworkError

TABLE = pa.table({"x": list(range(20_000)), "y": [float(n % 97) for n in range(20_000)]})
UPLOAD = """
import sys
from hfl_datasets import DatasetManager
report = DatasetManager(sys.argv[1]).upload(
    sys.argv[2],
    example=False,
    validate=False,
    compare="counts",
    max_shard_bytes=100_000,
    version="2.0.0",
)
print(report.commit, report.bytes_sent)
"""


@pytest.fixture
def elsewhere(hub, token, tmp_path):
    """Upload in a process of its own."""

    def elsewhere(dataset, path):
        environment = hub.environment(token)
        environment.update(
            HOME=str(tmp_path),
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            HFL_RETRY_ATTEMPTS="2",
            HF_HUB_DISABLE_XET="1",
        )
        return subprocess.Popen(
            [sys.executable, "-c", UPLOAD, dataset.repo_id, str(path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return elsewhere


def waited_for(fault, process):
    """Wait until a request is held; the process can go no further then."""
    poll = threading.Event()
    while not fault.hits:
        assert process.poll() is None, process.communicate()
        poll.wait(0.02)


STEPS = {
    "asking what the Hub has": {"path": "*/info/lfs/objects/batch", "method": "POST"},
    "sending the second of the files": {"method": "PUT", "skip": 1, "direction": "upload"},
    "committing": {"path": "*/commit/*", "method": "POST", "status": 503, "times": None},
    "reading back": {"path": "*/resolve/*.parquet", "method": "GET"},
    "tagging": {"path": "*/tag/*", "method": "POST"},
}


@pytest.mark.torture
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_branch_is_valid_and_another_try_finishes_it(
    step, dataset, publish, hub, elsewhere, tmp_path
) -> None:
    flowers = dataset()
    first = publish(flowers, TABLE.slice(0, 50))
    path = tmp_path / "train.parquet"
    pq.write_table(TABLE, path)
    # A commit whose answer is held has landed; one that is refused is tried again until the process is killed.
    arm = hub.faults.answer if "status" in STEPS[step] else hub.faults.stall
    fault = arm(**STEPS[step])
    process = elsewhere(flowers, path)
    waited_for(fault, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.faults.clear()
    is_committed = step in ("reading back", "tagging")
    rows = sum(1 for _ in flowers.load("train", streaming=True))
    assert rows == (20_000 if is_committed else 50)
    assert (flowers.repo.tree().commit == first.commit) is not is_committed
    hub.requests.clear()
    report = publish(flowers, str(path), max_shard_bytes=100_000, version="2.0.0")
    assert (report.commit is None) is (step == "tagging")
    assert "2.0.0" in [tag.name for tag in flowers.repo.list_tags()]
    assert sum(1 for _ in flowers.load("train", streaming=True)) == 20_000
    tree = flowers.repo.tree()
    data = {path: file for path, file in tree.files.items() if file.sha256}
    assert len(data) > 2
    sent = sum(record.bytes_in for record in hub.requests if record.method == "PUT")
    total = sum(file.size for file in data.values())
    if step == "asking what the Hub has":
        assert sent == total
    elif step == "sending the second of the files":
        assert sent < total
    else:
        assert sent == 0
    # What the process that was killed left behind is cleared up.
    uploads = tmp_path / "cache" / "hfl" / "datasets" / "uploads"
    assert list(uploads.iterdir()) == []


CUTS = {
    "the answer to the commit": ("drop", {"after": 0, "path": "*/commit/*"}),
    "the commit": ("drop", {"after": 50, "path": "*/commit/*", "direction": "upload"}),
    "a file": ("drop", {"after": 1000, "method": "PUT", "direction": "upload"}),
    "a file that arrives damaged": (
        "corrupt",
        {"at": 1000, "method": "PUT", "direction": "upload"},
    ),
    "reading back": ("drop", {"after": 1000, "path": "*/resolve/*.parquet"}),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_connection_is_taken_up_again(cut, dataset, publish, hub) -> None:
    flowers = dataset()
    publish(flowers, TABLE.slice(0, 50))
    kind, options = CUTS[cut]
    fault = getattr(hub.faults, kind)(**options)
    report = publish(flowers, TABLE, max_shard_bytes=100_000)
    assert fault.hits == 1
    assert report.is_verified
    assert sum(1 for _ in flowers.load("train", streaming=True)) == 20_000
    assert len(list(flowers.repo.history())) == 3  # the Hub's own first one among them


def test_a_hub_that_does_not_come_back_leaves_everything_as_it_was(dataset, publish, hub) -> None:
    flowers = dataset()
    first = publish(flowers, TABLE.slice(0, 50))
    fault = hub.faults.answer(503, path="*/commit/*", times=None)
    with pytest.raises(NetworkError):
        publish(flowers, TABLE, max_shard_bytes=100_000)
    assert fault.hits > 1
    hub.faults.clear()
    assert flowers.repo.tree().commit == first.commit
    hub.requests.clear()
    report = publish(flowers, TABLE, max_shard_bytes=100_000)
    assert report.commit is not None
    # Everything but the commit had arrived: its small files are all that is sent.
    assert hub.requests.count("PUT", "*") == 0


LOAD = """
import json, sys
from datasets import load_dataset
plain = load_dataset(sys.argv[1])
found = {name: [split.num_rows, split[3], str(split.features)] for name, split in plain.items()}
for name in plain:
    rows = list(load_dataset(sys.argv[1], split=name, streaming=True))
    assert rows == list(plain[name]), name
print(json.dumps(found, default=str))
"""


def test_the_datasets_library_loads_it_plain_and_streaming_in_a_process_of_its_own(
    dataset, hub, token, tmp_path
) -> None:
    import datasets

    rows = datasets.Dataset.from_dict(
        {
            "text": [f"flower {n}" for n in range(30)],
            "label": [n % 3 for n in range(30)],
            "sizes": [[n, n + 1] for n in range(30)],
            "parts": [[{"name": "petal", "count": n}] for n in range(30)],
        },
        features=datasets.Features(
            {
                "text": datasets.Value("string"),
                "label": datasets.ClassLabel(names=["setosa", "versicolor", "virginica"]),
                "sizes": datasets.Sequence(datasets.Value("int32")),
                "parts": [{"name": datasets.Value("string"), "count": datasets.Value("int64")}],
            }
        ),
    )
    flowers = dataset()
    report = flowers.upload(
        {"train": rows, "test": rows.select(range(20, 26))}, validate=False, version="1.0.0"
    )
    card = flowers.card()
    assert f'load_dataset("{flowers.repo_id}", split="train", streaming=True)' in card.body
    assert "#> {'text': 'flower 0', 'label': 0" in card.body
    assert "setosa (33.3 %)" in card.body
    environment = {**hub.environment(token), "HOME": str(tmp_path)}
    environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, flowers.repo_id],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert {name: each[0] for name, each in found.items()} == dict(report.rows)
    assert found["test"][1] == {
        "text": "flower 23",
        "label": 2,
        "sizes": [23, 24],
        "parts": [{"name": "petal", "count": 23}],
    }
    assert "setosa" in found["train"][2]
    assert os.fspath(tmp_path) not in card.text
