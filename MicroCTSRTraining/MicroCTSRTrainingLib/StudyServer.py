"""The server of a study of readers: a process of its own that ends with Slicer."""

import json

from slicer.i18n import tr as _

from MicroCTSRLib.Task import RUNNING, Task


class StudyServer(Task):
    """A server on its way, at work, or ended; ``changed()`` tells of it.

    It waits in no queue, since it runs for days. ``links`` are the addresses of the raters' pages
    by name, ``owner`` is that of the owner's page; there are none before pages can be opened.

    Args:
        folder: of the study.
        host: address to listen at.
        port: to listen at; 0 takes one that is free.
        address: how raters call the server, where that is not by this computer's own name.
    """

    def __init__(self, folder, host, port, address=""):
        Task.__init__(self, advice=_("start the server again"))
        self.folder, self.host, self.port, self.address = folder, host, port, address
        self.base = self.owner = ""
        self.links = {}

    @property
    def isServing(self):
        """Whether pages can be opened."""
        return self.state == RUNNING and bool(self.owner)

    def _arguments(self, folder):
        words = ["study", "serve", self.folder, "--host", self.host, "--port", self.port, "--json"]
        return [*words, f"--address={self.address}"] if self.address else words

    def _hasAnswer(self, code, folder):
        return False  # however it ended by itself, it should not have

    def _onLine(self, text):
        # The links stay out of the log: they are secrets.
        told = _json(text)
        if told is None:
            Task._onLine(self, text)
            return
        self.base, self.links, self.owner = told["base"], told["raters"], told["owner"]
        self._set(self.state, _("Serving"))


def _json(text):
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.keys() >= {"base", "raters", "owner"} else None
