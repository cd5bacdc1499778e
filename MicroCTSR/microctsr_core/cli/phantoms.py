"""``microctsr phantom``: ears with known truth, and what two scanners see of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .conduct import well_behaved
from .progress import progress_on_stderr


@well_behaved
def phantom(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the cases.")],
    cases: Annotated[int, typer.Option(min=1, metavar="N", help="How many ears.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same ears.")],
    spacing: Annotated[
        float | None,
        typer.Option(min=0.01, metavar="mm", help="Voxel size of the clinical CT; else drawn."),
    ] = None,
    turn_specimen: Annotated[
        bool,
        typer.Option(
            "--turn-specimen", help="Lay the micro-CT specimen at any angle.", show_default=False
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace cases that exist.", show_default=False)
    ] = False,
) -> None:
    """Make ears with known truth: case_000/{truth,labels,high,low}.nrrd and case.json."""
    from ..phantom import write_cases

    with progress_on_stderr() as progress:
        write_cases(
            output,
            cases,
            seed,
            spacing_mm=spacing,
            turn_specimen=turn_specimen,
            overwrite=overwrite,
            progress=progress,
        )
    typer.echo(output)
