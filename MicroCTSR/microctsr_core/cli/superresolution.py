"""``microctsr superresolve`` and ``microctsr demo``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..card import find_package, read_card
from . import options
from .cases import superresolve_cases
from .conduct import well_behaved
from .outputs import Outputs
from .progress import progress_on_stderr
from .streamed import check_workers, made_by, run_streamed
from .summary import announce

if TYPE_CHECKING:
    from ..volume import Volume


@well_behaved
def superresolve(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="CT: NRRD, NIfTI or MetaImage file, OME-Zarr, DICOM folder, TIFF file or folder; "
            "or a folder of such.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="Result in HU: .nrrd, .nii.gz, .nii, .mha or .zarr; without a suffix, a folder "
            "for the results of a folder of scans.",
        ),
    ],
    uncertainty: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the uncertainty, in HU.")
    ] = None,
    consistency: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write how far the result departs from the input, in HU."
        ),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw a picture of the result.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write time, passes, memory, warnings.")
    ] = None,
    model: options.Model = "ear",
    box: Annotated[
        str | None,
        typer.Option(metavar="k0:k1,j0:j1,i0:i1", help="Voxels of the input to super-resolve."),
    ] = None,
    scale_mode: Annotated[
        Literal["in-plane", "isotropic"],
        typer.Option(help="Keep the input's slices, or make the voxels cubes."),
    ] = "in-plane",
    samples: options.Samples = "auto",
    device: options.Device = "auto",
    seed: options.Seed = 0,
    spacing: options.Spacing = None,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="Series to read where a folder has several.")
    ] = None,
    preset: Annotated[
        Literal["default", "paper"],
        typer.Option(help="The paper's way: patches, histogram matching, median filter."),
    ] = "default",
    tile: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tile edge in pixels; changes no value.")
    ] = None,
    overwrite: options.Overwrite = False,
    compress: Annotated[
        bool,
        typer.Option(help="Write smaller files; without, .nrrd files are written slab by slab."),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes of this computer that share the slabs."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers share the slabs."),
    ] = None,
) -> None:
    """Super-resolve a CT and say voxel by voxel how far to trust it."""
    settings: dict[str, Any] = {
        "box": options.read_box(box),
        "samples": options.read_samples(samples),
        "device": device,
        "seed": seed,
        "scale_mode": scale_mode,
        "tile": tile,
        "preset": preset,
    }
    size = options.read_spacing(spacing)
    outputs = Outputs(output, uncertainty, consistency, preview, report, compress)
    if os.path.isdir(source) and not output.suffix:
        check_workers(workers, cluster, streamed=True)
        with made_by(workers, cluster) as maker:
            superresolve_cases(source, outputs, model, settings, size, overwrite, maker)
        return
    check_workers(workers, cluster, outputs.streamed)
    outputs.check(source, overwrite)
    from ..io.checks import check_image
    from ..io.reading import open_volume, read_volume

    ct = (open_volume if outputs.streamed else read_volume)(source, spacing=size, series=series)
    # The pipeline checks these too, but here the file has a name, and PyTorch is not yet loaded.
    check_image(ct, str(source))
    if settings["box"] is not None:
        ct.check_box(settings["box"])
    if not outputs.streamed:
        run(ct, model, outputs, settings)
        return
    read_card(find_package(model))  # so that a wrong name is told before PyTorch is loaded
    scan = ct if ct.in_memory or size else source
    with made_by(workers, cluster) as maker:
        announce(run_streamed(scan, ct, model, outputs, settings, overwrite, maker), outputs)


@well_behaved
def demo(
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the results; earlier ones are replaced.")
    ] = Path("output/demo"),
    model: options.Model = "ear",
    samples: options.Samples = "auto",
    device: options.Device = "auto",
) -> None:
    """Super-resolve the cochlea in the bundled CT of a temporal bone."""
    from ..sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path

    settings = {
        "box": COCHLEA_BOX,
        "samples": options.read_samples(samples),
        "device": device,
        "seed": 0,
    }
    outputs = Outputs(
        mean=output / "sr.nrrd",
        uncertainty=output / "uncertainty.nrrd",
        consistency=output / "consistency.nrrd",
        preview=output / "preview.png",
        report=output / "report.json",
    )
    source = sample_volume_path()
    outputs.check(source, overwrite=True)
    from ..io.reading import read_volume

    run(read_volume(source), model, outputs, settings, COCHLEA_SLICES)


def run(
    ct: Volume,
    model_name: str,
    outputs: Outputs,
    settings: dict[str, Any],
    slices: Sequence[int] | None = None,
) -> None:
    """Super-resolve, write every output, and tell about it."""
    read_card(find_package(model_name))  # so that a wrong name is told before PyTorch is loaded
    with progress_on_stderr() as progress:
        progress(0.0, "Loading the model")
        # Imported here because they load PyTorch, which no other command should wait for.
        from .. import superresolution as pipeline
        from ..model import load_model
        from ..resources import check_disk

        model = load_model(model_name)
        for folder in outputs.folders():
            box, scale_mode = settings.get("box"), settings.get("scale_mode", "in-plane")
            check_disk(ct, model, folder, box, scale_mode)
        result = pipeline.superresolve(ct, model, progress=progress, **settings)
        progress(1.0, "Writing")
        outputs.write(ct, result, model.card["scanner"]["noise_sd_hu"] or None, slices)
    announce(result.report, outputs)
