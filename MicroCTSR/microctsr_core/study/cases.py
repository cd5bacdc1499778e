"""The scans of a study with what each method made of them, from folders or from a comparison."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..errors import MicroCTSRError
from ..evaluation.comparison.elsewhere import find_result, read_numbers, read_on, stem
from ..io import check_image, read_volume
from ..training.folders import find_sources
from ..volume import Triple, Volume
from .case import Case

Progress = Callable[[float, str], None]


def from_folders(
    low: str | os.PathLike[str],
    methods: Mapping[str, str | os.PathLike[str]],
    spacing: Triple | None = None,
    progress: Progress | None = None,
) -> Iterator[Case]:
    """The scans in a folder with the volumes that the methods made of them.

    Args:
        low: folder of clinical CT, or one scan.
        methods: of each method, the folder with its results, each named as its scan. With one
            scan, a volume file will do too.
        spacing: voxel size (k, j, i) in mm of TIFF stacks.
        progress: called with a fraction and a message.

    Raises:
        ReadError: the folder of a method, or the result of a scan, is missing.
        GeometryError: results of a scan are on different grids.
    """
    sources = find_sources(Path(low), "low", spacing)
    places = {name: Path(place).expanduser() for name, place in methods.items()}
    for number, source in enumerate(sources):
        name = stem(source.name)
        if progress is not None:
            progress(number / len(sources), name)
        scan = read_volume(source.path, source.spacing, source.series)
        check_image(scan, str(source.path))
        results: dict[str, Volume] = {}
        for method, place in places.items():
            single = place.is_file() and len(sources) == 1
            path = place if single else find_result(place, name)
            grid = next(iter(results.values()), None)
            results[method] = read_numbers(path) if grid is None else read_on(path, grid)
        yield Case(name, scan, results)


def compared_with(path: str | os.PathLike[str], against: str | None = None) -> str:
    """The method that the others are compared with: `against`, or the one that a YAML file names.

    Args:
        path: of a comparison's YAML file.
        against: a method of it.

    Raises:
        MicroCTSRError: the file is not valid, or `against` is none of its methods.
    """
    from ..evaluation.comparison.study import load_study

    study = load_study(path, measured=False)
    methods = [method.name for method in study.methods]
    if against is not None and against not in methods:
        raise MicroCTSRError(
            f"{against!r} is none of the methods of {path} ({', '.join(methods)}); name one of "
            f"them."
        )
    return against or study.against


def from_comparison(
    path: str | os.PathLike[str],
    work: Path,
    device: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Case]:
    """The cases of a comparison's YAML file, by all its methods; models are run.

    Args:
        path: of the file; see Docs/evaluation.md. Neither truth nor references are needed.
        work: folder in which what models make is kept.
        device: where networks run.
        progress: called with a fraction and a message.

    Raises:
        MicroCTSRError: as :func:`~microctsr_core.evaluation.comparison.load_study`, and as
            super-resolving.
    """
    from ..evaluation.comparison.images import Images
    from ..evaluation.comparison.study import load_study

    study = load_study(path, measured=False)
    images = Images(study, work, device)
    steps = len(study.cases) * len(study.methods)
    for number, case in enumerate(study.cases):
        low = images.scan(case)
        images.check(case, images.grid(case, low))
        results = {}
        for place, method in enumerate(study.methods):
            done = (number * len(study.methods) + place) / steps
            told: Progress | None = None
            if progress is not None:
                progress(done, f"{case.name}, {method.name}")
                told = _part(progress, done, 1 / steps, f"{case.name}, {method.name}")
            results[method.name] = images.image(method, case, low, told).mean
        yield Case(case.name, low, results)


def _part(progress: Progress, start: float, share: float, name: str) -> Progress:
    return lambda fraction, _: progress(start + share * fraction, name)
