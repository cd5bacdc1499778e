"""Options that several commands share, and the reading of those that are more than a word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import MicroCTSRError
from ..volume import Box, parse_box

Model = Annotated[
    str, typer.Option("--model", metavar="NAME|DIR", help="Bundled model, or a package's folder.")
]
Samples = Annotated[
    str,
    typer.Option(
        "--samples",
        metavar="N|auto",
        help="Passes per voxel; auto stops when the uncertainty is known well enough.",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the network runs.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="The same seed gives the same numbers on the CPU.")
]

Spacing = Annotated[
    str | None, typer.Option("--spacing", metavar="z,y,x", help="Voxel size in mm, for TIFF input.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures for programs.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that exist.", show_default=False)
]


def read_samples(text: str) -> int | Literal["auto"]:
    """``auto``, or a number of passes from 1.

    Raises:
        typer.BadParameter: the text is neither.
    """
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise typer.BadParameter(
        f"{text!r} is neither auto nor a number from 1.", param_hint="--samples"
    )


def read_box(text: str | None) -> Box | None:
    """A box written ``k0:k1,j0:j1,i0:i1``.

    Raises:
        typer.BadParameter: the text is not of that form.
    """
    if text is None:
        return None
    try:
        return parse_box(text)
    except MicroCTSRError as error:
        raise typer.BadParameter(str(error), param_hint="--box") from None


def read_spacing(text: str | None) -> tuple[float, float, float] | None:
    """A voxel size written ``z,y,x`` in mm, or one number for a cube.

    Raises:
        typer.BadParameter: the text is not of that form, or a size is not above zero.
    """
    if text is None:
        return None
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) == 1:
        sizes *= 3
    if len(sizes) != 3 or not all(0 < size < float("inf") for size in sizes):
        raise typer.BadParameter(
            f"{text!r} is not a voxel size; write it as z,y,x in mm, for example 0.7,0.3,0.3.",
            param_hint="--spacing",
        )
    z, y, x = sizes
    return (z, y, x)
