"""How the panel writes sizes, times and warnings."""

import html

from slicer.i18n import tr as _


def red(text):
    """A sentence in red, as rich text."""
    return f'<span style="color:#c0392b">{html.escape(text, quote=False)}</span>'


def amber(text):
    """A warning, as rich text."""
    return f'<span style="color:#b9770e">{html.escape(text, quote=False)}</span>'


def grid(shape):
    """Voxels of a grid ordered (k, j, i), as columns x rows x slices."""
    return " × ".join(str(n) for n in reversed(shape))


def lengths(values, digits=3):
    """Lengths in mm ordered (k, j, i), as x, y, z."""
    return " × ".join(f"{value:.{digits}g}" for value in reversed(values)) + " mm"


def bytes_(count):
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def duration(seconds):
    if seconds < 90:
        return _("about {n} s").format(n=max(1, round(seconds)))
    if seconds < 5400:
        return _("about {n} min").format(n=round(seconds / 60))
    return _("about {n:.1f} h").format(n=seconds / 3600)
