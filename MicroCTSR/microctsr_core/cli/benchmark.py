"""``microctsr benchmark``: how fast this computer is, beside the paper's pipeline."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from . import options
from .conduct import well_behaved
from .progress import progress_on_stderr


@well_behaved
def benchmark(
    json_path: options.JsonFile = None,
    edge: Annotated[
        int, typer.Option("--slice", min=256, metavar="N", help="Edge of the output slice, pixels.")
    ] = 1024,
    passes: Annotated[
        int, typer.Option(min=2, metavar="N", help="Passes where both run as many.")
    ] = 16,
    device: options.Device = "auto",
    memory: Annotated[bool, typer.Option(help="Measure the growth of peak memory too.")] = True,
    overwrite: options.Overwrite = False,
) -> None:
    """Time one slice beside the paper's pipeline, in the same run and on the same weights."""
    from ..io.atomic import atomic_path, check_output

    if json_path is not None:
        check_output(json_path, overwrite)
    with progress_on_stderr() as progress:
        progress(0.0, "Loading PyTorch")
        from ..benchmark import lines_of, measure, table_of

        answer = measure(edge, passes, device, progress, memory)
    from rich.console import Console

    Console().print(table_of(answer))
    for line in lines_of(answer):
        typer.echo(line)
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            temporary.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
        typer.echo(json_path)
