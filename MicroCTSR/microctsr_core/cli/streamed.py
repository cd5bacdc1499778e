"""A run of ``microctsr superresolve`` that writes its volumes slab by slab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import WriteError
from .outputs import Outputs, staged
from .progress import progress_on_stderr

if TYPE_CHECKING:
    from ..streaming import Maker
    from ..volume import Volume


@contextmanager
def made_by(workers: int | None, cluster: str | None) -> Iterator[Maker | None]:
    """Who makes the slabs: workers of this computer, of a cluster, or this process (``None``)."""
    if workers is None and cluster is None:
        yield None
        return
    from ..cluster import local_workers, workers_at

    with workers_at(cluster) if cluster is not None else local_workers(workers or 1) as maker:
        yield maker


def check_workers(workers: int | None, cluster: str | None, streamed: bool) -> None:
    """Make sure that there is something for workers to do.

    Raises:
        typer.BadParameter: both kinds of workers are asked for.
        WriteError: the volumes are not written slab by slab.
    """
    if workers is not None and cluster is not None:
        raise typer.BadParameter("Give either --workers or --cluster.", param_hint="--workers")
    if (workers is not None or cluster is not None) and not streamed:
        raise WriteError(
            "Workers write slab by slab; let the volumes end in .zarr, or in .nrrd with "
            "--no-compress."
        )


def run_streamed(
    scan: Volume | Path,
    ct: Volume,
    model_name: str,
    outputs: Outputs,
    settings: dict[str, Any],
    overwrite: bool,
    maker: Maker | None,
) -> dict[str, Any]:
    """Super-resolve slab by slab, write every output, and return the report.

    Args:
        scan: what is super-resolved; a path where it can be read in parts.
        ct: the same, for the preview.
    """
    with progress_on_stderr() as progress, ExitStack() as all_or_none:
        progress(0.0, "Loading the model")
        from ..model import load_model
        from ..streaming import stream

        model = load_model(model_name)

        def finished(report: dict[str, Any], volumes: Mapping[str, Volume]) -> None:
            progress(1.0, "Writing")
            if outputs.preview is not None:
                from ..preview import write_preview
                from ..superresolution import Result

                temporary = all_or_none.enter_context(staged(outputs.preview))
                noise_sd_hu = model.card["scanner"]["noise_sd_hu"] or None
                write_preview(temporary, ct, Result(**volumes, report=report), None, noise_sd_hu)
            if outputs.report is not None:
                temporary = all_or_none.enter_context(staged(outputs.report))
                temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

        return stream(
            scan,
            model,
            outputs.mean,
            outputs.uncertainty,
            outputs.consistency,
            progress=progress,
            overwrite=overwrite,
            tell=lambda line: typer.echo(line, err=True),
            maker=maker,
            keep_all=outputs.preview is not None,
            finished=finished,
            **settings,
        )
