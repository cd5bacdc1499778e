"""Running a study: every method makes an image of every case, and every image is measured."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...errors import Cancelled
from ...inference import Cancel, Progress
from ...io import read_volume
from ...preparation import in_plane_mm
from ...volume import Volume
from ..alignment import on_grid_of
from ..m_hum import Shapes, joined, m_hum, shapes
from ..measures import measures
from .catalogue import M_HUM, MEASURES, PSNR
from .elsewhere import read_numbers
from .images import Images
from .shown import TRUTH, Shown, check_figure, shown
from .statistics import MIN_PAIRS, Paired, holm, paired
from .study import Case, Method, Study

_LIBRARIES = {
    "PyTorch": "torch",
    "NumPy": "numpy",
    "SciPy": "scipy",
    "scikit-image": "skimage",
    "OpenCV": "cv2",
}
_READING = 0.05  # share of the progress
_MODEL_EFFORT = 4  # of super-resolving a case, where measuring an image is 1


@dataclass(frozen=True, eq=False)
class Results:
    """What came of a study.

    Args:
        study: that was run.
        date: of the beginning of the run, with its time zone.
        versions: of this library, of Python and of what computed.
        models: name, version, sha256 and uncertainty_scale by method.
        runs: of each method, what is known of each case's run (see `Image`).
        values: of each method, and of the truth itself, each measure of each case in the study's
            order; NaN where it is not known.
        curves: of each method with an uncertainty, each case's curves, as
            :func:`~microctsr_core.evaluation.measures` tells them; empty where there is no truth.
        shown: what the figures of slices show.
        notes: what the reader should know, in plain sentences.
    """

    study: Study
    date: datetime
    versions: dict[str, str]
    models: dict[str, dict[str, Any]]
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """Names in the order of the table, without the truth."""
        return [method.name for method in self.study.methods]

    @property
    def measures(self) -> list[str]:
        """Keys of the table's measures of which any value is known."""
        return [key for key in MEASURES if any(self.known(name, key) for name in self.methods)]

    def add(self, method: str, number: int, found: Mapping[str, Any]) -> None:
        """Note what was measured of a method, or of the truth itself, in a case.

        Args:
            number: of the case, from 0.
            found: measures by name, nested as :func:`~microctsr_core.evaluation.measures` has them.
        """
        flat = flattened(found)
        for key, value in (flat | _totals(flat)).items():
            unknown = [float("nan")] * len(self.study.cases)
            self.values.setdefault(method, {}).setdefault(key, unknown)[number] = value
        if "sparsification" in found:
            self.curves.setdefault(method, []).append(dict(found))

    def of(self, method: str, key: str) -> np.ndarray:
        """A measure of a method, case by case."""
        unknown = [float("nan")] * len(self.study.cases)
        return np.array(self.values.get(method, {}).get(key, unknown), np.float64)

    def known(self, method: str, key: str) -> bool:
        """Whether a measure of a method is known in any case."""
        return bool(np.isfinite(self.of(method, key)).any())

    def compared(self, key: str) -> dict[str, Paired]:
        """By one measure, the method of ``study.against`` beside each other method that has it.

        The first of each pair is that method: it is better where the effect is above 0.
        """
        good = np.vectorize(MEASURES[key].goodness, otypes=[np.float64])
        ours = good(self.of(self.study.against, key))
        if not self.known(self.study.against, key):
            return {}
        return {
            name: paired(ours, good(self.of(name, key)))
            for name in self.study.rivals
            if self.known(name, key)
        }

    def corrected(self, key: str) -> dict[str, float | None]:
        """The p values of :meth:`compared`, corrected for the number of methods."""
        compared = self.compared(key)
        return dict(zip(compared, holm([each.p for each in compared.values()]), strict=True))


def measure(
    study: Study,
    work: Path,
    device: str = "auto",
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Results:
    """Run a study.

    Args:
        study: of :func:`~.load_study`.
        work: folder in which super-resolved cases are kept; a second run finds them there.
        device: where networks run.
        progress: called with the fraction done and a message.
        cancel: asked between images and after every pass; returning true ends the run.

    Raises:
        MicroCTSRError: a scan, truth, result or model cannot be used; says which and why.
    """
    told = progress or (lambda _fraction, _message: None)
    told(0.0, "Loading the models")
    images = Images(study, work, device)
    of_truths = _checked(images, told, cancel)
    given = None
    if study.references is not None:
        volumes = (read_volume(s.path, s.spacing, s.series) for s in study.references)
        given = joined([_shapes(volume, study) for volume in volumes])
    results = Results(study, datetime.now(timezone.utc).astimezone(), _versions(), images.facts())
    steps = _Steps(study, told)
    for number, case in enumerate(study.cases):
        others = [found for name, found in of_truths.items() if name != case.name]
        references = joined(others) if given is None else given
        _measure_case(results, number, images, references, steps, cancel)
    told(1.0, "Drawing")
    for number, why in _cases_shown(results):
        results.shown.append(_shown(images, study.cases[number], why))
    results.notes.extend(_notes(results, len(of_truths)))
    return results


def _checked(images: Images, told: Progress, cancel: Cancel | None) -> dict[str, Shapes]:
    """Read everything once, so that nothing bad is found after hours; the shapes of the truths."""
    study = images.study
    of_truths = {}
    for number, case in enumerate(study.cases):
        _go_on(cancel)
        told(_READING * number / len(study.cases), f"Reading {case.name}")
        grid = images.grid(case, images.scan(case))
        images.check(case, grid)
        check_figure(study.figure, case.name, grid)
        if case.truth is not None:
            truth = read_numbers(case.truth)
            _on_grid(case, truth, grid)
            of_truths[case.name] = _shapes(truth, study)
    return of_truths


def _measure_case(
    results: Results,
    number: int,
    images: Images,
    references: Shapes,
    steps: _Steps,
    cancel: Cancel | None,
) -> None:
    """Let every method make its image of a case, and add what is measured of it."""
    study, case = results.study, results.study.cases[number]
    low = images.scan(case)
    truth = _truth(case, images.grid(case, low))
    if truth is not None:
        results.add(TRUTH, number, {M_HUM: _m_hum(truth, references, study)})
    for method in study.methods:
        _go_on(cancel)
        image = images.image(method, case, low, steps.of(case, method), cancel)
        found: dict[str, Any] = {M_HUM: _m_hum(image.mean, references, study)}
        if truth is not None:
            found |= measures(image.mean, truth, image.uncertainty, low, images.card)
        results.add(method.name, number, found)
        results.runs.setdefault(method.name, []).append(image.facts)


def flattened(entries: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of nested dictionaries by dotted keys; ``None`` becomes NaN, the rest is left out.

    Example:
        >>> flattened({"dice": {"air": 0.5, "bone": None}, "side": "above"})
        {'dice.air': 0.5, 'dice.bone': nan}
    """
    flat: dict[str, float] = {}
    for key, value in entries.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, int | float):
            flat[f"{prefix}{key}"] = float("nan") if value is None else float(value)
    return flat


class _Steps:
    """Turns the progress of each image into that of the study."""

    def __init__(self, study: Study, told: Progress) -> None:
        self._study, self._told = study, told
        self._efforts = {
            method.name: _MODEL_EFFORT if method.kind == "model" else 1 for method in study.methods
        }
        self._done = 0

    def of(self, case: Case, method: Method) -> Progress:
        """The progress of one image; that of the image before is complete."""
        cases, effort = self._study.cases, self._efforts[method.name]
        whole, first = len(cases) * sum(self._efforts.values()), self._done
        self._done += effort
        name = f"{case.name} ({cases.index(case) + 1} of {len(cases)}), {method.name}"

        def progress(fraction: float, message: str) -> None:
            share = (first + effort * min(fraction, 0.99)) / whole
            self._told(_READING + (1 - _READING) * share, f"{name}: {message}")

        progress(0.0, "Begun")
        return progress


def _go_on(cancel: Cancel | None) -> None:
    if cancel is not None and cancel():
        raise Cancelled("The comparison was stopped; run it again to go on.")


def _truth(case: Case, grid: Volume) -> Volume | None:
    return None if case.truth is None else _on_grid(case, read_numbers(case.truth), grid)


def _on_grid(case: Case, truth: Volume, grid: Volume) -> Volume:
    return on_grid_of(grid, truth, (f"the image of {case.name}", str(case.truth)))


def _shapes(volume: Volume, study: Study) -> Shapes:
    return shapes(volume.array, study.form, in_plane_mm(volume.spacing))


def _m_hum(image: Volume, references: Shapes, study: Study) -> float:
    """M-HuM of an image; NaN where there are no references, or no shapes to compare."""
    if not references.count:
        return float("nan")
    nearest = m_hum(_shapes(image, study), references)
    return float("nan") if nearest.left_out == len(nearest.distances) else nearest.score


def _totals(flat: Mapping[str, float]) -> dict[str, float]:
    """Structures of all tissues together."""
    totals = {}
    for kind in ("invented_per_cm2", "missed_per_cm2"):
        of_tissues = [flat[key] for key in flat if key.startswith(kind) and key.endswith(".all")]
        if of_tissues:
            totals[f"{kind}.all"] = sum(of_tissues)
    return totals


def _versions() -> dict[str, str]:
    own = {"MicroCTSR": __version__, "Python": platform.python_version()}
    return own | {name: import_module(m).__version__ for name, m in _LIBRARIES.items()}


def _cases_shown(results: Results) -> list[tuple[int, str]]:
    """Numbers of the cases in the figures of slices, and why those."""
    cases, wanted = results.study.cases, results.study.figure.cases
    if wanted is not None:
        names = [case.name for case in cases]
        return [(names.index(name), "chosen in the study") for name in wanted]
    if len(cases) == 1:
        return [(0, "the only case")]
    against = results.study.against
    key = PSNR if results.known(against, PSNR) else M_HUM
    good = np.array([MEASURES[key].goodness(value) for value in results.of(against, key)])
    known = np.flatnonzero(np.isfinite(good))
    if not known.size:
        return [(0, "the first case")]
    order = known[np.argsort(good[known], kind="stable")]
    of = f"by {MEASURES[key].label} of {against}"
    shown = {int(order[len(order) // 2]): f"the middling case {of}"}
    shown.setdefault(int(order[0]), f"the worst case {of}")
    return list(shown.items())


def _shown(images: Images, case: Case, why: str) -> Shown:
    study, low = images.study, images.scan(case)
    made = {method.name: images.image(method, case, low) for method in study.methods}
    return shown(
        case.name,
        why,
        low,
        {name: image.mean for name, image in made.items()},
        {name: u for name, image in made.items() if (u := image.uncertainty) is not None},
        _truth(case, images.grid(case, low)),
        study.figure,
        next((method.name for method in study.methods if method.kind == "cubic"), None),
    )


def _notes(results: Results, truths: int) -> list[str]:
    study, notes = results.study, []
    cases = len(study.cases)
    if truths < cases:
        notes.append(f"Of {cases} cases, {truths} have a truth; only m-HuM is known of the others.")
    if not any(results.known(name, M_HUM) for name in results.methods):
        notes.append(
            "m-HuM needs references: micro-CT named in the study, or the truth of other cases."
        )
    if study.rivals and cases < MIN_PAIRS:
        notes.append(
            f"With fewer than {MIN_PAIRS} cases the Wilcoxon test cannot fall below 0.05 whatever "
            f"is measured, so no p values or effect sizes are given."
        )
    bone = [results.of(name, "bone_from_uncertainty.everywhere") for name in results.methods]
    everywhere = np.concatenate(bone)
    if np.isfinite(everywhere).any():
        notes.append(
            f"Calling every voxel bone gives a Dice of {np.nanmean(everywhere):.3f}, which bone "
            f"from uncertainty has to surpass to show anything."
        )
    devices = {run["device"] for runs in results.runs.values() for run in runs if "device" in run}
    if len(devices) > 1:
        told = ", ".join(sorted(devices))
        notes.append(f"Cases were super-resolved on different devices ({told}).")
    return notes
