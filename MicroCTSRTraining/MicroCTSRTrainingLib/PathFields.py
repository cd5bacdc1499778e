"""Lines for paths, each tied to a text among the parameters.

Slicer itself ties such a line to a ``pathlib.Path``, which cannot be empty.
"""


class PathFields:
    """Keeps lines and parameters equal.

    Args:
        panel: whose parameters they are.
        fields: the name of a parameter for each line.
    """

    def __init__(self, panel, fields):
        self._panel = panel
        self._fields = fields
        for name, line in fields.items():
            line.currentPathChanged.connect(lambda _text=None, name=name: self._onChanged(name))
            # An emptied line tells by this alone.
            line.validInputChanged.connect(lambda _valid=None, name=name: self._onChanged(name))

    def update(self):
        for name, line in self._fields.items():
            text = getattr(self._panel.parameters, name)
            # A space at the end may be the middle of a name that is being typed.
            if line.currentPath.strip() != text:
                line.currentPath = text

    def _onChanged(self, name):
        parameters = self._panel.parameters
        text = self._fields[name].currentPath.strip()
        if parameters is not None and getattr(parameters, name) != text:
            setattr(parameters, name, text)


def forFolders(*lines):
    """Let the buttons of these lines browse for folders."""
    import ctk

    for line in lines:
        line.filters = ctk.ctkPathLineEdit.Dirs


def forFiles(*lines):
    """Let the buttons of these lines browse for files; folders can be typed."""
    import ctk

    for line in lines:
        line.filters = ctk.ctkPathLineEdit.Files


def openPath(path):
    """Open a page or a folder as the system does; returns its path in words."""
    import qt

    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
    return str(path)
