"""Volumes keep their place on the way from Slicer to the library and back."""

import sys

import numpy as np
import pytest
import slicer
import vtk

from panel import add_ct, linear_transform, rotation

MIRROR = np.diag([1.0, 1.0, -1.0])


def voxel_centres(node, world=True):
    """RAS mm of the centres of a node's corner voxels, by VTK's own transforms."""
    toRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(toRas)
    toWorld = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        node.GetParentTransformNode() if world else None, None, toWorld
    )
    ends = [(0, n - 1) for n in node.GetImageData().GetDimensions()]
    points = []
    for i in ends[0]:
        for j in ends[1]:
            for k in ends[2]:
                ras = toRas.MultiplyPoint((i, j, k, 1))[:3]
                points.append(toWorld.TransformPoint(ras))
    return np.array(points)


def library_centres(volume):
    """RAS mm of the same voxels by the library's own geometry."""
    k, j, i = (n - 1 for n in volume.shape)
    indices = [(a, b, c, 1) for a in (0, i) for b in (0, j) for c in (0, k)]
    lps = (volume.ijk_to_lps @ np.array(indices, float).T).T[:, :3]
    return lps * (-1, -1, 1)


@pytest.mark.parametrize("direction", [np.eye(3), rotation(3), rotation(4) @ MIRROR])
@pytest.mark.parametrize("isTransformed", [False, True])
def test_results_lie_where_the_library_says(panel, toy_model, direction, isTransformed):
    import microctsr_core as sr

    ct = add_ct(direction=direction, spacing=(0.25, 0.3, 0.6))
    transform = linear_transform(5, scale=1.1) if isTransformed else None
    ct.SetAndObserveTransformNodeID(transform and transform.GetID())
    volume = sr.Volume(
        slicer.util.arrayFromVolume(ct),
        (0.6, 0.3, 0.25),
        np.array([12.0, -7.0, 30.0]) * (-1, -1, 1),
        np.diag([-1.0, -1.0, 1.0]) @ direction,
    )
    expected = sr.superresolve(volume, sr.load_model(toy_model), samples=2)

    nodes = panel.logic.superResolve(ct, model=str(toy_model), samples=2)

    toWorld = np.eye(4)
    if isTransformed:
        toWorld = slicer.util.arrayFromTransformMatrix(transform)
    for node, part in zip(
        nodes, (expected.mean, expected.uncertainty, expected.consistency), strict=True
    ):
        where = library_centres(part) @ toWorld[:3, :3].T + toWorld[:3, 3]
        np.testing.assert_allclose(voxel_centres(node), where, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), part.array)
        assert node.GetParentTransformNode() is transform


def test_a_region_over_a_box_is_that_box_again(panel):
    regions = sys.modules["MicroCTSRLib.Regions"]
    ct = add_ct(direction=rotation(1))
    ct.SetAndObserveTransformNodeID(linear_transform(2).GetID())
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    box = ((1, 4), (3, 20), (5, 17))

    regions.placeOverBox(roi, ct, box)

    assert regions.boxOf(roi, ct) == box
    np.testing.assert_allclose(roi.GetSize(), (12 * 0.3, 17 * 0.3, 3 * 0.7))


def test_a_region_under_a_transform_counts_where_it_is_in_the_world(panel):
    regions = sys.modules["MicroCTSRLib.Regions"]
    ct = add_ct()
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetAndObserveTransformNodeID(linear_transform(2).GetID())

    regions.placeOverBox(roi, ct, ((1, 4), (3, 20), (5, 17)))

    assert regions.boxOf(roi, ct) == ((1, 4), (3, 20), (5, 17))


def test_a_straight_region_covers_the_voxels_it_touches(panel):
    regions = sys.modules["MicroCTSRLib.Regions"]
    ct = add_ct()  # voxel (i, j, k) lies at (12 + 0.3 i, -7 + 0.3 j, 30 + 0.7 k)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(12 + 0.3 * 10, -7 + 0.3 * 8, 30 + 0.7 * 2)
    roi.SetSize(0.3 * 5, 0.3 * 2, 0.1)

    # 5 voxels around i = 10; 2 voxels' width around the centre of j = 8 touches 3; a slice of k.
    assert regions.boxOf(roi, ct) == ((2, 3), (7, 10), (8, 13))


def test_a_region_beside_the_volume_is_refused_by_name(panel):
    regions = sys.modules["MicroCTSRLib.Regions"]
    from microctsr_core.errors import GeometryError

    ct = add_ct(name="Left ear")
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetCenter(500, 0, 0)
    roi.SetSize(10, 10, 10)

    with pytest.raises(GeometryError, match=r"Box lies outside Left ear; move it"):
        regions.boxOf(roi, ct)


def test_a_volume_under_a_nonlinear_transform_is_refused_clearly(panel, toy_model):
    from microctsr_core.errors import GeometryError

    ct = add_ct(name="Warped")
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    grid = vtk.vtkImageData()
    grid.SetDimensions(4, 4, 4)
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(grid)
    warp.SetAndObserveTransformFromParent(transform)
    ct.SetAndObserveTransformNodeID(warp.GetID())
    before = len(slicer.util.getNodesByClass("vtkMRMLNode"))

    with pytest.raises(GeometryError, match=r"Warped lies under the nonlinear transform warp"):
        panel.logic.superResolve(ct, model=str(toy_model), samples=2)

    panel.parameters.inputVolume = ct
    assert "nonlinear" in panel.ui.inputMessageLabel.text
    assert not panel.ui.applyButton.enabled
    assert len(slicer.util.getNodesByClass("vtkMRMLNode")) == before


def test_a_sheared_volume_is_refused_clearly(panel):
    from microctsr_core.errors import GeometryError

    nodes = sys.modules["MicroCTSRLib.Nodes"]
    shear = np.eye(3)
    shear[0, 2] = 0.3
    with pytest.raises(GeometryError, match=r"Tilted cannot be used as it lies.*Resample"):
        nodes.volumeFromNode(add_ct(direction=shear, name="Tilted"))


def test_the_crosshair_region_is_a_cube_of_15_mm_around_it(panel):
    ct = add_ct(shape=(40, 80, 90))
    panel.parameters.inputVolume = ct
    centre = (12 + 0.3 * 45, -7 + 0.3 * 40, 30 + 0.7 * 20)
    slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCrosshairRAS(centre)

    panel.ui.aroundCrosshairButton.click()

    roi = panel.parameters.region
    np.testing.assert_allclose(roi.GetCenter(), centre, atol=0.36)
    np.testing.assert_allclose(roi.GetSize(), (15, 15, 15), atol=1.4)


def test_a_crosshair_outside_says_how_to_move_it(panel):
    panel.parameters.inputVolume = add_ct()
    slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCrosshairRAS(999, 0, 0)

    panel.ui.aroundCrosshairButton.click()

    assert "hold Shift" in panel.ui.inputMessageLabel.text
    assert panel.parameters.region is None


def test_fit_to_view_takes_what_the_views_show(panel):
    ct = add_ct(shape=(40, 80, 90))
    panel.parameters.inputVolume = ct
    slicer.util.setSliceViewerLayers(background=ct, fit=True)
    node = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    centre = (12 + 0.3 * 45, -7 + 0.3 * 40, 30 + 0.7 * 20)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        view.JumpSliceByCentering(*centre)
    width, height, _depth = node.GetDimensions()
    node.SetFieldOfView(9.0, 9.0 * height / width, 1)

    panel.ui.fitToViewButton.click()

    size = panel.parameters.region.GetSize()
    assert size[0] == pytest.approx(9.0, abs=0.7)
    # The other views show all of the slices, which run past them.
    assert size[2] == pytest.approx(40 * 0.7, abs=0.8)
