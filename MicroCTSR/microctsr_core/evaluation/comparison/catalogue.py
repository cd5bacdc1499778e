"""The measures of the table: what each is called, which way is better, what it means in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

M_HUM = "m_hum"
PSNR = "psnr"


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Args:
        key: where its value is found, and its column in the file of all values.
        label: heading.
        unit: of the values; empty for numbers without one.
        best: ``"highest"``, ``"lowest"``, or the value that it should have.
        digits: shown behind the point.
        meaning: in one line.
        group: heading above the row.
    """

    key: str
    label: str
    unit: str
    best: Literal["highest", "lowest"] | float
    digits: int
    meaning: str
    group: str

    def goodness(self, value: float) -> float:
        """Higher is better: the value, its negative, or minus its distance from the best one."""
        if self.best == "highest":
            return value
        return -value if self.best == "lowest" else -abs(value - float(self.best))

    @property
    def heading(self) -> str:
        """Label with unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def direction(self) -> str:
        """Which way is better, as an arrow or the value wanted."""
        if isinstance(self.best, str):
            return {"highest": "\N{UPWARDS ARROW}", "lowest": "\N{DOWNWARDS ARROW}"}[self.best]
        return f"\N{RIGHTWARDS ARROW} {self.best:g}"

    def shown(self, value: float) -> str:
        """The value as text."""
        return f"{value:.{self.digits}f}".replace("-", "\N{MINUS SIGN}")


_SHAPE, _TRUTH = "Likeness to micro-CT", "Agreement with the truth"
_STRUCTURES, _TRUST = "Structures", "Uncertainty"

_ROWS = (
    (_SHAPE, M_HUM, "m-HuM", "", "lowest", 4,
     "How far the shapes in a slice are, by Hu's moments, from those of the nearest slice of the "
     "references (Li et al. 2021). Needs no truth, and sees little of what is fine."),
    (_TRUTH, PSNR, "PSNR", "dB", "highest", 1,
     "Peak signal-to-noise ratio, over a range of 3000 HU."),
    (_TRUTH, "ssim", "SSIM", "", "highest", 3,
     "Structural similarity (Wang et al. 2004), mean over the slices; 1 for the truth itself."),
    (_TRUTH, "edges.fluid.rise_mm", "Edge width", "mm", "lowest", 3,
     "Median way from 10 to 90 % at the truth's walls between fluid and bone."),
    (_TRUTH, "resolution_cycles_per_mm.shared", "Resolution", "cycles/mm", "highest", 2,
     "Frequency up to which the image is more right than wrong (Fourier ring correlation above "
     "one half)."),
    (_TRUTH, "consistency_rms_hu", "Inconsistency", "HU", "lowest", 0,
     "RMS difference from the input, once brought back to its grid by the scanner model."),
    (_STRUCTURES, "dice.fluid", "Dice, fluid", "", "highest", 3,
     "Overlap of the fluid spaces by HU with the truth's: 0 for none, 1 for all."),
    (_STRUCTURES, "dice.air", "Dice, air", "", "highest", 3, "The same for air."),
    (_STRUCTURES, "dice.bone", "Dice, bone", "", "highest", 3, "The same for bone."),
    (_STRUCTURES, "surface_distance_mm.fluid.mean_mm", "Surface error, fluid", "mm", "lowest", 3,
     "Mean distance between the surfaces of the fluid spaces here and in the truth."),
    (_STRUCTURES, "invented_per_cm2.all", "Invented structures", "per cm²", "lowest", 1,
     "Structures above 0.02 mm² that lie farther than 0.2 mm from their tissue in the truth."),
    (_STRUCTURES, "missed_per_cm2.all", "Missed structures", "per cm²", "lowest", 1,
     "Structures of the truth, above 0.02 mm², that lie farther than 0.2 mm from their tissue "
     "here."),
    (_TRUST, "ause", "AUSE", "", "lowest", 3,
     "Area between the sparsification curves (Ilg et al. 2018): 0 if uncertainty sorts voxels as "
     "their errors do."),
    (_TRUST, "rank_correlation", "Rank correlation", "", "highest", 3,
     "Spearman's correlation of uncertainty and absolute error, voxel by voxel."),
    (_TRUST, "coverage.1", "Coverage, 1 SD", "", 0.683, 3,
     "Share of voxels whose error is within one uncertainty; 0.683 if errors are normal and the "
     "uncertainty is their SD."),
    (_TRUST, "bone_from_uncertainty.best.dice", "Bone from uncertainty", "Dice", "highest", 3,
     "Bone drawn by a threshold on the uncertainty alone, at the threshold that fits the truth "
     "best."),
)  # fmt: skip

MEASURES: Mapping[str, Measure] = {
    key: Measure(key, label, unit, best, digits, meaning, group)  # type: ignore[arg-type]
    for group, key, label, unit, best, digits, meaning in _ROWS
}
"""The rows of the table, in its order."""
