"""``microctsr phantom``: ears with known truth, and what two scanners see of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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
    domain: Annotated[
        Literal["both", "low", "high"],
        typer.Option(
            help="low: the clinical CT alone, for a training folder; high: the micro-CT alone."
        ),
    ] = "both",
    region: Annotated[
        str, typer.Option(metavar="NAME|all", help="What to look at; all: each in turn.")
    ] = "inner ear",
    shape: Annotated[
        str, typer.Option(metavar="k,j,i", help="Field of view in voxels of the clinical CT.")
    ] = "16,64,64",
    thick: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Share of the CTs with thick slices."),
    ] = 0.0,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that make cases at once.")
    ] = 1,
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
            domain=domain,
            region=region,
            shape=_read_shape(shape),
            thick_share=thick,
            workers=workers,
            progress=progress,
        )
    typer.echo(output)


def _read_shape(text: str) -> tuple[int, int, int]:
    """A field of view written ``k,j,i`` in voxels, at least 2 each way."""
    parts = text.split(",")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and int(p) >= 2 for p in parts):
        raise typer.BadParameter(
            f"{text!r} is not a field of view; write it as k,j,i in voxels, for example 16,64,64.",
            param_hint="--shape",
        )
    k, j, i = (int(part) for part in parts)
    return k, j, i
