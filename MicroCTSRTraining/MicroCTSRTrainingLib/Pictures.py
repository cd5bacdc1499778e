"""The pictures that a run or a study draws, as volumes that a slice view shows."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from . import Tables

KIND = "vtkMRMLVectorVolumeNode"
# Columns run to the screen's right and rows upwards in an axial view, a pixel a millimetre.
_UPRIGHT = np.diag([-1.0, 1.0, 1.0, 1.0])


MOST_COLUMNS = 1200  # about as many as a view has


def show(run, path):
    """Put a picture into the scene, in the place of the one of the same run before it.

    Pictures of a run say themselves that they are synthetic and not for diagnosis.

    Args:
        run: folder of the run, or of the study.
        path: of a PNG file; one that is made for print is reduced.

    Returns:
        The volume node, or ``None`` where the file is no picture.
    """
    pixels = _read(path)
    if pixels is None:
        return None
    node = Tables.nodeOf(KIND, f"{run} picture", _("{0} picture").format(run.name))
    slicer.util.updateVolumeFromArray(node, pixels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_UPRIGHT))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node


def _read(path):
    """Pixels (1, rows upwards, columns, RGB) of a PNG file, or ``None``."""
    reader = vtk.vtkPNGReader()
    if not reader.CanReadFile(str(path)):
        return None
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    columns, rows, _slices = image.GetDimensions()
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return None
    pixels = vtk_to_numpy(scalars).reshape(1, rows, columns, -1)
    if pixels.shape[-1] < 3:
        pixels = pixels[..., :1].repeat(3, axis=-1)
    return _reduced(pixels[..., :3]).astype(np.uint8)


def _reduced(pixels):
    """Means over squares of pixels, so that thin lines are not lost between those of a view."""
    side = -(-pixels.shape[2] // MOST_COLUMNS)
    _one, rows, columns, _colours = pixels.shape
    whole = pixels[:, : rows // side * side, : columns // side * side]
    squares = whole.reshape(1, rows // side, side, columns // side, side, 3)
    return np.ascontiguousarray(squares.mean(axis=(2, 4)).round() if side > 1 else pixels)
