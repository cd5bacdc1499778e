"""``microctsr superresolve`` on a folder of scans: one case after the other, the bad ones named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..card import find_package, read_card
from ..errors import Cancelled, MicroCTSRError, ReadError
from ..volume import Triple
from .outputs import Outputs
from .streamed import run_streamed

if TYPE_CHECKING:
    from ..streaming import Maker
    from ..training.folders import Source

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".tif", ".tiff", ".zarr")


def superresolve_cases(
    folder: Path,
    outputs: Outputs,
    model_name: str,
    settings: dict[str, Any],
    spacing: Triple | None,
    overwrite: bool,
    maker: Maker | None,
) -> None:
    """Super-resolve every scan of a folder.

    Args:
        outputs: folders, in which each case gets a file of its name.

    Raises:
        MicroCTSRError: the folder holds no scan, or some cases failed.
    """
    read_card(find_package(model_name))
    from ..training.folders import find_sources

    sources = find_sources(folder, "low", spacing)
    failed = []
    for number, source in enumerate(sources, start=1):
        typer.echo(f"{source.name} ({number} of {len(sources)})", err=True)
        own = outputs_of(outputs, source.name)
        if all(path.exists() for path in own.paths()) and not overwrite:
            typer.echo("Done already; --overwrite makes it anew.", err=True)
            continue
        try:
            _superresolve_case(source, own, model_name, settings, overwrite, maker)
        except Cancelled:
            raise
        except MicroCTSRError as error:
            typer.secho(f"{source.name} failed: {error}", err=True, fg=typer.colors.RED)
            failed.append(source.name)
    if failed:
        raise MicroCTSRError(
            f"{len(failed)} of {len(sources)} cases failed ({', '.join(failed)}); see above why, "
            f"and run the same command again, which makes only what is missing."
        )


def outputs_of(folders: Outputs, name: str) -> Outputs:
    """The files of one case: its name without the suffix, in the folders given.

    Example:
        >>> outputs_of(Outputs(Path("results")), "ear1.nii.gz").mean
        PosixPath('results/ear1.zarr')
    """
    stem = next(
        (name[: -len(suffix)] for suffix in _SUFFIXES if name.lower().endswith(suffix)), name
    )
    volume = ".zarr" if folders.compress else ".nrrd"
    named = {
        part: path / f"{stem}{suffix}"
        for part, suffix in (
            ("mean", volume),
            ("uncertainty", volume),
            ("consistency", volume),
            ("preview", ".png"),
            ("report", ".json"),
        )
        if (path := getattr(folders, part)) is not None
    }
    return replace(folders, **named)


def _superresolve_case(
    source: Source,
    outputs: Outputs,
    model_name: str,
    settings: dict[str, Any],
    overwrite: bool,
    maker: Maker | None,
) -> None:
    if source.kind == "tiff" and source.spacing is None:
        raise ReadError(f"{source.path} does not tell its voxel size; give --spacing z,y,x in mm.")
    outputs.check(source.path, overwrite)
    from ..io.checks import check_image
    from ..io.reading import open_volume

    ct = open_volume(source.path, source.spacing, source.series)
    check_image(ct, str(source.path))
    scan = ct if ct.in_memory else source.path
    run_streamed(scan, ct, model_name, outputs, settings, overwrite, maker)
    for path in outputs.paths():
        typer.echo(path)
