"""Means of logged values over an epoch that is in progress."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from hfl_integrations._lightning._compat import framework_of

_MODULE = "trainer.connectors.logger_connector.result"
_HOW = ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "add_dataloader_idx")


def capture(item: Any) -> Dict[str, Any]:
    """Read one.

    Args:
        item: Lightning's object for a value that is logged.
    """
    meta = item.meta
    names = ("value", "cumulated_batch_size") if meta.is_mean_reduction else ("value",)
    return {
        "states": {name: getattr(item, name).detach().clone() for name in names},
        "updates": int(item._update_count),
        "how": {
            **{name: getattr(meta, name) for name in _HOW},
            "reduce_fx": meta.reduce_fx.__name__,
            "sync_dist": bool(meta.sync.should),
        },
    }


def restore(trainer: Any, saved: Mapping[str, Any]) -> None:
    """Put means back that are being formed; the next batch that logs to one goes on with it.

    How a value is logged is only known in full when it is. So each is put in its place as far as it is known, for
    the case that no batch logs to it any more, and makes room for its real self otherwise.

    Args:
        trainer: The Trainer.
        saved: Lightning's key to what `capture` returned.
    """
    results: Any = trainer.fit_loop.epoch_loop._results
    device = trainer.strategy.root_device
    standing_in = dict(saved)
    for key, item in saved.items():
        results[key] = _made(trainer, item["how"])
        _fill(results[key], item, device)
    log, update_metrics, reset = results.log, results.update_metrics, results.reset

    def log_it(fx: str, name: str, *args: Any, **kwargs: Any) -> Any:
        if f"{fx}.{name}" in standing_in:
            results.pop(f"{fx}.{name}", None)
        return log(fx, name, *args, **kwargs)

    def update_it(key: str, *args: Any, **kwargs: Any) -> Any:
        if key in standing_in:
            _fill(results[key], standing_in.pop(key), device)
        return update_metrics(key, *args, **kwargs)

    def reset_all(*args: Any, **kwargs: Any) -> Any:
        for key in standing_in:
            results.pop(key, None)
        for name in ("log", "update_metrics", "reset"):
            delattr(results, name)
        return reset(*args, **kwargs)

    results.log, results.update_metrics, results.reset = log_it, update_it, reset_all


def _made(trainer: Any, how: Mapping[str, Any]) -> Any:
    framework = framework_of(trainer)
    meta = framework.find(_MODULE, "_Metadata")(
        **{name: how[name] for name in _HOW}, reduce_fx=how["reduce_fx"]
    )
    meta.sync = framework.find(_MODULE, "_Sync")(
        fn=trainer.strategy.reduce, _should=how["sync_dist"]
    )
    return framework.find(_MODULE, "_ResultMetric")(meta, True).to(trainer.strategy.root_device)


def _fill(metric: Any, saved: Mapping[str, Any], device: Any) -> None:
    for name, value in saved["states"].items():
        setattr(metric, name, value.detach().clone().to(device))
    metric._update_count = saved["updates"]
    metric._computed = None
