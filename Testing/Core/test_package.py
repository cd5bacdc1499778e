"""What a programmer relies on when importing the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import microctsr_core


def test_importing_the_package_loads_neither_torch_nor_slicer() -> None:
    code = (
        "import sys, microctsr_core as sr; sr.read_volume; sr.Volume; sr.__version__;"
        "print([m for m in ('torch', 'slicer', 'qt', 'vtk', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_announced_name_is_there() -> None:
    for name in microctsr_core.__all__:
        assert getattr(microctsr_core, name) is not None
        assert name in dir(microctsr_core)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = microctsr_core.nonsense


def test_every_user_error_has_one_base() -> None:
    for name in ("ReadError", "WriteError", "ModelError", "ResourceError", "Cancelled"):
        assert issubclass(getattr(microctsr_core, name), microctsr_core.MicroCTSRError)
