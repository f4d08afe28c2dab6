"""``hfl checkpoint import`` and ``export``: from and to other programs."""

from __future__ import annotations

from typing import Literal

import click

from hfl_checkpoint._cli_common import run_argument
from hfl_core.cli import Output, format_option

__all__ = ["COMMANDS"]


@click.command("import")
@click.argument("source", type=click.Path())
@click.argument("run", type=click.Path())
@click.option("--step", type=int, help="Optimizer steps taken, where SOURCE does not say.")
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Unpickle, which runs code that the files name. Only for files whose origin you know.",
)
@format_option
def import_command(
    source: str, run: str, step: int | None, trust_pickle: bool, output: Output
) -> None:
    """Make a checkpoint of SOURCE, the first one of the new run RUN.

    SOURCE is a torch.save or safetensors file, a Lightning .ckpt, or a checkpoint folder of Trainer or
    accelerate. Nothing in it is run, and what cannot be read that way is left out and named.

    \b
    Examples:
      hfl checkpoint import out/checkpoint-500 runs/digits
      hfl checkpoint import old.pt runs/digits --step 700
    """
    from hfl_checkpoint._foreign._import import import_checkpoint

    imported = import_checkpoint(source, trust_pickle=trust_pickle)
    checkpoint = imported.save(run, step=step)
    output.record(
        {
            "name": checkpoint.name,
            "source": imported.source,
            "step": checkpoint.step,
            "epoch": checkpoint.epoch,
            "components": list(checkpoint.components),
            "skipped": list(imported.skipped),
            "path": checkpoint.path,
        },
        show={"components": ", ".join, "skipped": "; ".join},
    )


@click.command("export")
@run_argument
@click.argument("which")
@click.argument("destination", type=click.Path())
@click.option(
    "--as",
    "form",
    type=click.Choice(["safetensors", "torch"]),
    default="safetensors",
    show_default=True,
    help="safetensors: a folder as save_pretrained writes it. torch: a file of torch.save, a pickle.",
)
@click.option("--only", multiple=True, metavar="COMPONENT", help="Only this one; may be repeated.")
@format_option
def export_command(
    run: str,
    which: str,
    destination: str,
    form: Literal["safetensors", "torch"],
    only: tuple[str, ...],
    output: Output,
) -> None:
    """Write the checkpoint WHICH of RUN to DESTINATION, for programs that know nothing of this one.

    WHICH is as for 'show'. DESTINATION must not exist yet.

    \b
    Examples:
      hfl checkpoint export runs/digits best:eval_loss digits-model
      hfl checkpoint export runs/digits 500 digits.pt --as torch --only model
    """
    from hfl_checkpoint._export import export_checkpoint
    from hfl_checkpoint._find import which_of

    target = export_checkpoint(
        run,
        which_of(which),
        destination,
        form=form,
        only=only or None,
    )
    output.record({"path": target, "form": form})


COMMANDS = {"import": import_command, "export": export_command}
