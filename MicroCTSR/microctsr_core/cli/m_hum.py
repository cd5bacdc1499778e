"""``microctsr evaluate m-hum``: how near the shapes in slices are to those of a reference set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from . import options
from .conduct import well_behaved
from .progress import progress_on_stderr

if TYPE_CHECKING:
    from ..evaluation import Shapes
    from ..training.folders import Source


@well_behaved
def m_hum(
    generated: Annotated[
        Path, typer.Option(metavar="PATH", help="Results: a volume, or a folder of volumes.")
    ],
    reference: Annotated[
        Path, typer.Option(metavar="PATH", help="Reference set: a volume, or a folder of volumes.")
    ],
    form: Annotated[
        Literal["paper", "shape", "contour", "structures"],
        typer.Option(
            help="What is compared: grey slices as in the paper, what lies above Otsu's threshold, "
            "its largest outline, or each connected structure."
        ),
    ] = "paper",
    distance: Annotated[
        Literal["I1", "I2", "I3"], typer.Option(help="Which of OpenCV's Hu distances.")
    ] = "I1",
    spacing: options.Spacing = None,
    json_path: options.JsonFile = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Compare slices with a reference set of other ears by m-HuM; lower is more alike."""
    from ..io.atomic import atomic_path, check_output

    if json_path is not None:
        check_output(json_path, overwrite)
    voxel = options.read_spacing(spacing)
    with progress_on_stderr() as progress:
        progress(0.0, "Loading libraries")
        from ..evaluation import m_hum as compared
        from ..training.folders import find_sources

        sets = [find_sources(path, "high", voxel) for path in (generated, reference)]
        every = len(sets[0]) + len(sets[1])

        def measured(sources: Sequence[Source], before: int) -> tuple[Shapes, list[dict[str, Any]]]:
            return _shapes(
                sources, form, lambda n, name: progress((before + n) / (every + 1), name)
            )

        images, of_images = measured(sets[0], 0)
        references, of_references = measured(sets[1], len(sets[0]))
        progress(every / (every + 1), "Distances")
        found = compared(images, references, distance)
        answer = {
            "m_hum": found.score,
            "form": form,
            "distance": distance,
            "left_out": found.left_out,
            "slices": [
                {
                    "index": index,
                    "m_hum": value if math.isfinite(value) else None,
                    "nearest": nearest if nearest >= 0 else None,
                }
                for index, (value, nearest) in enumerate(
                    zip(found.distances.tolist(), found.slices.tolist(), strict=True)
                )
            ],
            "generated": of_images,
            "reference": of_references,
        }
        progress(1.0, "Done")
    typer.echo(
        f"m-HuM {found.score:.6g} ({distance}, form {form}): {images.count} slices against "
        f"{references.count}"
    )
    if found.left_out:
        typer.echo(f"{found.left_out} slices show nothing to compare and are left out.")
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            temporary.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
        typer.echo(json_path)


def _shapes(
    sources: Sequence[Source], form: Any, told: Callable[[int, str], None]
) -> tuple[Shapes, list[dict[str, Any]]]:
    """Shapes of all slices of some volumes, and which slices are whose."""
    from ..evaluation import joined, shapes
    from ..io import read_volume
    from ..preparation import in_plane_mm

    sets, listed, first = [], [], 0
    for number, source in enumerate(sources):
        told(number, source.name)
        volume = read_volume(source.path, source.spacing, source.series)
        sets.append(shapes(volume.array, form, in_plane_mm(volume.spacing)))
        listed.append({"name": source.name, "first": first, "slices": sets[-1].count})
        first += sets[-1].count
    return joined(sets), listed
