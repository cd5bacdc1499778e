"""Super-resolve clinical CT of the ear to a micro-CT-like volume that says how far to trust it.

Example:
    >>> import microctsr_core as sr
    >>> ct = sr.read_volume("ct.nrrd")
    >>> result = sr.superresolve(ct, box=((24, 32), (49, 97), (56, 104)))
    >>> sr.write_volume(result.mean, "sr.nrrd")

Importing the package needs nothing but numpy and stays quick: PyTorch and SimpleITK are loaded
when a name that needs them is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    Cancelled,
    GeometryError,
    MicroCTSRError,
    ModelError,
    ReadError,
    ResourceError,
    WriteError,
)
from .on_first_use import loaded_on_first_use
from .volume import Box, Volume

if TYPE_CHECKING:
    from .card import list_models
    from .io import read_volume, write_volume
    from .model import Model, load_model
    from .streaming import stream
    from .superresolution import Result, superresolve

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Cancelled",
    "GeometryError",
    "MicroCTSRError",
    "Model",
    "ModelError",
    "ReadError",
    "ResourceError",
    "Result",
    "Volume",
    "WriteError",
    "__version__",
    "list_models",
    "load_model",
    "read_volume",
    "stream",
    "superresolve",
    "write_volume",
]

__getattr__, __dir__ = loaded_on_first_use(
    __name__,
    {
        "Model": "model",
        "list_models": "card",
        "load_model": "model",
        "read_volume": "io.reading",
        "Result": "superresolution",
        "stream": "streaming.pipeline",
        "superresolve": "superresolution",
        "write_volume": "io.writing",
    },
)
