"""``microctsr study``: making, serving and analysing a blinded reader study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MicroCTSRError
from . import options
from .conduct import well_behaved
from .progress import progress_on_stderr

if TYPE_CHECKING:
    from ..study.creation import Chosen
    from ..study.serving import Addresses

_Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")]


@well_behaved
def create(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder to be made.")],
    comparison: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="Methods and cases, as for evaluate compare."),
    ] = None,
    low: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Clinical CT: a scan or a folder of them.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Method and the folder of its results, each named as its scan; once for each.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Method the others are compared with; else the YAML's, or the last.",
        ),
    ] = None,
    slices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Slices of each case, evenly spread.")
    ] = 10,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="[CASE:]k,k,…", help="These slices instead, counted from 0."),
    ] = None,
    repeated: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Of the pairs, shown twice.")
    ] = 0.1,
    rater: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A rater; once for each. By default three."),
    ] = None,
    window: Annotated[
        tuple[float, float], typer.Option(metavar="HU HU", help="Shown black and white.")
    ] = (-1000.0, 2400.0),
    title: Annotated[str, typer.Option(help="What raters see above the instructions.")] = (
        "Reader study"
    ),
    seed: options.Seed = 0,
    spacing: options.Spacing = None,
    device: options.Device = "auto",
) -> None:
    """Make a study: pairs of original and result, in an order of its own for every rater."""
    if (comparison is None) == (low is None and not method):
        raise typer.BadParameter("Give either --comparison, or --low with --method.")
    if comparison is None and (low is None or not method):
        raise typer.BadParameter("--low and --method belong together.")
    voxel, chosen = options.read_spacing(spacing), _chosen(at, slices)
    methods = _methods(method or [])
    with progress_on_stderr() as progress:
        progress(0.0, "Loading libraries")
        try:
            from ..study.cases import compared_with, from_comparison, from_folders
            from ..study.creation import RATERS, create_study

            if comparison is not None:
                against = compared_with(comparison, against)
                work = folder.with_name(f"{folder.name}_work")
                found = from_comparison(comparison, work, device, progress)
            else:
                assert low is not None
                found = from_folders(low, methods, voxel, progress)
            study = create_study(
                folder,
                found,
                slices=chosen,
                repeated=repeated,
                raters=rater or RATERS,
                seed=seed,
                window_hu=window,
                title=title,
                against=against,
            )
            progress(1.0, "Done")
        except ModuleNotFoundError as error:
            raise _missing(error) from None
    trials = len(study.raters[0].order)
    typer.echo(folder)
    typer.echo(
        f"{len(study.slices)} slices by {len(study.methods)} methods: {trials} pairs for each of "
        f"{len(study.raters)} raters.\n"
        f"Edit instructions.txt and criteria.txt in it if you like, then: "
        f"microctsr study serve {folder}"
    )


@well_behaved
def serve(
    folder: _Folder,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="0 takes one that is free.")
    ] = 8765,
    address: Annotated[
        str | None,
        typer.Option(metavar="URL", help="How raters call it, as behind a proxy with HTTPS."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the links as JSON.", show_default=False)
    ] = False,
) -> None:
    """Serve a study until Ctrl-C: one link for each rater, one for you to watch progress."""

    def tell(addresses: Addresses) -> None:
        if as_json:
            links = {"base": addresses.base, "raters": addresses.raters, "owner": addresses.owner}
            typer.echo(json.dumps(links, ensure_ascii=False))
            return
        width = max(len(name) for name in (*addresses.raters, "Progress")) + 2
        for name, link in addresses.raters.items():
            typer.echo(f"{name:<{width}}{link}")
        typer.echo(f"{'Progress':<{width}}{addresses.owner}")
        typer.echo("Send each rater the link of his or her own. Ctrl-C stops the server.", err=True)

    try:
        from ..study.serving import serve as served

        served(folder, host, port, address, tell)
    except ModuleNotFoundError as error:
        raise _missing(error) from None


@well_behaved
def analyse(
    folder: _Folder,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For the results; by default STUDY/analysis."),
    ] = None,
    close: Annotated[
        bool,
        typer.Option(
            "--close", help="Close the study first; no more ratings are taken.", show_default=False
        ),
    ] = False,
) -> None:
    """Unblind a study: box plots, tests, agreement, as a report, figures and CSV."""
    try:
        from ..study.analysis import analyse as analysed
        from ..study.report import write_analysis

        analysis = analysed(folder, close)
        written = write_analysis(analysis, output or folder / "analysis")
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    for path in written:
        typer.echo(path)


def _methods(texts: Sequence[str]) -> dict[str, Path]:
    methods: dict[str, Path] = {}
    for text in texts:
        name, sign, place = text.partition("=")
        if not (name and sign and place):
            raise typer.BadParameter(f"{text!r} is not NAME=DIR.", param_hint="--method")
        if name in methods:
            raise typer.BadParameter(f"Two methods are called {name!r}.", param_hint="--method")
        methods[name] = Path(place)
    return methods


def _chosen(texts: Sequence[str] | None, slices: int) -> Chosen:
    if not texts:
        return slices
    found: dict[str, list[int]] = {}
    for text in texts:
        case, _, numbers = text.rpartition(":")
        try:
            found.setdefault(case, []).extend(int(number) for number in numbers.split(","))
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is no list of slices; write 3,5,9 or case_000:3,5,9.", param_hint="--at"
            ) from None
    if "" in found and len(found) > 1:
        raise typer.BadParameter("Name the case of all slices, or of none.", param_hint="--at")
    return found.get("", found)


def _missing(error: ModuleNotFoundError) -> MicroCTSRError:
    return MicroCTSRError(
        f"A reader study needs {error.name}; install it with: pip install 'microctsr[study]'"
    )
