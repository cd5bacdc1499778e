"""How far a run of several stages is, when it is known about how long each takes."""

from __future__ import annotations

from collections.abc import Mapping

from ..inference import Progress


class Stages:
    """Tells a caller of stages done one after the other.

    Args:
        costs: message of each stage, in their order, and about how long it takes, in any unit.
        progress: called with the fraction of the whole and the message.
    """

    def __init__(self, costs: Mapping[str, float], progress: Progress | None) -> None:
        self._costs = costs
        self._progress = progress

    def begin(self, message: str) -> Progress:
        """Begin a stage; what is returned takes how far it is, and another's words about it."""
        names, total = list(self._costs), sum(self._costs.values())
        before = sum(self._costs[name] for name in names[: names.index(message)])

        def tell(fraction: float, _message: str = "") -> None:
            if self._progress is not None:
                self._progress((before + fraction * self._costs[message]) / total, message)

        tell(0.0)
        return tell

    def end(self) -> None:
        """All is done."""
        if self._progress is not None:
            self._progress(1.0, "Done")
