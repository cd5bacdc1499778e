"""MicroCTSR: super-resolve a loaded CT of the ear to a micro-CT-like volume, with uncertainty.

A thin shell: what the module is, its sample data, and the classes that Slicer looks for here.
"""

import sys
from pathlib import Path

# Slicer's Reload reads this file alone again; what it imports must then be read again, too.
for name in list(sys.modules):
    if name.partition(".")[0] in ("MicroCTSRLib", "microctsr_core"):
        del sys.modules[name]

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from MicroCTSRLib import (
    MicroCTSRLogic,
    MicroCTSRTest,
    MicroCTSRWidget,
    ensureNotice,
    registerLayout,
    registerSampleData,
)

__all__ = ["MicroCTSR", "MicroCTSRLogic", "MicroCTSRTest", "MicroCTSRWidget"]


class MicroCTSR(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MicroCTSR")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.dependencies = []
        parent.contributors = ["The MicroCTSR developers"]
        parent.helpText = _(
            "Turns a clinical CT of the ear into a micro-CT-like volume, eight times finer, and "
            "says voxel by voxel how far to trust it. Choose a CT, place the region around the "
            "ear, click Super-resolve, then turn the uncertainty into seeds and segments. "
            "Results are synthetic and not for diagnosis."
        )
        parent.acknowledgementText = _(
            "The method is that of Li et al., ISBI 2021: a CycleGAN trained on unpaired clinical "
            "CT and micro-CT, with Monte-Carlo dropout for uncertainty."
        )
        slicer.app.connect("startupCompleted()", self.afterStartup)

    def afterStartup(self):
        """Keep the notice in the views, know the layout of saved scenes, offer the sample data."""
        ensureNotice()
        registerLayout()
        registerSampleData(Path(__file__).parent / "Resources" / "Icons")
