"""Stand-ins for the MRML widgets that user-interface files of modules name."""

# Classes bear the names that Slicer and its users know.
# ruff: noqa: N801

import weakref
from typing import ClassVar

import vtk
from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QSizePolicy, QWidget
from shiboken6 import Shiboken

ACTION_ROLE = 0x0100 + 1


class qMRMLWidget(QWidget):
    """A widget that knows the scene and hands it on."""

    mrmlSceneChanged = Signal(object)
    SIGNATURES: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


def _menu_property(name):
    """A property that changes which lines the combo box lists."""

    def read(self):
        return self._options[name]

    def write(self, value):
        self._options[name] = value
        self._list_nodes()

    return read, write


def _while_alive(method):
    """An observer that neither keeps the widget alive nor calls one that is gone."""
    held = weakref.WeakMethod(method)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def call(caller, event, data=None):
        bound = held()
        if bound is not None and Shiboken.isValid(bound.__self__):
            bound(caller, event, data)

    return call


class qMRMLNodeComboBox(QWidget):
    """A combo box of the scene's nodes of some classes, kept up to date by the scene's events."""

    currentNodeChanged = Signal(object)
    currentNodeValid = Signal(bool)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    currentNodeRenamed = Signal(str)
    SIGNATURES: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeValid",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._combo = QComboBox(self)
        self._combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._combo.setMinimumContentsLength(8)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._options = {
            "nodeTypes": [],
            "hideChildNodeTypes": [],
            "showHidden": False,
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "renameEnabled": False,
            "editEnabled": False,
        }
        self._scene, self._current, self._base_names, self._attributes = None, None, {}, []
        self._requested, self._observed, self._scene_tags, self._menu_actions = None, {}, [], []
        self._combo.activated.connect(self._activated)
        self._combo.currentIndexChanged.connect(self._index_changed)
        self._listing = False
        self.setEnabled(False)

    # What lists the nodes

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        for tag in self._scene_tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._scene_tags = scene, []
        if scene is not None:
            for events, listener in (
                ((scene.NodeAddedEvent, scene.NodeRemovedEvent), self._node_came_or_went),
                ((scene.EndBatchProcessEvent, scene.EndCloseEvent), self._scene_changed),
            ):
                listen = _while_alive(listener)
                self._scene_tags += [scene.AddObserver(event, listen) for event in events]
        self._list_nodes(choose_first=not self._options["noneEnabled"])
        if scene is not None and self._requested is not None:
            wanted, self._requested = self._requested, None
            self._select(scene.GetNodeByID(wanted))
        self.setEnabled(scene is not None)

    def _node_came_or_went(self, scene, _event, node):
        if not scene.IsBatchProcessing() and (self._accepts(node) or node.GetID() in self._ids()):
            self._list_nodes()

    def _scene_changed(self, scene, _event, _data):
        if not scene.IsBatchProcessing():
            self._list_nodes()

    def _accepts(self, node) -> bool:
        options = self._options
        if node.GetHideFromEditors() and not options["showHidden"]:
            return False
        if any(node.IsA(name) for name in options["hideChildNodeTypes"]):
            return False
        name = node.GetClassName()
        kinds = [
            kind
            for kind in options["nodeTypes"]
            if kind == name or (options["showChildNodeTypes"] and node.IsA(kind))
        ]
        if not kinds:
            return False
        for kind, attribute, value in self._attributes:
            if kind in kinds:
                found = node.GetAttribute(attribute)
                if found is None or (value is not None and found != str(value)):
                    return False
        return True

    def _nodes(self):
        if self._scene is None:
            return []
        nodes = self._scene.GetNodes()
        listed = [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]
        return [node for node in listed if self._accepts(node)]

    def _list_nodes(self, choose_first=False):
        """List the nodes anew. Like any Qt combo box, an empty one chooses what comes first."""
        choose_first = choose_first or self._combo.count() == 0
        nodes = self._nodes()
        known = [self._scene.GetNodeByID(i) if self._scene else None for i in self._ids()]
        place = self._ids().index(self._current) if self._current in self._ids() else 0
        self._observe(nodes)
        self._listing = True
        self._combo.clear()
        if self._options["noneEnabled"]:
            self._combo.addItem(self._options["noneDisplay"], "")
        for node in nodes:
            self._combo.addItem(node.GetName() or "", node.GetID())
        self._add_actions()
        ids = [node.GetID() for node in nodes]
        current = self._current
        if current and current not in ids:
            # The next in the list takes the place of a node that is gone, as in any Qt combo box.
            current = ids[min(place, len(ids) - 1)] if ids else None
        elif current is None and choose_first and ids and not self._options["noneEnabled"]:
            current = ids[0]
        self._show_current(current)
        self._listing = False
        self._set_current(current)
        for node in nodes:
            if node not in known:
                self.nodeAdded.emit(node)

    def _ids(self):
        data = [self._combo.itemData(i) for i in range(self._combo.count())]
        return [identifier for identifier in data if identifier]

    def _add_actions(self):
        lines = []
        kinds = self._options["nodeTypes"]
        self._combo.setPlaceholderText(f"Select a {self.nodeTypeLabel(kinds[0] if kinds else '')}")
        label = self.nodeTypeLabel(kinds[0]) if len(kinds) == 1 else "node"
        if self._options["renameEnabled"]:
            lines.append((f"Rename current {label}", "RENAME"))
        if self._options["editEnabled"]:
            lines.append((f"Edit current {label}", "EDIT"))
        if self._options["addEnabled"]:
            lines += [(f"Create new {self.nodeTypeLabel(k)}", "CREATE/" + k) for k in kinds]
        if self._options["removeEnabled"]:
            lines.append((f"Delete current {label}", "DELETE"))
        lines += [(action.text(), action) for action in self._menu_actions]
        if lines and self._scene is not None:
            self._combo.insertSeparator(self._combo.count())
            for text, action in lines:
                self._combo.addItem(text)
                self._combo.setItemData(self._combo.count() - 1, action, ACTION_ROLE)

    def _observe(self, nodes):
        wanted = {node.GetID(): node for node in nodes}
        for identifier in set(self._observed) - set(wanted):
            node, tag = self._observed.pop(identifier)
            node.RemoveObserver(tag)
        for identifier in set(wanted) - set(self._observed):
            node = wanted[identifier]
            listen = _while_alive(self._node_modified)
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, listen)
            self._observed[identifier] = (node, tag)

    def _node_modified(self, node, _event, _data):
        index = self._combo.findData(node.GetID())
        if index >= 0 and self._combo.itemText(index) != node.GetName():
            self._combo.setItemText(index, node.GetName())

    # What chooses a node

    def _show_current(self, identifier):
        index = self._combo.findData(identifier) if identifier else -1
        if index < 0 and self._options["noneEnabled"]:
            index = 0
        self._combo.setCurrentIndex(index)

    def _index_changed(self, index):
        if not self._listing and self._combo.itemData(index, ACTION_ROLE) is None:
            self._set_current(self._combo.itemData(index) or None)

    def _activated(self, index):
        action = self._combo.itemData(index, ACTION_ROLE)
        if action is None:
            self.nodeActivated.emit(self.currentNode())
            return
        self._show_current(self._current)
        if not isinstance(action, str):
            action.trigger()
        elif action.startswith("CREATE/"):
            node = self.addNode(action.split("/")[1])
            self.nodeAddedByUserAction.emit(node)
        elif action == "DELETE" and self.currentNode() is not None:
            self.removeCurrentNode()
        elif action == "RENAME" and self.currentNode() is not None:
            self.renameCurrentNode()

    def _set_current(self, identifier):
        if identifier == self._current:
            return
        self._current = identifier
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.currentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(identifier or "")

    def _select(self, node):
        # A node that the combo box does not list cannot be chosen.
        identifier = node.GetID() if node is not None and node.GetID() in self._ids() else None
        self._listing = True
        self._show_current(identifier)
        self._listing = False
        self._set_current(identifier)

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node):
        if node is not None and not hasattr(node, "GetID"):
            raise TypeError(f"setCurrentNode takes a node, not {node!r}")
        if self._scene is None:
            self._requested = node.GetID() if node is not None else None
            return
        self._select(node)

    def _set_current_id(self, identifier):
        if self._scene is None:
            self._requested = identifier or None
            return
        self._select(self._scene.GetNodeByID(identifier) if identifier else None)

    def setCurrentNodeIndex(self, index):
        self._select(self.nodeFromIndex(index))

    def nodeCount(self):
        return len(self._ids())

    def nodeFromIndex(self, index):
        ids = self._ids()
        return self._scene.GetNodeByID(ids[index]) if 0 <= index < len(ids) else None

    # What the lines below the nodes do

    def nodeTypeLabel(self, kind):
        label = self._scene.GetTypeDisplayNameByClassName(kind) if self._scene else ""
        return label or "node"

    def addNode(self, kind=None):
        kind = kind or self._options["nodeTypes"][0]
        name = self._base_names.get(kind) or self._scene.GetTagByClassName(kind)
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(name))
        for wanted, attribute, value in self._attributes:
            if wanted == kind and value is not None:
                node.SetAttribute(attribute, str(value))
        self._list_nodes()
        self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self.currentNode())

    def renameCurrentNode(self):
        node = self.currentNode()
        name, accepted = QInputDialog.getText(self, "Rename", "New name:", text=node.GetName())
        if accepted and name:
            node.SetName(name)
            self.currentNodeRenamed.emit(name)

    def addMenuAction(self, action):
        self._menu_actions.append(action)
        self._list_nodes()

    def addAttribute(self, kind, attribute, value=None):
        self._attributes.append((kind, attribute, value))
        self._list_nodes()

    def removeAttribute(self, kind, attribute):
        self._attributes = [a for a in self._attributes if a[:2] != (kind, attribute)]
        self._list_nodes()

    def _set_base_name(self, name):
        self._base_names.update(dict.fromkeys(self._options["nodeTypes"], name))

    def _base_name(self):
        kinds = self._options["nodeTypes"]
        return self._base_names.get(kinds[0], "") if kinds else ""

    currentNodeID = Property(str, lambda self: self._current or "", _set_current_id)
    baseName = Property(str, _base_name, _set_base_name)
    nodeTypes = Property("QStringList", *_menu_property("nodeTypes"))
    hideChildNodeTypes = Property("QStringList", *_menu_property("hideChildNodeTypes"))
    showHidden = Property(bool, *_menu_property("showHidden"))
    showChildNodeTypes = Property(bool, *_menu_property("showChildNodeTypes"))
    noneEnabled = Property(bool, *_menu_property("noneEnabled"))
    noneDisplay = Property(str, *_menu_property("noneDisplay"))
    addEnabled = Property(bool, *_menu_property("addEnabled"))
    removeEnabled = Property(bool, *_menu_property("removeEnabled"))
    renameEnabled = Property(bool, *_menu_property("renameEnabled"))
    editEnabled = Property(bool, *_menu_property("editEnabled"))
    selectNodeUponCreation = Property(bool, lambda _: True, lambda _, __: None)
