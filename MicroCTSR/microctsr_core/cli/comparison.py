"""``microctsr evaluate compare``: methods side by side on the same cases, in one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MicroCTSRError
from . import options
from .conduct import well_behaved
from .options import Device
from .progress import progress_on_stderr


@well_behaved
def compare(
    study: Annotated[
        Path, typer.Option(metavar="YAML", help="Names methods, cases and references.")
    ],
    report: Annotated[
        Path,
        typer.Option(
            metavar="HTML", help="The report; values and figures go into a folder beside it."
        ),
    ],
    readers: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY", help="Folder of a reader study that is closed, for a section on it."
        ),
    ] = None,
    device: Device = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Compare methods on the same cases: table with statistics, figures, and every value.

    What models make is kept beside the report, so that a second run only does what is new.
    """
    from ..io.atomic import check_output

    check_output(report, overwrite)
    try:
        from ..evaluation.comparison.study import load_study

        checked = load_study(study)
        section = ""
        if readers is not None:
            from ..study.analysis import analyse
            from ..study.report import readers_section

            section = readers_section(analyse(readers))
        with progress_on_stderr() as progress:
            progress(0.0, "Loading PyTorch")
            from ..evaluation.comparison import measure, write_report
            from ..evaluation.comparison.report import work_of

            results = measure(checked, work_of(report), device, progress)
            progress(1.0, "Writing")
            written = write_report(results, report, section)
    except ModuleNotFoundError as error:
        raise MicroCTSRError(
            f"Comparing methods needs {error.name}; install it with: "
            f"pip install 'microctsr[{'evaluation' if readers is None else 'study'}]'"
        ) from None
    for path in written:
        typer.echo(path)
    for note in results.notes:
        typer.echo(note, err=True)
