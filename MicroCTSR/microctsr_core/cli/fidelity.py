"""``microctsr evaluate fidelity``: how close a result is to the truth, and how honest about it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .conduct import well_behaved
from .progress import progress_on_stderr

if TYPE_CHECKING:
    from rich.table import Table

    from ..volume import Volume


@well_behaved
def fidelity(
    generated: Annotated[
        Path,
        typer.Option(metavar="PATH", help="Result in HU: a file, or a DICOM or TIFF folder."),
    ],
    truth: Annotated[
        Path,
        typer.Option(metavar="PATH", help="Truth in HU, of the same place and voxel size."),
    ],
    uncertainty: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Uncertainty of the result, to be judged as well."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="PATH",
            help="Clinical CT that was super-resolved, for the consistency with it and for its "
            "gradient, which the uncertainty should outdo.",
        ),
    ] = None,
    model: options.Model = "ear",
    spacing: Annotated[
        str | None, typer.Option(metavar="z,y,x", help="Voxel size in mm, for TIFF.")
    ] = None,
    json_path: options.JsonFile = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Compare a result with the truth, and its uncertainty with the errors that were made."""
    size = options.read_spacing(spacing)
    from ..card import find_package, read_card
    from ..io.atomic import atomic_path, check_output

    if json_path is not None:
        check_output(json_path, overwrite)
    card = read_card(find_package(model)) if scan is not None else None
    with progress_on_stderr() as progress:
        progress(0.0, "Reading")
        image, true = _read(generated, size), _read(truth, size)
        of_image = None if uncertainty is None else _read(uncertainty, size)
        ct = None if scan is None else _read(scan, size)
        progress(0.3, "Comparing")
        from ..evaluation import measures

        paths = {"image": generated, "truth": truth, "uncertainty": uncertainty, "ct": scan}
        names = {name: str(path) for name, path in paths.items()}
        answer = measures(image, true, of_image, ct, card, names)
        progress(1.0, "Done")
    from rich.console import Console

    console = Console()
    for table in _tables(answer):
        console.print(table)
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            text = json.dumps(answer, indent=2, allow_nan=False, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        typer.echo(json_path)


def _read(path: Path, spacing: tuple[float, float, float] | None) -> Volume:
    """A volume whose values are all numbers; the spacing is for TIFF alone."""
    import numpy as np

    from ..errors import ReadError
    from ..io.checks import not_numbers
    from ..io.reading import read_volume

    volume = read_volume(path, spacing if _is_tiff(path) else None)
    bad = volume.array.size - int(np.count_nonzero(np.isfinite(volume.array)))
    if bad:
        raise ReadError(not_numbers(str(path), bad))
    return volume


def _is_tiff(path: Path) -> bool:
    from ..io.tiff import TIFF_SUFFIXES

    names = [path.name]
    if os.path.isdir(path):
        with suppress(OSError):  # which the reader will tell
            names = [file.name for file in path.iterdir()]
    return any(name.lower().endswith(TIFF_SUFFIXES) for name in names)


def _tables(answer: Mapping[str, Any]) -> list[Table]:
    tables = [_by_tissue(answer), _whole(answer)]
    return [*tables, _honesty(answer)] if "ause" in answer else tables


def _by_tissue(answer: Mapping[str, Any]) -> Table:
    tissues = list(answer["dice"])
    distance, walls = answer["surface_distance_mm"], answer["edges"]
    rows = {
        "Dice": [_number(answer["dice"][name]) for name in tissues],
        "surfaces apart, mean mm": [_number(distance[name]["mean_mm"]) for name in tissues],
        "surfaces apart, 95 % mm": [_number(distance[name]["p95_mm"]) for name in tissues],
        "walls to bone rise in mm": [
            _number(walls[name]["rise_mm"]) if name in walls else "" for name in tissues
        ],
        "noise, HU": [_number(answer["noise_sd_hu"][name], 1) for name in tissues],
    }
    for what in ("invented", "missed"):
        found = answer[f"{what}_per_cm2"]
        for size in found["bone"]:
            row = f"{what}, per cm²" if size == "all" else f"  {what}, {size}"
            rows[row] = [_number(found[name][size], 1) for name in tissues]
    return _table("By tissue", rows, tissues)


def _whole(answer: Mapping[str, Any]) -> Table:
    resolution = answer["resolution_cycles_per_mm"]
    rows = {
        "PSNR, dB": _number(answer["psnr"], 2),
        "SSIM": _number(answer["ssim"]),
        "power follows the truth's to, cycles/mm": _number(resolution["power"], 2),
        "detail is the truth's to, cycles/mm": _number(resolution["shared"], 2),
    }
    if "consistency_rms_hu" in answer:
        rows["departs from the input by, HU (RMS)"] = _number(answer["consistency_rms_hu"], 1)
    return _table("Image", {row: [value] for row, value in rows.items()}, [""])


def _honesty(answer: Mapping[str, Any]) -> Table:
    from ..evaluation.uncertainty import NORMAL_COVERAGE

    bone = answer["bone_from_uncertainty"]
    rows = {
        "AUSE": (_number(answer["ause"]), "0"),
        "rank correlation with the error": (_number(answer["rank_correlation"]), "1"),
    }
    if "gradient_rank_correlation" in answer:
        rows["  of the input's gradient with it"] = (
            _number(answer["gradient_rank_correlation"]),
            "less",
        )
    for k, share in NORMAL_COVERAGE.items():
        rows[f"errors within ± {k} SD"] = (_number(answer["coverage"][str(k)]), f"{share:.3f}")
    rows["calibration error, HU"] = (_number(answer["calibration_error_hu"], 1), "0")
    rows["Dice of bone, best threshold"] = (_number(bone["best"]["dice"]), "1")
    rows["Dice of bone, Otsu's threshold"] = (_number(bone["otsu"]["dice"]), "1")
    rows["  of calling everything bone"] = (_number(bone["everywhere"]), "less")
    return _table("Uncertainty", rows, ["", "ideal"])


def _table(title: str, rows: Mapping[str, Sequence[str]], headings: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, show_header=any(headings))
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row, cells in rows.items():
        table.add_row(row, *cells)
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
