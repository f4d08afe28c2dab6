"""Publishing a model whose adapters are merged into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Sequence

from hfl_core.errors import NotFoundError
from hfl_registry._adapters._inspect import require_adapters
from hfl_registry._adapters._merge import merge_adapters
from hfl_registry._adapters._pin import pin_base
from hfl_registry._publishing import Publishing
from hfl_registry._sending import Published
from hfl_registry.errors import UnpinnedBaseError

if TYPE_CHECKING:
    import os

__all__ = ["Merging"]


class Merging(Publishing):
    """What `ModelRegistry` makes of adapters and their base together."""

    def publish_merged(
        self,
        model: Any,
        repo_id: str,
        *,
        adapters: Sequence[str] | None = None,
        dtype: str | None = None,
        dequantize: bool = False,
        merge_tolerance: float | None = None,
        base: str | os.PathLike[str] | None = None,
        base_revision: str | None = None,
        **options: Any,
    ) -> Published:
        """Merge adapters into their base, and publish the result as a model of its own.

        The outputs are compared before anything is sent, see `merge_adapters`. The card tells which
        base it was, if that can be found, and through which data types the weights went.

        Args:
            model: The ``PeftModel``, which is not changed.
            repo_id: Where to.
            adapters: Which adapters; the active ones if None.
            dtype: The data type of the merged weights; the base's if None.
            dequantize: Whether a quantized base may be turned into full precision first.
            merge_tolerance: How far outputs may be apart after merging.
            base: As for `publish_adapters`.
            base_revision: As for `publish_adapters`.
            **options: As for `publish`.

        Returns:
            What became of it.

        Raises:
            MergeError: The merged model computes something else.
            QuantizedMergeError: The base is quantized, and `dequantize` was not asked for.
            HflError: As for `publish`.
        """
        merged = merge_adapters(
            model,
            adapters=adapters,
            dtype=dtype,
            dequantize=dequantize,
            tolerance=merge_tolerance,
            inputs=options.get("inputs"),
        )
        fields: Dict[str, Any] = {}
        try:
            pin = pin_base(
                require_adapters(model), repos=self._repo, base=base, base_revision=base_revision
            )
        except (UnpinnedBaseError, NotFoundError):
            if base is not None:  # asked for by name, so it is not left out in silence
                raise
        else:
            fields = {"base_model": pin.name, "base_model_relation": "finetune"}
            options["license"] = options.get("license") or pin.license
        fields["merge_dtype_path"] = merged.plan.dtype_path
        options["card"] = {**fields, **(options.get("card") or {})}
        return self.publish(merged.model, repo_id, **options)
