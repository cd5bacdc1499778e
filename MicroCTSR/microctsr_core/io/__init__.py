"""Reading and writing volumes: DICOM series, NRRD, NIfTI, MetaImage and TIFF stacks.

Whatever is wrong with an input ends in one :class:`~microctsr_core.errors.ReadError`, whatever
hinders an output in one :class:`~microctsr_core.errors.WriteError`; outputs appear whole or not
at all.
"""

from __future__ import annotations

from .checks import check_image
from .reading import read_volume
from .writing import VOLUME_SUFFIXES, atomic_path, check_output, write_volume

__all__ = [
    "VOLUME_SUFFIXES",
    "atomic_path",
    "check_image",
    "check_output",
    "read_volume",
    "write_volume",
]
