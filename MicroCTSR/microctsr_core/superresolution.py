"""Super-resolution of a scan, from the volume read to the volumes written, in named steps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .inference import Cancel, Inferred, Preset, Progress, ScaleMode, Settings, infer, plan_work
from .io.checks import check_image
from .memory import peak_memory_bytes
from .model import Model, load_model
from .posterior import Samples
from .preparation import whole_box
from .resources import check_memory, resolve_device
from .trust import check_card, consistency, otsu_thresholds, scanner_at
from .volume import Box, Volume

NOTICE = "synthetic, not for diagnosis"


@dataclass(frozen=True, eq=False)
class Result:
    """What super-resolution gives.

    Args:
        mean: prediction in HU, float32, on the finer grid with the box's outer corners.
        uncertainty: standard deviation over passes in HU, on the same grid.
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
    with _timed(seconds, "total"):
        with _timed(seconds, "checks"):
            check_image(ct)
            box = ct.check_box(box if box is not None else whole_box(ct.shape))
            model = model or load_model()
            settings.check(model)
            target = resolve_device(device)
            warnings = check_card(ct, model.card)
            check_memory(ct, model, box, scale_mode, tile)
        with _timed(seconds, "preparation"):
            plan = plan_work(ct, model, box, settings, on_card=target.type == "cuda")
        with _timed(seconds, "inference"):
            inferred = infer(plan, model, settings, target, progress, cancel)
        with _timed(seconds, "consistency"):
            low, facts = ct.crop(box), _header(ct, model, box, settings)
            mean, uncertainty = _volumes(low, inferred, plan.factors, facts)
            departure = consistency(mean, low, scanner_at(model.card, ct.spacing))
            departure = _labelled(departure, facts, "result brought back minus input, HU")
    if progress is not None:
        progress(1.0, "Done")
    report = {
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "passes_mean": inferred.passes_mean,
        "device": str(target),
        "peak_memory_bytes": peak_memory_bytes(),
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "warnings": warnings,
        "consistency_rms_hu": float(np.sqrt(np.mean(np.square(departure.array, dtype=float)))),
        "seed_thresholds": asdict(otsu_thresholds(mean.array, uncertainty.array)),
        "settings": {"box": [list(ends) for ends in box], **asdict(settings)},
    }
    return Result(mean, uncertainty, departure, report)


def _volumes(
    low: Volume, inferred: Inferred, factors: tuple[int, int, int], facts: dict[str, str]
) -> tuple[Volume, Volume]:
    """Place mean and uncertainty on the finer grid of a box."""
    mean = low.on_refined_grid(inferred.mean, factors)
    uncertainty = low.on_refined_grid(inferred.uncertainty, factors)
    return (
        _labelled(mean, facts, "mean of passes, HU"),
        _labelled(uncertainty, facts, "standard deviation of passes, HU"),
    )


def _labelled(volume: Volume, facts: dict[str, str], content: str) -> Volume:
    return volume.with_array(volume.array, {**facts, "content": content})


def _header(ct: Volume, model: Model, box: Box, settings: Settings) -> dict[str, str]:
    """What every output says about itself; of the scan, nothing but the modality."""
    chosen = {"box": ",".join(f"{start}:{stop}" for start, stop in box), **asdict(settings)}
    return {
        "notice": NOTICE,
        "modality": ct.metadata.get("modality", "CT"),
        "model": f"{model.name} {model.version}",
        "model_sha256": model.sha256,
        "settings": json.dumps(chosen),
    }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
