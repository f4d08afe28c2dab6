"""What the worker processes of a Trainer's data loaders need: to start in time, and to outlive a signal.

Data loaders with persistent workers draw a random number when their workers start, and never again.
"""

from __future__ import annotations

from typing import Any, Iterable

from hfl_core import SteadyWorker


def start_persistent_workers(trainer: Any) -> None:
    """Start the workers that the interrupted process had started, so that they draw nothing later.

    Called before the random streams are restored. Without it the first epoch after a resume would draw a
    number that an uninterrupted run drew long ago, and all that is random would be another from there on.

    Args:
        trainer: The Trainer, whose state is restored.
    """
    if not (trainer.args.dataloader_persistent_workers and trainer.args.dataloader_num_workers):
        return
    _start(trainer.callback_handler.train_dataloader)
    if any(name.startswith("eval_") for entry in trainer.state.log_history for name in entry):
        for loader in _evaluation_loaders(trainer):
            _start(loader)


def _evaluation_loaders(trainer: Any) -> Iterable[Any]:
    """Those that the Trainer makes once; old versions make them anew for each evaluation."""
    dataset = trainer.eval_dataset
    keys = list(dataset) if isinstance(dataset, dict) else [None]
    for key in keys:
        loader = trainer.get_eval_dataloader(key)
        kept = getattr(trainer, "_eval_dataloaders", {}).values()
        if any(loader is item for item in kept):
            yield loader


def _start(loader: Any) -> None:
    inner = getattr(loader, "base_dataloader", loader)
    if getattr(inner, "persistent_workers", False) and getattr(inner, "_iterator", 0) is None:
        iter(inner)


def keep_steady(loader: Any) -> Any:
    """Let the workers of a data loader outlive a signal that their whole process group gets.

    Otherwise the step in hand fails for want of its batches, before it can be saved.

    Args:
        loader: What the Trainer made.

    Returns:
        The same.
    """
    inner = getattr(loader, "base_dataloader", loader)
    if getattr(inner, "num_workers", 0) and not isinstance(inner.worker_init_fn, SteadyWorker):
        inner.worker_init_fn = SteadyWorker(inner.worker_init_fn)
    return loader
