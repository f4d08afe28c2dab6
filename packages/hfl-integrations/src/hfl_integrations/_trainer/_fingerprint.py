"""The settings that a position in training depends on, and what has changed of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

# Another value, and the same position means other samples.
_DATA = {
    "per_device_batch_size": "the batch size per device",
    "gradient_accumulation_steps": "the number of batches per step",
    "world_size": "the number of processes",
    "samples": "the number of training samples",
    "seed": "the seed",
    "data_seed": "the seed of the data order",
    "drop_last": "dataloader_drop_last",
}
# Another value, and the checkpoint's stays in force, or the schedule takes another course.
_PLAN = {
    "learning_rate": "the learning rate",
    "lr_scheduler_type": "the kind of learning rate schedule",
    "max_steps": "the number of steps to train",
    "weight_decay": "the weight decay",
}


def fingerprint(trainer: Any) -> Dict[str, Any]:
    """Return the settings by which two processes of one run are compared.

    Args:
        trainer: The Trainer, in training.
    """
    args = trainer.args
    return {
        "per_device_batch_size": args.per_device_train_batch_size,
        "gradient_accumulation_steps": args.gradient_accumulation_steps,
        "world_size": args.world_size,
        "samples": dataset_length(trainer.train_dataset),
        "seed": args.seed,
        "data_seed": args.data_seed,
        "drop_last": args.dataloader_drop_last,
        "learning_rate": args.learning_rate,
        "lr_scheduler_type": str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)),
        "max_steps": trainer.state.max_steps,
        "weight_decay": args.weight_decay,
    }


def moved_data(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    """Say which settings have changed that decide which samples come next."""
    return _differences(_DATA, saved, live)


def changed_plan(saved: Mapping[str, Any], live: Mapping[str, Any]) -> List[str]:
    """Say which settings have changed that decide how the learning rate goes on."""
    return _differences(_PLAN, saved, live)


def _differences(
    names: Mapping[str, str], saved: Mapping[str, Any], live: Mapping[str, Any]
) -> List[str]:
    return [
        f"{words} was {saved[name]} and is {live[name]}"
        for name, words in names.items()
        if name in saved and saved[name] != live[name]
    ]


def dataset_length(dataset: Any) -> int | None:
    """Ask a dataset for its length; None where it has none."""
    try:
        return len(dataset)
    except TypeError:
        return None
