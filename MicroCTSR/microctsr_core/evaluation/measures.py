"""All that can be told about a result beside its truth, as one plain dictionary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..errors import GeometryError
from ..preparation import in_plane_mm, resample_cubic
from ..trust import consistency, rms, scanner_at
from ..volume import Volume
from .alignment import check_same_grid, on_grid_of, part_under
from .fidelity import TISSUES_HU, fidelity, tissue
from .sharpness import edges, resolution
from .structures import structures
from .surfaces import surface_distance
from .uncertainty import Honesty, gradient_magnitude, honesty

_LEAST_PIXELS = 7  # the window of SSIM

NAMES = {
    "image": "the result",
    "truth": "the truth",
    "uncertainty": "its uncertainty",
    "ct": "the scan",
}


def measures(
    image: Volume,
    truth: Volume,
    uncertainty: Volume | None = None,
    ct: Volume | None = None,
    card: Mapping[str, Any] | None = None,
    names: Mapping[str, str] = NAMES,
) -> dict[str, Any]:
    """Compare a result with the truth, and its uncertainty with the errors that were made.

    Args:
        image: super-resolved values in HU.
        truth: in HU; see :func:`~.alignment.on_grid_of` for where it may lie.
        uncertainty: standard deviation in HU, on the grid of ``image``.
        ct: the scan that was super-resolved, for the gradient to compare the uncertainty with, and
            for the consistency.
        card: of a model, whose scanner tells the consistency with ``ct``.
        names: what messages call the volumes.

    Returns:
        ``psnr``, ``ssim``, ``dice`` and more, see Docs/evaluation.md; plain values that JSON can
        hold. What is not defined, such as the Dice of a tissue that is in neither image, or the
        PSNR of equal ones, is ``None``.

    Raises:
        GeometryError: the volumes do not belong together, or the slices are tiny.
    """
    if min(image.shape[1:]) < _LEAST_PIXELS:
        raise GeometryError(
            f"The slices of {names['image']} have {image.shape[1]} x {image.shape[2]} pixels, but "
            f"SSIM needs {_LEAST_PIXELS} x {_LEAST_PIXELS}; give a larger image."
        )
    true = on_grid_of(image, truth, (names["image"], names["truth"]))
    if uncertainty is not None:
        check_same_grid(image, uncertainty, (names["image"], names["uncertainty"]))
    low = None if ct is None else part_under(image, ct, (names["image"], names["ct"]))
    spacing_mm = in_plane_mm(image.spacing)
    pair = image.array, true.array
    alike, counts = fidelity(*pair, spacing_mm), structures(*pair, spacing_mm)
    answer: dict[str, Any] = {
        "psnr": alike.psnr,
        "ssim": alike.ssim,
        "dice": dict(alike.dice),
        "surface_distance_mm": {
            name: asdict(
                surface_distance(tissue(image.array, name), tissue(true.array, name), image.spacing)
            )
            for name in TISSUES_HU
        },
        "edges": {beside: asdict(edges(*pair, spacing_mm, beside)) for beside in ("air", "fluid")},
        "resolution_cycles_per_mm": asdict(resolution(*pair, spacing_mm)),
        "noise_sd_hu": dict(alike.noise_sd_hu),
        "specks_per_cm2": dict(alike.specks_per_cm2),
        "invented_per_cm2": _by_size(counts.invented, counts.invented_by_size),
        "missed_per_cm2": _by_size(counts.missed, counts.missed_by_size),
    }
    gradient = None
    if low is not None:
        if card is not None:
            departure = consistency(image, low, scanner_at(card, low.spacing))
            answer["consistency_rms_hu"] = rms(departure.array)
        factors = [fine // coarse for fine, coarse in zip(image.shape, low.shape, strict=True)]
        gradient = gradient_magnitude(resample_cubic(low.array, factors), spacing_mm)
    if uncertainty is not None:
        answer |= told(honesty(image.array, uncertainty.array, true.array, gradient))
    return finite(answer)


def told(found: Honesty) -> dict[str, Any]:
    """An :class:`Honesty` as plain values."""
    answer: dict[str, Any] = {
        "ause": found.ause,
        "rank_correlation": found.rank_correlation,
        "coverage": {str(k): share for k, share in found.coverage.items()},
        "calibration_error_hu": found.calibration.error_hu,
        "calibration": {key: value.tolist() for key, value in vars(found.calibration).items()},
        "sparsification": {
            key: value.tolist() for key, value in vars(found.sparsification).items()
        },
        "bone_from_uncertainty": {
            "best": asdict(found.bone_best),
            "otsu": asdict(found.bone_otsu),
            "everywhere": found.bone_everywhere,
        },
    }
    if found.gradient_rank_correlation is not None:
        answer["gradient_rank_correlation"] = found.gradient_rank_correlation
    return answer


def finite(value: Any) -> Any:
    """The same with ``None`` in place of what JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_size(
    total: Mapping[str, float], by_size: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    return {name: {"all": total[name], **by_size[name]} for name in total}
