"""A scripted module that is just big enough to try the host with."""

from pathlib import Path

SOURCE = """
import enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _, translate
from slicer.parameterNodeWrapper import parameterNodeWrapper, WithinRange
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

events = []


class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Tiny")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        slicer.app.connect("startupCompleted()", lambda: events.append("started"))


@parameterNodeWrapper
class TinyParameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(-100, 200)] = 100


class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        events.append("setup")
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Tiny.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TinyLogic()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_: events.append("close"))
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.parameters = TinyParameters(self.logic.getParameterNode())
        self.parameters.connectGui(self.ui)

    def enter(self):
        events.append("enter")

    def exit(self):
        events.append("exit")

    def cleanup(self):
        events.append("cleanup")
        self.removeObservers()

    def onApply(self):
        events.append("apply")


class TinyLogic(ScriptedLoadableModuleLogic):
    pass


class TinyTest(ScriptedLoadableModuleTest):
    def runTest(self):
        events.append("tested")
"""

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Tiny</class>
 <widget class="qMRMLWidget" name="Tiny">
  <layout class="QVBoxLayout" name="column">
   <item>
    <widget class="ctkCollapsibleButton" name="section">
     <property name="text"><string>Input</string></property>
     <layout class="QFormLayout" name="form">
      <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volumeSelector">
       <property name="nodeTypes">
        <stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist>
       </property>
       <property name="noneEnabled"><bool>true</bool></property>
       <property name="SlicerParameterName" stdset="0"><string>volume</string></property>
      </widget></item>
      <item row="1" column="1"><widget class="ctkSliderWidget" name="slider">
       <property name="decimals"><number>1</number></property>
       <property name="suffix"><string> HU</string></property>
       <property name="SlicerParameterName" stdset="0"><string>threshold</string></property>
      </widget></item>
     </layout>
    </widget>
   </item>
   <item>
    <widget class="ctkCollapsibleButton" name="closedSection">
     <property name="text"><string>Advanced</string></property>
     <property name="collapsed"><bool>true</bool></property>
     <layout class="QVBoxLayout" name="inner">
      <item><widget class="QLineEdit" name="line"/></item>
     </layout>
    </widget>
   </item>
   <item><widget class="QPushButton" name="applyButton">
    <property name="text"><string>Apply</string></property>
   </widget></item>
  </layout>
 </widget>
 <resources/>
 <connections>
  <connection>
   <sender>Tiny</sender>
   <signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>volumeSelector</receiver>
   <slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
 </connections>
</ui>
"""


def write(folder: Path, source: str = SOURCE, ui: str = UI) -> Path:
    """Write the module into a folder and return its file."""
    (folder / "Resources" / "UI").mkdir(parents=True, exist_ok=True)
    (folder / "Resources" / "UI" / "Tiny.ui").write_text(ui)
    path = folder / "Tiny.py"
    path.write_text(source)
    return path
