"""The bundled scan: a real clinical CT of a right temporal bone, with where its cochlea lies.

It was cropped from the de-identified series "SINUS/Head" of CamiTK (Univ. Grenoble Alpes, CNRS,
Grenoble INP, TIMC), LGPL-3+; its provenance is told beside the file.
"""

from __future__ import annotations

from pathlib import Path

from .errors import ReadError
from .volume import Box

SAMPLE_NAME = "temporal_bone_right.nrrd"

COCHLEA_BOX: Box = ((25, 33), (46, 110), (40, 104))
"""Cochlea, vestibule and lateral semicircular canal in the bundled scan, in its voxels."""

COCHLEA_SLICES = (3, 6)
"""Slices of that box to look at: the cochlear turns; the vestibule and the lateral canal."""


def sample_volume_path() -> Path:
    """Path of the bundled CT, in a checkout of the project or in an installed package.

    Raises:
        ReadError: this installation came without the sample.

    Example:
        >>> import microctsr_core as sr
        >>> sr.read_volume(sample_volume_path()).shape
        (54, 140, 160)
    """
    package = Path(__file__).parent
    project = package.parent.parent
    for folder in (project / "Resources" / "SampleData", package / "sample_data"):
        if (folder / SAMPLE_NAME).is_file():
            return folder / SAMPLE_NAME
    raise ReadError(
        f"The sample scan {SAMPLE_NAME} did not come with this installation; "
        f"install MicroCTSR again, or use a checkout of the project."
    )
