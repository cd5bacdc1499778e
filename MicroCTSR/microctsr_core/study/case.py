"""A scan of a study with what each method made of it; nothing but numpy is needed to check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError, MicroCTSRError
from ..volume import Volume

_REACH = 1.0  # voxels of the scan by which a result may reach beyond it


@dataclass(frozen=True, eq=False)
class Case:
    """A scan and what each method made of it.

    Args:
        name: of the scan; raters never see it.
        scan: clinical CT in HU.
        results: of each method, in HU, all on one grid whose axes are the scan's.
    """

    name: str
    scan: Volume
    results: Mapping[str, Volume]

    def check(self) -> None:
        """Make sure that the methods can be shown side by side.

        Raises:
            MicroCTSRError: there are fewer than two methods.
            GeometryError: a result has other slices than the first one, or does not lie in the
                scan.
        """
        if len(self.results) < 2:
            raise MicroCTSRError(
                f"A study compares at least two methods, but {self.name} has "
                f"{len(self.results)}; give one more."
            )
        (first, grid), *others = self.results.items()
        for name, result in others:
            if result.shape != grid.shape:
                raise GeometryError(
                    f"{self.name}: {name} has {_by(result.shape)} voxels (k, j, i), but {first} "
                    f"has {_by(grid.shape)}; give results with the same slices."
                )
            if not grid.same_grid(result, 0.1 * min(grid.spacing)):
                raise GeometryError(
                    f"{self.name}: {name} lies elsewhere in the patient than {first}; give "
                    f"results with the same slices."
                )
        parallel = abs((self.scan.direction * grid.direction).sum(axis=0) - 1).max() < 1e-3
        corners = np.c_[grid.corners_lps(), np.ones(8)] @ np.linalg.inv(self.scan.ijk_to_lps).T
        outside = np.maximum(-0.5 - corners, corners - (*self.scan.shape[::-1], np.inf) + 0.5)
        if not parallel or outside[:, :3].max() > _REACH:
            raise GeometryError(
                f"{self.name}: the results do not lie in the scan; give the scan that they were "
                f"made of."
            )


def _by(numbers: tuple[int, ...]) -> str:
    return " x ".join(str(number) for number in numbers)
