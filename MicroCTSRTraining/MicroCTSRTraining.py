"""MicroCTSRTraining: train a model on two unrelated folders, measure results, have them judged.

A thin shell: what the module is, and the classes that Slicer looks for here.
"""

import sys

# Slicer's Reload reads this file alone again; what it imports must then be read again, too.
for name in list(sys.modules):
    if name.partition(".")[0] == "MicroCTSRTrainingLib":
        del sys.modules[name]

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from MicroCTSRTrainingLib import (
    MicroCTSRTrainingLogic,
    MicroCTSRTrainingTest,
    MicroCTSRTrainingWidget,
    registerLayouts,
)

__all__ = [
    "MicroCTSRTraining",
    "MicroCTSRTrainingLogic",
    "MicroCTSRTrainingTest",
    "MicroCTSRTrainingWidget",
]


class MicroCTSRTraining(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MicroCTSR Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.dependencies = ["MicroCTSR"]
        parent.contributors = ["The MicroCTSR developers"]
        parent.helpText = _(
            "Trains a model for the module MicroCTSR on a folder of clinical CT and an unrelated "
            "folder of micro-CT, and measures results. Choose both folders, click Check, choose a "
            "folder for the run, click Start. The run goes on when Slicer is closed; choose its "
            "folder again to follow it. The tab Reader study lets experts judge results, blinded, "
            "in their browsers. Results are synthetic and not for diagnosis."
        )
        parent.acknowledgementText = _(
            "The method is that of Li et al., ISBI 2021: a CycleGAN trained on unpaired clinical "
            "CT and micro-CT, with Monte-Carlo dropout for uncertainty; results are compared by "
            "Hu moments."
        )
        slicer.app.connect("startupCompleted()", registerLayouts)
