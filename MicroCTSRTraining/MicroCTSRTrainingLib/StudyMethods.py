"""Methods and the folders of their results, as lines of a text among the parameters."""

from pathlib import Path

from slicer.i18n import tr as _


def read(text):
    """Pairs of name and folder, of which either may be empty."""
    pairs = (line.partition("=") for line in text.splitlines())
    return [(name.strip(), folder.strip()) for name, _sign, folder in pairs]


def written(pairs):
    """The text that keeps these pairs."""
    return "\n".join(f"{name}={folder}" for name, folder in pairs)


def problem(pairs):
    """Why no study can be made of these, or nothing."""
    names = [name for name, _folder in pairs]
    for name, folder in pairs:
        if not name:
            return _("Write the name of the method whose results lie in {folder}.").format(
                folder=folder
            )
        if names.count(name) > 1:
            return _("Two methods are called {name}; give one another name.").format(name=name)
        if not folder:
            return _("Write the folder with the results of {name}.").format(name=name)
        if not Path(folder).expanduser().exists():
            return _("{folder} does not exist; correct the folder of {name}.").format(
                folder=folder, name=name
            )
    if len(pairs) < 2:
        return _("A study compares at least two methods; add one more.")
    return ""
