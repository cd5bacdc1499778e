"""Reading and writing volumes: DICOM series, NRRD, NIfTI, MetaImage and TIFF stacks.

Whatever is wrong with an input ends in one :class:`~microctsr_core.errors.ReadError`, whatever
hinders an output in one :class:`~microctsr_core.errors.WriteError`; outputs appear whole or not
at all. The names are loaded when they are first used, so that :mod:`.raw_nrrd`, which needs
nothing but numpy, can be had without SimpleITK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_first_use import loaded_on_first_use

if TYPE_CHECKING:
    from .atomic import atomic_path, check_output
    from .checks import check_image
    from .raw_nrrd import map_raw_nrrd, raw_nrrd_slabs, write_raw_nrrd
    from .reading import read_volume
    from .writing import VOLUME_SUFFIXES, write_volume

__all__ = [
    "VOLUME_SUFFIXES",
    "atomic_path",
    "check_image",
    "check_output",
    "map_raw_nrrd",
    "raw_nrrd_slabs",
    "read_volume",
    "write_raw_nrrd",
    "write_volume",
]

__getattr__, __dir__ = loaded_on_first_use(
    __name__,
    {
        "VOLUME_SUFFIXES": "writing",
        "atomic_path": "atomic",
        "check_image": "checks",
        "check_output": "atomic",
        "map_raw_nrrd": "raw_nrrd",
        "raw_nrrd_slabs": "raw_nrrd",
        "read_volume": "reading",
        "write_raw_nrrd": "raw_nrrd",
        "write_volume": "writing",
    },
)
