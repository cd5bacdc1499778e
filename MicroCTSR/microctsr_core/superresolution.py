"""Super-resolution of a scan, from the volume read to the volumes written, in named steps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .inference import Cancel, Plan, Preset, Progress, ScaleMode, Settings, infer, plan_work
from .io.checks import check_image
from .memory import peak_memory_bytes
from .model import Model, load_model
from .posterior import Samples
from .preparation import whole_box
from .resources import check_memory, resolve_device
from .trust import Thresholds, check_card, consistency, otsu_thresholds, rms, scanner_at
from .volume import Box, Volume

NOTICE = "synthetic, not for diagnosis"
MEAN, UNCERTAINTY, CONSISTENCY = "mean", "uncertainty", "consistency"
CONTENTS = {
    MEAN: "mean of passes, HU",
    UNCERTAINTY: "standard deviation of passes, HU",
    CONSISTENCY: "result brought back minus input, HU",
}
"""The volumes of a result, and what they hold."""


@dataclass(frozen=True, eq=False)
class Result:
    """What super-resolution gives.

    Args:
        mean: prediction in HU, float32, on the finer grid with the box's outer corners.
        uncertainty: standard deviation over passes in HU, times the model's ``uncertainty_scale``,
            on the same grid.
        consistency: result minus input in HU, on the box's own grid (see :mod:`.trust`).
        report: seconds per stage, passes, device, peak memory, model, warnings, thresholds for
            seeds (see ``trust.seeds``) and settings; plain values that JSON can hold.
    """

    mean: Volume
    uncertainty: Volume
    consistency: Volume
    report: dict[str, Any]


def superresolve(
    ct: Volume,
    model: Model | None = None,
    box: Box | None = None,
    samples: Samples = "auto",
    device: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    *,
    scale_mode: ScaleMode = "in-plane",
    tile: int | None = None,
    preset: Preset = "default",
    tolerance: float = 0.15,
) -> Result:
    """Super-resolve a box of a scan, with its uncertainty and its consistency with the scan.

    The same scan, model and seed give the same numbers: bit for bit on the CPU, whatever the
    order of the tiles, and to rounding for any tile size and any box. (With ``"auto"``, passes
    are counted in squares of 32 x 32 pixels; one that the box cuts may stop a little earlier
    or later than whole, or be known for air, see :mod:`.air`.)

    Args:
        ct: the whole scan in HU; what lies around the box is read from it.
        model: the bundled default when ``None``.
        box: ((k0, k1), (j0, j1), (i0, i1)) in voxels of ``ct``; the whole scan when ``None``.
        samples: passes with dropout, or ``"auto"``: 10 to 100, until the uncertainty is known to
            ``tolerance``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        seed: whole number from 0; another seed, another sample of the posterior.
        progress: called with the fraction done and a message, from the thread that works.
        cancel: asked after every pass of a tile; returning true ends the run.
        scale_mode: ``"in-plane"`` keeps the slices, ``"isotropic"`` makes cubic voxels.
        tile: edge of a tile in pixels of the network's input grid, rounded up to multiples of 32.
        preset: ``"paper"`` cuts, matches and filters as Li et al. 2021 do, with 100 passes for
            ``"auto"``; it needs a network that works on the high grid, such as ``resnet``.
        tolerance: relative standard error of the uncertainty at which ``"auto"`` stops
            (see ``moments.settled``).

    Raises:
        MicroCTSRError: a subclass that says what is wrong with the scan, the box, an argument,
            the device or the memory; ``Cancelled`` when ``cancel`` returned true.

    Example:
        >>> result = superresolve(ct, box=((24, 32), (49, 97), (56, 104)))
        >>> result.mean.shape
        (8, 384, 384)
    """
    settings = Settings(samples, seed, scale_mode, tile, preset, tolerance)
    seconds: dict[str, float] = {}
    if progress is not None:
        progress(0.0, "Checking the scan")
    with timed(seconds, "total"):
        with timed(seconds, "checks"):
            work = prepare(ct, model, box, settings, device)
            check_memory(ct, work.model, work.box, scale_mode, tile)
        with timed(seconds, "preparation"):
            plan = work.plan()
        with timed(seconds, "inference"):
            mean, uncertainty, passes = _collected(work, plan, progress, cancel)
        with timed(seconds, "consistency"):
            departure = consistency(mean, work.low, work.scanner)
            departure = departure.with_array(departure.array, work.header(CONSISTENCY))
    if progress is not None:
        progress(1.0, "Done")
    thresholds = otsu_thresholds(mean.array, uncertainty.array)
    peak, rms_hu = peak_memory_bytes(), rms(departure.array)
    report = work.report(seconds, passes, rms_hu, thresholds, peak, mean)
    return Result(mean, uncertainty, departure, report)


@dataclass(frozen=True, eq=False)
class Work:
    """A run of which everything is settled: checked, and nothing done.

    Args:
        ct: the whole scan.
        model: that super-resolves it.
        box: voxels to super-resolve.
        settings: how.
        device: where the network runs.
        warnings: what of the scan lies outside the model's training.
    """

    ct: Volume
    model: Model
    box: Box
    settings: Settings
    device: torch.device
    warnings: list[str]

    @property
    def low(self) -> Volume:
        """The part of the scan in the box."""
        return self.ct.crop(self.box)

    @property
    def scanner(self) -> dict[str, float]:
        """The scanner model for this scan's voxel size."""
        return scanner_at(self.model.card, self.ct.spacing)

    def plan(self) -> Plan:
        """The box in planes and tiles."""
        on_card = self.device.type == "cuda"
        return plan_work(self.ct, self.model, self.box, self.settings, on_card)

    def header(self, content: str) -> dict[str, str]:
        """What an output says about itself; of the scan, nothing but the modality."""
        box = ",".join(f"{start}:{stop}" for start, stop in self.box)
        scale = self.model.uncertainty_scale
        times = f" (times {scale:g})" if content == UNCERTAINTY and scale != 1 else ""
        return {
            "notice": NOTICE,
            "modality": self.ct.metadata.get("modality", "CT"),
            "model": f"{self.model.name} {self.model.version}",
            "model_sha256": self.model.sha256,
            "settings": json.dumps({"box": box, **asdict(self.settings)}),
            "content": CONTENTS[content] + times,
        }

    def report(
        self,
        seconds: dict[str, float],
        passes: Sequence[float],
        rms_hu: float,
        thresholds: Thresholds,
        peak_bytes: int,
        grid: Volume,
    ) -> dict[str, Any]:
        """The report of a :class:`Result`.

        Args:
            seconds: per stage.
            passes: mean number of passes of each plane.
            rms_hu: of the consistency.
            thresholds: for seeds.
            peak_bytes: the most memory that the process held.
            grid: of the result.
        """
        model = self.model
        return {
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
            "passes_mean": float(np.mean(passes)),
            "device": str(self.device),
            "peak_memory_bytes": peak_bytes,
            "model": {
                "name": model.name,
                "version": model.version,
                "sha256": model.sha256,
                "uncertainty_scale": model.uncertainty_scale,
            },
            "warnings": self.warnings,
            "grid": {"shape": list(grid.shape), "spacing": list(grid.spacing)},
            "consistency_rms_hu": rms_hu,
            "seed_thresholds": asdict(thresholds),
            "settings": {"box": [list(ends) for ends in self.box], **asdict(self.settings)},
        }


def prepare(
    ct: Volume, model: Model | None, box: Box | None, settings: Settings, device: str
) -> Work:
    """Check everything that can be known before the first pass, but for memory and disk.

    Raises:
        MicroCTSRError: as :func:`superresolve`.
    """
    check_image(ct)
    box = ct.check_box(box if box is not None else whole_box(ct.shape))
    model = model or load_model()
    settings.check(model)
    target = resolve_device(device)
    return Work(ct, model, box, settings, target, check_card(ct, model.card))


def _collected(
    work: Work, plan: Plan, progress: Progress | None, cancel: Cancel | None
) -> tuple[Volume, Volume, list[float]]:
    """Mean and uncertainty of all planes on the finer grid, and the passes of each."""
    shape = tuple(n * f for n, f in zip(work.low.shape, plan.factors, strict=True))
    mean, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
    passes = []
    for plane in infer(plan, work.model, work.settings, work.device, progress, cancel):
        mean[plane.number], uncertainty[plane.number] = plane.mean, plane.uncertainty
        passes.append(plane.passes)
    finer = work.low.on_refined_grid
    return (
        finer(mean, plan.factors, work.header(MEAN)),
        finer(uncertainty, plan.factors, work.header(UNCERTAINTY)),
        passes,
    )


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note how many seconds the block took."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
