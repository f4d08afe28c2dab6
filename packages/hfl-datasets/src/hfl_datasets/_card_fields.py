"""The fields of a card's metadata that describe the data: features, splits, sizes, configurations."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from hfl_core.errors import ValidationError
from hfl_datasets._record import ConfigRecord

__all__ = ["COMPUTED", "check_fields", "data_fields"]

# These say what the data is, so they are what the data says, whatever stood there.
COMPUTED = ("dataset_info", "configs")
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
)


def check_fields(metadata: Mapping[str, Any]) -> None:
    """Refuse fields that say what the data is: they are computed.

    Raises:
        ValidationError: There is one.
    """
    computed = [name for name in COMPUTED if name in metadata]
    if computed:
        raise ValidationError(
            f"{computed[0]!r} says what the data is, so it is written when data is uploaded.",
            hint="Leave it out; upload the data to change it.",
        )


def data_fields(
    now: Mapping[str, Any],
    name: str,
    config: ConfigRecord,
    features: Any,
    *,
    download_size: int,
    total_rows: int,
) -> Dict[str, Any]:
    """Say what a configuration consists of, and leave what the card says about others.

    Args:
        now: The metadata that is there.
        name: The configuration.
        config: Its splits.
        features: Its features.
        download_size: Bytes of its files.
        total_rows: Rows of all configurations.

    Returns:
        The fields, for a card.
    """
    return {
        "dataset_info": _dataset_info(
            now.get("dataset_info"), name, config, features, download_size
        ),
        "configs": _configs(now.get("configs"), name, config),
        "size_categories": [next((label for most, label in _SIZES if total_rows < most), "n>1T")],
    }


def _dataset_info(
    now: Any, name: str, config: ConfigRecord, features: Any, download_size: int
) -> Any:
    from datasets.info import DatasetInfo, DatasetInfosDict
    from datasets.splits import SplitDict, SplitInfo
    from huggingface_hub import DatasetCardData

    splits = SplitDict()
    for split, record in config.splits.items():
        splits[split] = SplitInfo(split, num_bytes=record.num_bytes, num_examples=record.rows)
    info = DatasetInfo(
        features=features,
        splits=splits,
        download_size=download_size,
        dataset_size=sum(record.num_bytes for record in config.splits.values()),
        config_name=name,
    )
    data = DatasetCardData()
    DatasetInfosDict({name: info}).to_dataset_card_data(data)
    mine: Dict[str, Any] = dict(data["dataset_info"])
    entries = _entries(now)
    known = entries.get(name, {})
    # What somebody wrote beside the fields that are computed stays.
    entries[name] = {**{key: value for key, value in known.items() if key not in mine}, **mine}
    if len(entries) == 1:
        return entries[name]
    return [
        {"config_name": key, **{k: v for k, v in entry.items() if k != "config_name"}}
        for key, entry in entries.items()
    ]


def _entries(now: Any) -> Dict[str, Dict[str, Any]]:
    listed: List[Any] = now if isinstance(now, list) else [now] if isinstance(now, dict) else []
    return {
        str(entry.get("config_name", "default")): dict(entry)
        for entry in listed
        if isinstance(entry, dict)
    }


def _configs(now: Any, name: str, config: ConfigRecord) -> List[Any]:
    folder = "data" if name == "default" else name
    mine = {
        "config_name": name,
        "data_files": [{"split": split, "path": f"{folder}/{split}-*"} for split in config.splits],
    }
    listed = list(now) if isinstance(now, list) else []
    for index, entry in enumerate(listed):
        if isinstance(entry, dict) and entry.get("config_name") == name:
            listed[index] = {**entry, **mine}
            return listed
    return [*listed, mine]
