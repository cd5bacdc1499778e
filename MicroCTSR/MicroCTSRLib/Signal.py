"""Signals for code that knows no widgets: the logic emits, whoever is interested connects."""


class Signal:
    """A list of functions to call.

    Example:
        >>> finished = Signal()
        >>> finished.connect(print)
        >>> finished.emit("done")
        done
    """

    def __init__(self):
        self._receivers = []

    def connect(self, receiver):
        self._receivers.append(receiver)

    def emit(self, *values):
        for receiver in tuple(self._receivers):
            receiver(*values)
