"""Uncertainty becomes seeds, seeds become segments."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import slicer

import host
from panel import add_ct, linear_transform, rotation

BOX = (6, 96, 112)
LABELS = {"bone": 1, "fluid": 2, "air": 3}


@pytest.fixture
def segmenting(panel):
    """The panel with a made result: bone, fluid and air side by side, with unsure borders."""
    import microctsr_core as sr

    truth = np.ones(BOX, int)
    truth[:, 20:60, 20:60] = 2
    truth[:, 20:80, 80:105] = 3
    hu = np.choose(truth, [0, 1500, 0, -1000]).astype(np.float32)
    border = np.zeros(BOX, bool)
    for axis in (1, 2):
        for step in (-1, 1):
            border |= np.roll(truth, step, axis) != truth
    border = np.roll(border, 1, 2) | border | np.roll(border, -1, 2)
    hu[border] = 300.0
    mean = sr.Volume(hu, (0.7, 0.04, 0.04), direction=np.diag([-1.0, -1, 1]) @ rotation(2))
    uncertainty = mean.with_array(np.where(border, 200, 5).astype(np.float32))
    mean = mean.with_array(mean.array, {"notice": "synthetic, not for diagnosis"})
    report = {
        "passes_mean": 3.0,
        "device": "cpu",
        "seed_thresholds": {"air_hu": -500.0, "bone_hu": 700.0, "uncertainty_hu": 60.0},
    }
    result = SimpleNamespace(
        mean=mean, uncertainty=uncertainty, consistency=uncertainty, report=report
    )
    transform = linear_transform(3)
    nodes = sys.modules["MicroCTSRLib.Nodes"]
    ct = add_ct()
    panel.parameters.inputVolume = ct
    made = nodes.addResult(result, "CT", ct, transform.GetID())
    panel.result.take(made)
    panel.segmentation.take(made)
    host.pump()
    panel.truth, panel.border = truth, border
    yield panel
    del panel.truth, panel.border


def arrays_of(segmentation, mean):
    segments = segmentation.GetSegmentation()
    return {
        segments.GetNthSegment(n).GetName(): slicer.util.arrayFromSegmentBinaryLabelmap(
            segmentation, segments.GetNthSegmentID(n), mean
        ).astype(bool)
        for n in range(segments.GetNumberOfSegments())
    }


def test_the_sliders_start_from_otsu(segmenting):
    assert segmenting.ui.seedUncertaintySlider.value == 60
    assert segmenting.ui.seedAirSlider.value == -500
    assert segmenting.ui.seedBoneSlider.value == 700

    host.setSlider(segmenting.ui.seedBoneSlider, 1200)
    host.click(segmenting.ui.otsuButton)
    assert segmenting.ui.seedBoneSlider.value == 700


def test_seeds_are_segments_of_the_library_s_labels_and_a_mask(segmenting):
    from microctsr_core.trust.seeds import Thresholds, seed_labels

    nodes = segmenting.result.nodes()
    host.click(segmenting.ui.createSeedsButton)

    seeds = arrays_of(segmenting.parameters.seeds, nodes.mean)
    assert list(seeds) == ["bone", "fluid", "air", "Reliable"]
    values = [slicer.util.arrayFromVolume(node) for node in nodes[:2]]
    labels = seed_labels(*values, Thresholds(-500, 700, 60))
    for name, label in LABELS.items():
        np.testing.assert_array_equal(seeds[name], labels == label)
        assert not np.any(seeds[name] & (segmenting.truth != label))
    np.testing.assert_array_equal(seeds["Reliable"], values[1] <= 60)


def test_seeds_stand_beside_the_result_under_its_transform(segmenting):
    host.click(segmenting.ui.createSeedsButton)
    seeds, mean = segmenting.parameters.seeds, segmenting.result.nodes().mean
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert seeds.GetTransformNodeID() == mean.GetTransformNodeID()
    parents = [hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (seeds, mean)]
    assert parents[0] == parents[1]
    assert seeds.GetAttribute("MicroCTSR.notice") == "synthetic, not for diagnosis"


def test_creating_seeds_again_fills_the_same_segmentation(segmenting):
    host.click(segmenting.ui.createSeedsButton)
    first = segmenting.parameters.seeds
    host.setSlider(segmenting.ui.seedBoneSlider, 2000)
    host.click(segmenting.ui.createSeedsButton)

    assert segmenting.parameters.seeds is first
    assert not arrays_of(first, segmenting.result.nodes().mean)["bone"].any()


def test_growing_fills_the_result_and_finds_the_tissues(segmenting):
    host.click(segmenting.ui.growNowButton)

    nodes = segmenting.result.nodes()
    grown = arrays_of(slicer.util.getNode("CT SR grown"), nodes.mean)
    assert list(grown) == list(LABELS)
    np.testing.assert_array_equal(sum(array.astype(int) for array in grown.values()), 1)
    inside = ~segmenting.border
    for name, label in LABELS.items():
        np.testing.assert_array_equal(grown[name][inside], (segmenting.truth == label)[inside])
    assert segmenting.ui.segmentationLabel.text.startswith("Grown: bone ")


def test_growing_may_leave_what_is_unsure(segmenting):
    host.click(segmenting.ui.onlyReliableCheckBox)
    host.click(segmenting.ui.growNowButton)
    host.click(segmenting.ui.onlyReliableCheckBox)

    grown = arrays_of(slicer.util.getNode("CT SR grown"), segmenting.result.nodes().mean)
    for array in grown.values():
        assert not np.any(array & segmenting.border)


def test_seeds_of_one_kind_cannot_be_grown_and_that_is_said(segmenting):
    segmenting.parameters.seedAir = -1000
    segmenting.parameters.seedBone = 2500
    host.click(segmenting.ui.growNowButton)
    assert "seeds of fluid only" in segmenting.ui.segmentationLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_a_thin_result_grows_too(panel):
    segmentation = sys.modules["MicroCTSRLib.Segmentation"]
    intensity = np.full((1, 20, 30), 1500.0)
    intensity[:, :, 15:] = 0
    labels = np.zeros(intensity.shape, np.uint8)
    labels[0, 3, 3], labels[0, 10, 25] = 1, 2

    grown = segmentation.growCut(intensity, labels)

    np.testing.assert_array_equal(grown, np.where(intensity > 700, 1, 2))


def test_the_live_preview_follows_the_sliders(segmenting):
    host.click(segmenting.ui.previewSeedsCheckBox)
    host.pump(0.3)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    label = slicer.mrmlScene.GetNodeByID(red.GetLabelVolumeID())
    assert label.GetTransformNodeID() == segmenting.result.nodes().mean.GetTransformNodeID()
    assert (slicer.util.arrayFromVolume(label) == 1).any()

    host.setSlider(segmenting.ui.seedBoneSlider, 2000)
    host.pump(0.3)
    assert not (slicer.util.arrayFromVolume(label) == 1).any()

    host.click(segmenting.ui.previewSeedsCheckBox)
    assert red.GetLabelVolumeID() is None
    assert slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode") == []


def test_a_preview_of_the_default_region_follows_at_once(panel):
    import time

    segmentation = sys.modules["MicroCTSRLib.Segmentation"]
    core = segmentation.core
    random = np.random.default_rng(0)
    mean = random.choice([-1000.0, 0.0, 1500.0], (8, 384, 384)).astype(np.float32)
    start = time.perf_counter()
    core.seed_labels(mean, np.abs(mean) / 50, core.Thresholds(-500, 700, 20))
    # A generous bound for a busy machine; it takes a tenth of a second.
    assert time.perf_counter() - start < 2


def test_the_segment_editor_is_ready_to_grow(segmenting):
    host.click(segmenting.ui.openInSegmentEditorButton)

    assert slicer.util.selectedModule() == "SegmentEditor"
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    settings = editor.mrmlSegmentEditorNode()
    seeds = segmenting.parameters.seeds
    assert editor.segmentationNode() is seeds
    assert editor.sourceVolumeNode() is segmenting.result.nodes().mean
    assert editor.activeEffect().name == "Grow from seeds"
    assert settings.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment
    assert settings.GetMaskSegmentID() == "Reliable"
    # Every visible segment is a seed there, and the mask must be none.
    display = seeds.GetDisplayNode()
    assert not display.GetSegmentVisibility("Reliable")
    assert display.GetSegmentVisibility("bone")
