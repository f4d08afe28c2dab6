"""What of a training epoch in progress Lightning itself does not save: means, metrics, decisions."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import torch

from hfl_integrations._lightning import _means

_METRICS = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")


def capture(trainer: Any) -> Dict[str, Any]:
    """Read the means of an epoch that are being formed, and the metrics that were logged last.

    Args:
        trainer: The Trainer, between two batches.
    """
    connector = trainer._logger_connector
    return {
        "results": {
            key: _means.capture(item)
            for key, item in trainer.fit_loop.epoch_loop._results.items()
            if item.is_tensor and item.meta.on_epoch and not item.has_reset
        },
        "modules": {
            name: _metric(module)
            for name, module in trainer.lightning_module.named_modules()
            if _is_metric(module)
        },
        "metrics": {
            name: {key: _number(value) for key, value in getattr(connector, name).items()}
            for name in _METRICS
        },
    }


def restore(trainer: Any, saved: Mapping[str, Any], *, within_epoch: bool) -> None:
    """Put it back.

    Args:
        trainer: The Trainer, before its first batch.
        saved: What `capture` returned.
        within_epoch: Whether the epoch goes on; otherwise its means begin anew.
    """
    connector = trainer._logger_connector
    for name in _METRICS:
        getattr(connector, name).update(saved["metrics"].get(name, {}))
    device = trainer.strategy.root_device
    modules = dict(trainer.lightning_module.named_modules())
    for name, state in saved["modules"].items():
        if name in modules and _is_metric(modules[name]):
            _fill(modules[name], state, device)
    if within_epoch and trainer.fit_loop.epoch_loop.batch_progress.current.completed:
        connector._first_loop_iter = False  # else the first batch would begin the means anew
    if within_epoch and saved["results"]:
        _means.restore(trainer, saved["results"])


def _metric(module: Any) -> Dict[str, Any]:
    states = {name: _copy(getattr(module, name)) for name in module._defaults}
    return {"states": states, "updates": int(getattr(module, "_update_count", 0))}


def _fill(metric: Any, saved: Mapping[str, Any], device: Any) -> None:
    for name, value in saved["states"].items():
        setattr(metric, name, _copy(value, device))
    metric._update_count = saved["updates"]
    metric._computed = None


def _copy(value: Any, device: Any = None) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone() if device is None else value.detach().clone().to(device)
    if isinstance(value, (list, tuple)):
        return [_copy(item, device) for item in value]
    return value


def _number(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _is_metric(module: Any) -> bool:
    """Whether it is one of torchmetrics', whose state is in no state dict unless it is asked for."""
    return any(
        cls.__module__.startswith("torchmetrics.metric") and cls.__name__ == "Metric"
        for cls in type(module).__mro__
    )
