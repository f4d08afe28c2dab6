from __future__ import annotations

import dataclasses
import json

import pyarrow as pa
import pytest

from hfl_core.errors import ConfigError, ConflictError, IntegrityError, ValidationError
from hfl_datasets import DatasetValidationError, RowCountError, SchemaMismatchError
from hfl_datasets._record import RECORD_PATH, DatasetRecord
from hfl_repo import CardConflictError, UploadConflictError

ROWS = [{"id": n, "petal": n * 0.5, "kind": "abc"[n % 3]} for n in range(60)]


def test_a_first_upload_makes_the_repository_and_reads_the_rows_back(dataset, publish) -> None:
    flowers = dataset()
    report = publish(flowers, {"train": ROWS, "test": ROWS[:6]}, message="First")
    assert report.is_verified
    assert dict(report.rows) == {"train": 60, "test": 6}
    assert report.files == (
        "data/train-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
    )
    assert str(report.changes["train"]) == "60 rows, +60 -0"
    assert flowers.load("train", streaming=True).column_names == ["id", "petal", "kind"]
    assert list(flowers.load("test", streaming=True)) == ROWS[:6]


def test_nothing_to_change_makes_no_commit(dataset, publish) -> None:
    flowers = dataset()
    first = publish(flowers, ROWS)
    again = publish(flowers, ROWS)
    assert (again.commit, again.bytes_sent) == (None, 0)
    assert flowers.repo.tree().commit == first.commit


def test_rows_that_came_went_and_changed_are_counted_by_key(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    new = [dict(row, petal=-1.0) if row["id"] == 7 else row for row in ROWS[:-2]]
    report = publish(flowers, [*new, {"id": 99, "petal": 0.0, "kind": "a"}], key="id")
    found = report.changes["train"]
    assert (found.added, found.removed, found.changed) == (1, 2, 1)
    assert "train: 59 rows, +1 -2 ~1" in next(flowers.repo.history()).message


def test_without_a_key_a_changed_row_is_one_less_and_one_more(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    found = publish(flowers, [dict(ROWS[0], petal=9.0), *ROWS[1:]]).changes["train"]
    assert (found.added, found.removed, found.changed) == (1, 1, None)


def test_a_key_that_is_not_one_is_refused_before_anything_is_sent(dataset, publish) -> None:
    flowers = dataset()
    first = publish(flowers, ROWS)
    with pytest.raises(ValidationError, match="the same kind"):
        publish(flowers, ROWS[1:], key="kind")
    with pytest.raises(ValidationError, match="no column 'nr'"):
        publish(flowers, ROWS[1:], key="nr")
    assert flowers.repo.tree().commit == first.commit


def test_files_of_before_go_in_the_same_commit(dataset, publish) -> None:
    flowers = dataset()
    table = pa.table({"x": list(range(30_000))})
    first = publish(flowers, table, max_shard_bytes=40_000)
    assert len(first.files) > 2
    commits = len(list(flowers.repo.history()))
    second = publish(flowers, table.slice(0, 100))
    assert set(second.removed) == set(first.files)
    assert len(list(flowers.repo.history())) == commits + 1
    data = [path for path in flowers.repo.tree().files if path.startswith("data/")]
    assert data == ["data/train-00000-of-00001.parquet"]


def test_a_file_that_did_not_change_is_neither_sent_nor_read(dataset, publish, hub) -> None:
    flowers = dataset()
    batches = [pa.record_batch({"x": list(range(n, n + 5000))}) for n in range(0, 20_000, 5000)]
    publish(flowers, pa.Table.from_batches(batches), max_shard_bytes=40_000)
    more = pa.Table.from_batches([*batches, pa.record_batch({"x": [-1, -2]})])
    hub.requests.clear()
    report = publish(flowers, more, max_shard_bytes=40_000, verify=False)
    found = report.changes["train"]
    assert (found.added, found.removed) == (2, 0)
    sent = sum(record.bytes_in for record in hub.requests if record.method == "PUT")
    size = sum(file.size for file in flowers.repo.tree().files.values() if file.sha256)
    assert 0 < sent < size / 4


def test_splits_that_are_not_named_stay_and_replace_takes_them_out(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, {"train": ROWS, "test": ROWS[:6]})
    report = publish(flowers, {"train": ROWS[:50]})
    assert dict(report.rows) == {"train": 50, "test": 6}
    report = publish(flowers, {"train": ROWS[:50]}, replace=True)
    assert dict(report.rows) == {"train": 50}
    assert report.removed == ("data/test-00000-of-00001.parquet",)
    assert [split["name"] for split in flowers.card().metadata["dataset_info"]["splits"]] == [
        "train"
    ]


def test_new_columns_beside_a_split_that_stays_are_refused(dataset, publish) -> None:
    flowers = dataset()
    first = publish(flowers, {"train": ROWS, "test": ROWS[:6]})
    with pytest.raises(SchemaMismatchError, match="new: nothing expected|nothing found"):
        publish(flowers, {"train": [{"id": 1, "petal": 1.0, "kind": "a", "new": 1}]})
    assert flowers.repo.tree().commit == first.commit


def test_splits_of_different_types_are_refused_before_a_repository_is_made(
    dataset, publish
) -> None:
    flowers = dataset()
    with pytest.raises(SchemaMismatchError, match="x: int64 expected, double found"):
        publish(flowers, {"train": pa.table({"x": [1]}), "test": pa.table({"x": [1.5]})})
    assert not flowers.repo.exists()


def test_the_only_split_may_get_new_columns_and_the_card_follows(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    publish(flowers, [{"text": "a"}])
    features = flowers.card().metadata["dataset_info"]["features"]
    assert features == [{"name": "text", "dtype": "string"}]


def test_what_validation_refuses_is_not_sent(dataset, publish) -> None:
    flowers = dataset()
    with pytest.raises(DatasetValidationError, match="a-b"):
        publish(flowers, {"a-b": ROWS}, validate=True)
    assert not flowers.repo.exists()


def test_several_configurations_stand_side_by_side(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    publish(flowers, [{"text": "a"}], config="names")
    card = flowers.card().metadata
    assert [entry["config_name"] for entry in card["dataset_info"]] == ["default", "names"]
    assert [entry["config_name"] for entry in card["configs"]] == ["default", "names"]
    assert list(flowers.load("train", config="names", streaming=True)) == [{"text": "a"}]
    assert len(list(flowers.load("train", streaming=True))) == 60
    for name in ("data", "a/b", ""):
        with pytest.raises(ValidationError):
            publish(flowers, ROWS, config=name)


def test_a_dry_run_changes_nothing(dataset, publish) -> None:
    flowers = dataset()
    report = publish(flowers, ROWS, dry_run=True)
    assert (report.is_dry_run, report.commit) == (True, None)
    assert not flowers.repo.exists()
    first = publish(flowers, ROWS)
    report = publish(flowers, ROWS[1:], dry_run=True, version="patch")
    assert (report.is_dry_run, str(report.changes["train"])) == (True, "59 rows, +0 -1")
    assert flowers.repo.tree().commit == first.commit
    assert flowers.repo.list_tags() == ()


def test_a_version_that_exists_stays_where_it_is(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS, version="1.0.0")
    with pytest.raises(ConflictError, match=r"'1\.0\.0'"):
        publish(flowers, ROWS[1:], version="1.0.0")
    assert publish(flowers, ROWS[1:], version="minor").version == "1.1.0"
    assert [tag.name for tag in flowers.repo.list_tags()] == ["1.0.0", "1.1.0"]
    assert flowers.tag("patch", message="Again") == "1.1.1"


def test_what_somebody_says_on_the_hub_between_uploads_is_kept_byte_for_byte(
    dataset, publish, commit
) -> None:
    flowers = dataset()
    publish(flowers, ROWS, metadata={"license": "mit", "tags": ["a"]})
    text = flowers.card().text
    text = text.replace("license: mit", "license: gpl-3.0  # asked legal")
    text = text.replace("tags:", "our-field: {keep:   this}\ntags:")
    text = text.replace("# set", "Written  by hand.\n\n# Set") + "\nMore text.\n"
    commit(flowers.repo_id, {"README.md": text.encode()})
    report = publish(flowers, ROWS[1:], metadata={"license": "mit", "tags": ["a"]})
    after = flowers.card().text
    assert "license" in report.kept
    for kept in ("license: gpl-3.0  # asked legal", "our-field: {keep:   this}", "More text."):
        assert kept in after
    assert "Written  by hand.\n\n# Set" in after
    assert "| train | 59 |" in after
    with pytest.raises(CardConflictError):
        publish(flowers, ROWS[2:], metadata={"license": "apache-2.0"})
    publish(flowers, ROWS[2:], metadata={"license": "apache-2.0"}, on_conflict="ours")
    assert flowers.card().metadata["license"] == "apache-2.0"


def test_a_section_that_somebody_edited_or_took_out_stays_so(dataset, publish, commit) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    text = flowers.card().text
    start, end = text.index("<!-- hfl:statistics"), text.index("<!-- /hfl:statistics -->")
    text = text[:start] + text[end + len("<!-- /hfl:statistics -->") :]
    text = text.replace("| `kind` | string | 0 |", "| `kind` | string, one of a, b, c | 0 |")
    commit(flowers.repo_id, {"README.md": text.encode()})
    report = publish(flowers, ROWS[1:])
    after = flowers.card().text
    assert {"schema", "statistics"} <= set(report.kept)
    assert "string, one of a, b, c" in after
    assert "hfl:statistics" not in after


def test_a_card_that_is_edited_during_the_upload_loses_nothing(
    dataset, publish, commit, hub, monkeypatch
) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    original = type(flowers.repo).draft_card
    edits = iter([b"One"])

    def edited_meanwhile(self, *args, **options):
        draft = original(self, *args, **options)
        for line in edits:
            text = self.card().text + line.decode()
            commit(self.repo_id, {"README.md": text.encode()})
        return draft

    monkeypatch.setattr(type(flowers.repo), "draft_card", edited_meanwhile)
    publish(flowers, ROWS[1:])
    assert flowers.card().text.endswith("One")
    assert len(list(flowers.load("train", streaming=True))) == 59


def test_data_that_somebody_replaces_during_the_upload_is_not_overwritten(
    dataset, publish, commit, monkeypatch
) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    original = type(flowers.repo).draft_card

    def replaced_meanwhile(self, *args, **options):
        commit(self.repo_id, {"data/train-00000-of-00001.parquet": b"theirs"})
        return original(self, *args, **options)

    monkeypatch.setattr(type(flowers.repo), "draft_card", replaced_meanwhile)
    with pytest.raises(UploadConflictError, match="train-00000"):
        publish(flowers, ROWS[1:])
    monkeypatch.undo()


def test_rows_that_come_back_damaged_take_the_commit_back(dataset, publish, monkeypatch) -> None:
    from hfl_datasets import _upload

    flowers = dataset()
    publish(flowers, {"train": ROWS, "test": ROWS[:6]})
    before = {path: file.git_sha1 for path, file in flowers.repo.tree().files.items()}
    original = _upload.write_split

    for wrong, error in (({"rows": 58}, RowCountError), ({"content": "0" * 32}, IntegrityError)):
        # What was written is one thing, what this process believes that it wrote another.
        def mistaken(split, folder, wrong=wrong, **options):
            return dataclasses.replace(original(split, folder, **options), **wrong)

        monkeypatch.setattr(_upload, "write_split", mistaken)
        with pytest.raises(error):
            publish(flowers, {"train": ROWS[1:], "more": ROWS[:3]})
        after = {path: file.git_sha1 for path, file in flowers.repo.tree().files.items()}
        assert after == before
    assert list(flowers.load("test", streaming=True)) == ROWS[:6]


def test_the_record_tells_everything_without_reading_a_row(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS, message="First", version="1.0.0")
    record = DatasetRecord.decode(flowers.repo.read(RECORD_PATH))
    assert record is not None
    split = record.config("default").splits["train"]
    assert (split.rows, dict(split.columns)["petal"]) == (60, "double")
    assert split.statistics["petal"]["max"] == 29.5
    assert record.changelog[0].version == "1.0.0"
    assert DatasetRecord.decode(b"{") is None
    assert DatasetRecord.decode(json.dumps({"format": 99}).encode()) is None


def test_arguments_that_make_no_sense_are_refused(dataset, publish) -> None:
    with pytest.raises(ConfigError, match="compare"):
        publish(dataset(), ROWS, compare="cells")
    with pytest.raises(ValidationError, match="dataset_info"):
        dataset().update_card({"dataset_info": {}})
    with pytest.raises(ConfigError, match="gate"):
        dataset().set_gated("perhaps")
    with pytest.raises(ValidationError, match="not a version"):
        publish(dataset(), ROWS, version="newest", dry_run=True)


def test_access_can_be_gated(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    flowers.set_gated("manual", prompt="Say who you are.", fields={"Name": "text"})
    assert flowers.repo.info().gated == "manual"
    assert flowers.card().metadata["extra_gated_fields"] == {"Name": "text"}
    flowers.set_gated(False)
    assert flowers.repo.info().gated is False


def test_counts_alone_read_nothing_back(dataset, publish) -> None:
    flowers = dataset()
    publish(flowers, ROWS)
    found = publish(flowers, ROWS[1:], compare="counts").changes["train"]
    assert (found.before, found.after, found.added) == (60, 59, None)
    assert str(found) == "60 to 59 rows"
