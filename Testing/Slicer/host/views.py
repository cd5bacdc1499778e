"""Slice views and 3-D views without a window."""

from PySide6.QtCore import QObject


class View(QObject):
    """What slice views and 3-D views have in common."""

    def __init__(self, node):
        super().__init__()
        self._node = node


class SliceView(View):
    def __init__(self, logic, application_logic):
        super().__init__(logic.GetSliceNode())
        self._logic = logic


class ThreeDView(View):
    def __init__(self, node, application_logic):
        super().__init__(node)
