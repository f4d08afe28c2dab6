"""Folders of images and sounds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import datasets
import pytest
from PIL import Image

from hfl_datasets import UnreadableDataError, UnsupportedSourceError, open_source


def picture(red: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for number, label in enumerate(("cat", "dog")):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for red in range(3):
                (folder / f"{red}.png").write_bytes(picture(red + 100 * number))
    return tmp_path


def test_folders_name_splits_and_labels(pets: Path) -> None:
    source = open_source(pets)
    assert list(source.splits) == ["train", "test"]
    split = source.splits["train"]
    assert datasets.Features.from_arrow_schema(split.schema) == datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows = [row for batch in split.batches() for row in batch.to_pylist()]
    assert [row["label"] for row in rows] == [0, 0, 0, 1, 1, 1]
    assert rows[4]["image"] == {"bytes": picture(101), "path": "1.png"}


def test_an_archive_of_images_is_read_without_unpacking(pets: Path, tmp_path: Path) -> None:
    packed = tmp_path / "pets.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(pets.rglob("*.png")):
            archive.write(path, path.relative_to(pets))
    source = open_source(packed)
    assert {
        name: sum(b.num_rows for b in split.batches()) for name, split in source.splits.items()
    } == {
        "train": 6,
        "test": 6,
    }


def test_metadata_gives_columns(tmp_path: Path) -> None:
    for red in range(2):
        (tmp_path / f"{red}.png").write_bytes(picture(red))
    (tmp_path / "metadata.csv").write_text("file_name,caption,size\n0.png,dark,1\n1.png,red,2\n")
    split = open_source(tmp_path).splits["train"]
    rows = [row for batch in split.batches() for row in batch.to_pylist()]
    assert [(row["caption"], row["size"]) for row in rows] == [("dark", 1), ("red", 2)]
    (tmp_path / "2.png").write_bytes(picture(2))
    with pytest.raises(
        UnreadableDataError, match=r"2\.png: No row of the metadata names this file"
    ):
        list(open_source(tmp_path).splits["train"].batches())


def test_sounds_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    split = open_source(tmp_path).splits["train"]
    (batch,) = split.batches()
    assert batch.to_pylist() == [{"audio": {"bytes": b"RIFF", "path": "a.wav"}}]


def test_files_of_several_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(UnsupportedSourceError, match=r"several kinds \(csv, image\)"):
        open_source(tmp_path)
