"""The card check: what of a scan lies outside a model's training, said before the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..pieces import sampled
from ..preparation import in_plane_mm
from ..volume import Volume

# Rounding in headers (0.3125 mm, 0.15 mm) is no reason to warn.
_SIZE_TOLERANCE = 0.02
_THICK_SLICES = 2.5
# Noise in air and in dense bone reaches a little beyond the values of the tissue itself.
_NOISE_MARGIN = 0.05
_OUTSIDE_SHARE = 0.001
_FLAT_RANGE_HU = 300
_SAMPLES = 1_000_000


def check_card(volume: Volume, card: Mapping[str, Any]) -> list[str]:
    """What lies outside the model's training, one plain sentence each; empty when nothing does.

    Args:
        volume: the whole scan.
        card: of the model; it says which voxel sizes and intensities it was trained for.
    """
    warnings = _voxel_warnings(volume, card)
    if card["intensity"]["kind"] == "hu_window":
        warnings += _intensity_warnings(volume, card)
    if card["dropout"]["kind"] == "none":
        warnings.append("The model has no dropout, so its uncertainty is zero everywhere.")
    if card["network"]["arguments"].get("norm") == "instance":
        warnings.append(
            "The network normalises each tile by its own statistics, so tiles may differ in "
            "brightness and the result depends on the tile size: calibrate the model "
            "(microctsr model calibrate)."
        )
    return warnings


def _voxel_warnings(volume: Volume, card: Mapping[str, Any]) -> list[str]:
    through, *in_plane = volume.spacing
    low, high = card["voxel_size_low_mm"]
    warnings = []
    if max(in_plane) > min(in_plane) * (1 + _SIZE_TOLERANCE):
        warnings.append(
            f"The voxels are not square in the plane ({in_plane[0]:.3g} x {in_plane[1]:.3g} mm), "
            f"but the model {card['name']} was trained on square ones: shapes may be distorted."
        )
    if min(in_plane) < low * (1 - _SIZE_TOLERANCE) or max(in_plane) > high * (1 + _SIZE_TOLERANCE):
        warnings.append(
            f"Voxels of {in_plane_mm(volume.spacing):.3g} mm in the plane lie outside the "
            f"{low:g} to {high:g} mm that the model {card['name']} was trained for: "
            f"do not trust details in the result."
        )
    ratio = through / in_plane_mm(volume.spacing)
    if ratio > _THICK_SLICES:
        warnings.append(
            f"Slices lie {through:.3g} mm apart, {ratio:.1f} times the voxel size in the plane: "
            f"structures thinner than a slice are blurred through the plane."
        )
    return warnings


def _intensity_warnings(volume: Volume, card: Mapping[str, Any]) -> list[str]:
    values = sampled(volume.array, _SAMPLES)
    low, high = card["intensity_range_hu"]
    least, greatest = (float(value) for value in np.percentile(values, (0.1, 99.9)))
    modality = volume.metadata.get("modality", "CT")
    warnings = []
    if modality != "CT":
        warnings.append(
            f"The scan's modality is {modality}, but the model {card['name']} was trained on CT."
        )
    if least >= 0 or greatest - least < _FLAT_RANGE_HU:
        warnings.append(
            f"The intensities ({least:.4g} to {greatest:.4g}) do not look like Hounsfield units, "
            f"in which air is -1000 and water 0: convert the scan first."
        )
        return warnings
    margin = _NOISE_MARGIN * (high - low)
    outside = float(np.mean((values < low - margin) | (values > high + margin)))
    if outside > _OUTSIDE_SHARE:
        warnings.append(
            f"{100 * outside:.1f} % of the voxels lie outside the {low:g} to {high:g} HU that "
            f"the model {card['name']} was trained for (the scan has {least:.0f} to "
            f"{greatest:.0f} HU), as metal and padding do: do not trust the result there."
        )
    return warnings
