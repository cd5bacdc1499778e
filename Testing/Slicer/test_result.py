"""A result is shown with its window, overlays, legend and notice, and compared with its input."""

import sys

import numpy as np
import pytest
import slicer

import host
from panel import add_ct, rotation


@pytest.fixture
def shown(panel, toy_model):
    """The panel with a result that it shows."""
    ct = add_ct(direction=rotation(7))
    panel.parameters.inputVolume = ct
    nodes = panel.logic.superResolve(ct, model=str(toy_model), samples=3)
    panel.result.take(nodes)
    panel.segmentation.take(nodes)
    panel.parameters.overlay = overlay("UNCERTAINTY")
    panel.parameters.hideBelow = 40
    panel.parameters.legend = True
    host.pump()
    return panel


def overlay(name):
    return sys.modules["MicroCTSRLib.Parameter"].Overlay[name]


def composite(view="Red"):
    return slicer.app.layoutManager().sliceWidget(view).sliceLogic().GetSliceCompositeNode()


def notice_in(view):
    notice = slicer.modules.microctsrNotice
    entry = notice._actors.get(f"slice {view}")
    return entry is not None and bool(entry[1].GetVisibility())


def test_the_result_has_the_window_of_its_input(shown):
    display = shown.result.nodes().mean.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (3000, 700)
    assert not display.GetAutoWindowLevel()


def test_the_uncertainty_lies_over_it_in_a_perceptual_colour_map(shown):
    nodes = shown.result.nodes()
    assert composite().GetBackgroundVolumeID() == nodes.mean.GetID()
    assert composite().GetForegroundVolumeID() == nodes.uncertainty.GetID()
    assert composite().GetForegroundOpacity() == 0.5
    assert nodes.uncertainty.GetDisplayNode().GetColorNode().GetName() == "Inferno"


def test_a_slicer_without_the_colour_map_shows_grey(shown):
    display = sys.modules["MicroCTSRLib.Display"]
    node = shown.result.nodes().uncertainty.GetDisplayNode()
    display.setColours(node, "vtkMRMLColorTableNodeFileNoSuchMap.txt")
    assert node.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_opacity_and_overlay_follow_their_controls(shown):
    host.setSlider(shown.ui.opacitySlider, 0.25)
    assert composite().GetForegroundOpacity() == 0.25

    shown.ui.overlaySelector.currentIndex = 1
    assert composite().GetForegroundVolumeID() == shown.result.nodes().consistency.GetID()

    shown.ui.overlaySelector.currentIndex = 2
    assert composite().GetForegroundVolumeID() is None


def drawn_alpha(node):
    """Opacity with which each voxel of the first slice is drawn, by Slicer's own pipeline."""
    from vtk.util.numpy_support import vtk_to_numpy

    producer = node.GetDisplayNode().GetOutputImageDataConnection().GetProducer()
    producer.Update()
    scalars = producer.GetOutputDataObject(0).GetPointData().GetScalars()
    return vtk_to_numpy(scalars)[:, 3].reshape(slicer.util.arrayFromVolume(node).shape)


@pytest.mark.parametrize("part", ["uncertainty", "consistency"])
def test_what_is_small_is_hidden_either_way(shown, part):
    node = getattr(shown.result.nodes(), part)
    values = np.abs(slicer.util.arrayFromVolume(node))
    limit = float(np.percentile(values, 60))
    host.setSlider(shown.ui.hideBelowSlider, round(limit))
    limit = shown.ui.hideBelowSlider.value

    alpha = drawn_alpha(node)

    # A colour table has 256 steps: values within one of the limit may fall on either side.
    step = 2 * node.GetDisplayNode().GetWindow() / 255
    assert not alpha[values < limit - step].any()
    assert alpha[values > limit + step].all()


def test_each_overlay_starts_to_hide_where_its_own_values_are_small(shown):
    """Uncertainty may be scaled to hundreds of HU, with which no departure would be seen."""
    reliable = float(shown.result.nodes().mean.GetAttribute("MicroCTSR.seeds.uncertainty_hu"))
    shown.ui.overlaySelector.currentIndex = 1
    assert shown.ui.hideBelowSlider.value == 40
    shown.ui.overlaySelector.currentIndex = 0
    assert shown.ui.hideBelowSlider.value == pytest.approx(min(reliable * 2 / 3, 3000), abs=1)
    shown.result.take(shown.result.nodes())
    assert shown.parameters.hideBelow == pytest.approx(min(reliable * 2 / 3, 3000), abs=1)


def test_nothing_is_hidden_at_zero(shown):
    host.setSlider(shown.ui.hideBelowSlider, 0)
    for node in shown.result.nodes()[1:]:
        assert drawn_alpha(node).all()


def test_the_legend_tells_hu_of_the_overlay_shown(shown):
    logic = slicer.modules.colors.logic()
    nodes = shown.result.nodes()
    legend = logic.GetColorLegendDisplayNode(nodes.uncertainty)
    assert legend.GetVisibility()
    assert legend.GetTitleText() == "Uncertainty (HU)"
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    manager = view.displayableManagerByClassName("vtkMRMLColorLegendDisplayableManager")
    assert manager.GetColorLegendActor(legend).GetVisibility()

    host.click(shown.ui.legendCheckBox)
    assert not legend.GetVisibility()

    host.click(shown.ui.legendCheckBox)
    shown.ui.overlaySelector.currentIndex = 1
    assert not legend.GetVisibility()
    assert logic.GetColorLegendDisplayNode(nodes.consistency).GetVisibility()


def test_slices_are_linked_as_the_box_says(shown):
    assert composite().GetLinkedControl() == composite().GetHotLinkedControl() == 1
    host.click(shown.ui.linkCheckBox)
    assert composite().GetLinkedControl() == composite().GetHotLinkedControl() == 0


def test_every_view_of_a_result_says_that_it_is_synthetic(shown):
    assert all(notice_in(view) for view in ("Red", "Green", "Yellow"))

    slicer.util.setSliceViewerLayers(background=shown.parameters.inputVolume, foreground=None)
    assert not any(notice_in(view) for view in ("Red", "Green", "Yellow"))


def test_the_notice_is_really_drawn(shown):
    from host import pictures

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    view.renderWindow()
    with_notice = pictures.view("Red", (400, 300)).astype(int)
    actor = slicer.modules.microctsrNotice._actors["slice Red"][1]
    actor.SetVisibility(False)
    without = pictures.view("Red", (400, 300)).astype(int)
    actor.SetVisibility(True)

    changed = np.argwhere(np.abs(with_notice - without).sum(axis=2) > 60)
    assert len(changed) > 200
    assert changed[:, 0].max() < 50  # at the top of the view


def test_compare_shows_input_and_result_in_one_plane_and_goes_back(shown):
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    before = node.GetViewArrangement()
    host.click(shown.ui.compareButton)

    left, right = composite("MicroCTSRInput"), composite("MicroCTSRResult")
    assert left.GetBackgroundVolumeID() == shown.parameters.inputVolume.GetID()
    assert left.GetForegroundVolumeID() is None
    assert right.GetBackgroundVolumeID() == shown.result.nodes().mean.GetID()
    assert left.GetHotLinkedControl() == right.GetHotLinkedControl() == 1
    slices = [
        slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
        for view in ("MicroCTSRInput", "MicroCTSRResult")
    ]
    planes = [slicer.util.arrayFromVTKMatrix(node_.GetSliceToRAS()) for node_ in slices]
    np.testing.assert_allclose(*planes, atol=1e-9)
    assert slices[0].GetFieldOfView()[1] == slices[1].GetFieldOfView()[1]
    assert slices[0].GetViewGroup() == slices[1].GetViewGroup() != 0
    # The plane is the volume's own, though it lies oblique.
    through = rotation(7)[:, 2]
    assert abs(planes[0][:3, 2] @ through) == pytest.approx(1, abs=1e-6)
    assert shown.ui.compareButton.checked
    assert not notice_in("MicroCTSRInput")
    assert notice_in("MicroCTSRResult")

    host.click(shown.ui.compareButton)
    assert node.GetViewArrangement() == before
    assert not shown.ui.compareButton.checked


def test_controls_wait_for_a_result(panel):
    for name in ("opacitySlider", "compareButton", "createSeedsButton", "growNowButton"):
        assert not getattr(panel.ui, name).enabled


def test_a_result_with_a_part_deleted_is_none_any_more(shown):
    slicer.mrmlScene.RemoveNode(shown.result.nodes().uncertainty)
    host.pump()
    assert shown.result.nodes() is None
    assert not shown.ui.compareButton.enabled


def test_provenance_and_result_survive_a_saved_scene(shown, tmp_path):
    names = [node.GetName() for node in shown.result.nodes()]
    hash_ = shown.result.nodes().mean.GetAttribute("MicroCTSR.model_sha256")
    opacity = shown.parameters.overlayOpacity
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        slicer.util.saveNode(node, str(tmp_path / f"{node.GetName()}.nrrd"))
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    host.closeScene()

    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Import()
    host.pump()

    mean = slicer.util.getNode(names[0])
    nodes = sys.modules["MicroCTSRLib.Nodes"].resultNodes(mean)
    assert [node.GetName() for node in nodes] == names
    assert mean.GetAttribute("MicroCTSR.model_sha256") == hash_
    assert mean.GetNodeReference("MicroCTSR.input").GetName() == "CT"
    assert shown.parameters.result is mean
    assert shown.parameters.overlayOpacity == opacity
