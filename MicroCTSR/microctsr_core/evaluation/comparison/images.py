"""The image that each method makes of a case, all of them on one grid."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ... import __version__
from ...errors import GeometryError, ModelError
from ...inference import Cancel
from ...io import atomic_path, check_image, read_volume, write_volume
from ...model import Model, load_model
from ...preparation import fine_factors, whole_box
from ...preview.planes import interpolate_cubic
from ...superresolution import superresolve
from ...volume import Volume
from .elsewhere import find_result, find_volume, read_on
from .study import Case, Method, Study

SCALE = 8
"""Fine voxels per voxel where neither a model nor the study tells it."""

_UNCERTAINTY = "_uncertainty"


@dataclass(frozen=True, eq=False)
class Image:
    """What a method makes of a case.

    Args:
        mean: in HU.
        uncertainty: SD in HU on the same grid; ``None`` for a method that has none.
        facts: of a model's run: ``passes_mean``, ``seconds``, ``device``.
    """

    mean: Volume
    uncertainty: Volume | None
    facts: dict[str, Any]


class Images:
    """Makes the images of a study; what models made is kept in a folder and found there again.

    Args:
        study: whose methods and settings are meant.
        work: folder for what models make, a folder for each. It can be removed at any time, and
            each folder in it can be named as ``results`` in another study.
        device: where networks run.

    Raises:
        ModelError: a model cannot be loaded, or its scale is not that of the others.
    """

    def __init__(self, study: Study, work: Path, device: str = "auto") -> None:
        self.study = study
        self.models: dict[str, Model] = {
            method.name: load_model(method.place)
            for method in study.methods
            if method.kind == "model" and method.place is not None
        }
        self._work, self._device = work, device
        scales = {name: model.scale for name, model in self.models.items()}
        if study.scale is not None:
            scales["the study"] = study.scale
        if len(set(scales.values())) > 1:
            told = ", ".join(f"{scale} of {name}" for name, scale in scales.items())
            raise ModelError(
                f"{study.path}: images are compared on one grid, but the scales differ ({told}); "
                f"leave out the methods of another scale."
            )
        self.scale = next(iter(scales.values()), SCALE)

    @property
    def card(self) -> dict[str, Any] | None:
        """Of the model whose scanner all methods' consistency is judged by, if there is a model.

        It is one for all, as each model would be judged by a scanner of its own otherwise.
        """
        model = self.models.get(self.study.against) or next(iter(self.models.values()), None)
        return None if model is None else model.card

    def facts(self) -> dict[str, dict[str, Any]]:
        """Name, version, hash and scale of the uncertainty of the models, by method."""
        return {
            name: {
                "name": model.name,
                "version": model.version,
                "sha256": model.sha256,
                "uncertainty_scale": model.uncertainty_scale,
            }
            for name, model in self.models.items()
        }

    def scan(self, case: Case) -> Volume:
        """The whole clinical scan of a case, in HU.

        Raises:
            ReadError: it cannot be read, or is no scan that can be super-resolved.
        """
        low = read_volume(case.low.path, case.low.spacing, case.low.series)
        check_image(low, str(case.low.path))
        if case.box is not None:
            try:
                low.check_box(case.box)
            except GeometryError as error:
                raise GeometryError(f"{self.study.path}: the box of {case.name}: {error}") from None
        return low

    def grid(self, case: Case, low: Volume) -> Volume:
        """The grid on which the methods are compared, without values."""
        part = low.crop(case.box if case.box is not None else whole_box(low.shape))
        factors = fine_factors(low.spacing, self.scale, self.study.scale_mode)
        shape = tuple(n * f for n, f in zip(part.shape, factors, strict=True))
        return part.on_refined_grid(np.broadcast_to(np.float32(0), shape), factors, {})

    def check(self, case: Case, grid: Volume) -> None:
        """Find out, before any work, whether all that was made elsewhere is there and fits.

        Raises:
            ReadError: the result of a case is missing or cannot be read.
            GeometryError: it is on another grid.
        """
        for method in self.study.methods:
            if method.kind == "results":
                _from_folder(method, case, grid)

    def image(
        self,
        method: Method,
        case: Case,
        low: Volume,
        progress: Callable[[float, str], None] | None = None,
        cancel: Cancel | None = None,
    ) -> Image:
        """The image of a case by a method.

        Raises:
            MicroCTSRError: as :meth:`check`, and as ``superresolve``.
        """
        grid = self.grid(case, low)
        if method.kind == "cubic":
            planes = [interpolate_cubic(low, grid, k) for k in range(grid.shape[0])]
            return Image(grid.with_array(np.stack(planes)), None, {})
        if method.kind == "results":
            return _from_folder(method, case, grid)
        return self._from_model(method, case, low, progress, cancel)

    def _from_model(
        self,
        method: Method,
        case: Case,
        low: Volume,
        progress: Callable[[float, str], None] | None,
        cancel: Cancel | None,
    ) -> Image:
        model, study = self.models[method.name], self.study
        settings: dict[str, Any] = {
            "box": case.box,
            "samples": study.samples,
            "seed": study.seed,
            "scale_mode": study.scale_mode,
        }
        made_by = [
            *(__version__, str(torch.__version__)),
            *(model.sha256, model.card["network"], model.card["intensity"]),
            *(model.uncertainty_scale, _fingerprint(low), settings),
        ]
        key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
        stem = self._work / _file_name(method.name) / case.name
        mean, uncertainty = _beside(stem, ".nrrd"), _beside(stem, f"{_UNCERTAINTY}.nrrd")
        note = _beside(stem, ".json")
        facts = _read_note(note)
        if facts.get("key") == key:
            return Image(read_volume(mean), read_volume(uncertainty), facts)
        note.unlink(missing_ok=True)
        result = superresolve(
            low, model, device=self._device, progress=progress, cancel=cancel, **settings
        )
        facts = {
            "key": key,
            "passes_mean": result.report["passes_mean"],
            "seconds": result.report["seconds"]["total"],
            "device": result.report["device"],
        }
        write_volume(result.mean, mean, compress=False)
        write_volume(result.uncertainty, uncertainty, compress=False)
        with atomic_path(note) as temporary:  # last: it says that the others are whole
            temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return Image(result.mean, result.uncertainty, facts)


def _from_folder(method: Method, case: Case, grid: Volume) -> Image:
    """Read the volumes that were made elsewhere."""
    assert method.place is not None
    mean = find_result(method.place, case.name)
    uncertainty = find_volume(method.place, case.name + _UNCERTAINTY)
    return Image(
        read_on(mean, grid), None if uncertainty is None else read_on(uncertainty, grid), {}
    )


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name).strip(".") or "_"


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _fingerprint(volume: Volume) -> str:
    """Hash of a volume's values and place."""
    found = hashlib.sha256(repr((volume.shape, str(volume.dtype), volume.spacing)).encode())
    found.update(volume.ijk_to_lps.tobytes())
    for plane in volume.array:
        found.update(np.ascontiguousarray(plane).tobytes())
    return found.hexdigest()
