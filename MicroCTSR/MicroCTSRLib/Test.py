"""The module's self-test: from a loaded CT to a grown segmentation, by the panel's own buttons.

It runs in the real application (*Reload & Test*, CTest) and in the project's test host.
"""

import time
import unittest

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from microctsr_core.sample import COCHLEA_BOX, sample_volume_path
from microctsr_core.trust.seeds import LABELS

from . import Display, Nodes, Regions
from .Parameter import Quality, ScaleMode

MAX_WAIT_S = 300


class MicroCTSRTest(ScriptedLoadableModuleTest):
    """One scenario, as a clinician goes through it."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_FromLoadedCTToGrownSegmentation()

    def test_FromLoadedCTToGrownSegmentation(self):
        widget = openPanel()
        missing = widget.logic.installation.missing()
        if missing:
            raise unittest.SkipTest(f"Slicer's Python lacks {', '.join(missing)}")
        ct = self.loadCT(widget)
        nodes = self.superResolve(widget, ct)
        self.look(widget, nodes, ct)
        self.segment(widget, nodes)

    def loadCT(self, widget):
        self.delayDisplay("Load the bundled CT")
        ct = slicer.util.loadVolume(str(sample_volume_path()))
        slicer.util.setSliceViewerLayers(background=ct)
        widget.parameters.inputVolume = ct
        self.assertTrue(widget.ui.applyButton.enabled, widget.ui.applyButton.toolTip)
        return ct

    def superResolve(self, widget, ct):
        self.delayDisplay("Place the region and super-resolve it")
        box = smallBox()
        widget.ui.fitToViewButton.click()
        roi = widget.parameters.region
        Regions.placeOverBox(roi, ct, box)
        self.assertEqual(Regions.boxOf(roi, ct), box)
        widget.parameters.quality = Quality.FIXED
        widget.parameters.passes = 3
        widget.parameters.scaleMode = ScaleMode.IN_PLANE
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        widget.ui.applyButton.click()
        self.assertEqual(widget.ui.applyButton.text, "Cancel")
        waitUntil(lambda: widget.logic.queue.current is None)
        after = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        self.assertEqual(after, before + 3, widget.ui.statusLabel.text)
        nodes = widget.result.nodes()
        self.assertEqual(nodes.mean.GetName(), f"{ct.GetName()} SR")
        shape = tuple(
            (stop - start) * factor for (start, stop), factor in zip(box, (1, 8, 8), strict=True)
        )
        self.assertEqual(slicer.util.arrayFromVolume(nodes.mean).shape, shape)
        self.assertEqual(Nodes.resultNodes(nodes.mean), nodes)
        self.assertIn("not for diagnosis", nodes.mean.GetAttribute("MicroCTSR.notice"))
        return nodes

    def look(self, widget, nodes, ct):
        self.delayDisplay("Look at the result, and compare it with the CT")
        window = ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()
        display = nodes.mean.GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), window)
        composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        self.assertEqual(composite.GetBackgroundVolumeID(), nodes.mean.GetID())
        self.assertEqual(composite.GetForegroundVolumeID(), nodes.uncertainty.GetID())
        widget.ui.hideBelowSlider.value = 30
        self.assertEqual(nodes.uncertainty.GetDisplayNode().GetLowerThreshold(), 30)
        if slicer.app.layoutManager() is not None:
            widget.ui.compareButton.click()
            self.assertTrue(Display.isComparing())
            left = Display.compositeNode(Display.INPUT_VIEW)
            self.assertEqual(left.GetBackgroundVolumeID(), ct.GetID())
            widget.ui.compareButton.click()
            self.assertFalse(Display.isComparing())

    def segment(self, widget, nodes):
        self.delayDisplay("Make seeds and grow them")
        widget.ui.createSeedsButton.click()
        seeds = widget.parameters.seeds.GetSegmentation()
        names = [seeds.GetNthSegment(n).GetName() for n in range(seeds.GetNumberOfSegments())]
        self.assertEqual(names, [*LABELS, "Reliable"])
        widget.ui.growNowButton.click()
        grown = slicer.util.getNode(f"{nodes.mean.GetName()} grown")
        covered = np.zeros(slicer.util.arrayFromVolume(nodes.mean).shape, int)
        for name in LABELS:
            covered += slicer.util.arrayFromSegmentBinaryLabelmap(grown, name, nodes.mean)
        self.assertTrue(np.all(covered == 1), "each voxel belongs to one grown segment")


def openPanel():
    """The module's panel, opened as by a user."""
    slicer.util.selectModule("MicroCTSR")
    return slicer.modules.microctsr.widgetRepresentation().self()


def smallBox():
    """Some of the cochlea in the bundled CT: enough to hold bone and fluid, quick to compute."""
    (k0, _k1), (j0, _j1), (i0, _i1) = COCHLEA_BOX
    return ((k0 + 3, k0 + 5), (j0 + 12, j0 + 36), (i0 + 16, i0 + 40))


def waitUntil(condition, seconds=MAX_WAIT_S):
    """Let Slicer work until a condition holds.

    Raises:
        TimeoutError: it does not within that time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came of it within {seconds} s")
        slicer.app.processEvents()
        time.sleep(0.01)
