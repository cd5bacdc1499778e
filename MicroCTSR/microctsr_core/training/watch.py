"""Early warning: a run that goes wrong says so in a plain sentence, not after a night."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from ..errors import MicroCTSRError

WINDOW = 200
"""Steps over which a discriminator is watched."""

# Loss of a discriminator (real and generated together) that cannot tell one from the other.
CHANCE_LEVEL = {"log": 2 * math.log(2), "least-squares": 0.5}
_TOO_SURE = 0.02


class Diverged(MicroCTSRError):
    """A loss or a gradient is no number any more; weights and checkpoint are from before."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: training has diverged. The last checkpoint is from before; lower "
            f"optimiser.rate and train anew."
        )


class Watch:
    """Looks at the losses of every step.

    Args:
        form: of the adversarial loss; ``None`` for methods without a discriminator.
    """

    def __init__(self, form: str | None) -> None:
        self._form = form
        self._seen: dict[str, deque[float]] = {}
        self._told: set[str] = set()

    def check(self, step: int, losses: Mapping[str, float]) -> str | None:
        """A warning that was not given before, or none.

        Args:
            step: its number.
            losses: by name; a discriminator's are called ``real_…`` and ``made_…``, or ``real``
                and ``made``.

        Raises:
            Diverged: a loss is not finite.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise Diverged(f"The loss {name} is {value} at step {step}")
        for suffix in {name.partition("real")[2] for name in losses if name.startswith("real")}:
            warning = self._of_judge(suffix, losses.get(f"made{suffix}", math.nan), losses)
            if warning and suffix not in self._told:
                self._told.add(suffix)
                return f"Step {step}: {warning}"
        return None

    def _of_judge(self, suffix: str, made: float, losses: Mapping[str, float]) -> str | None:
        seen = self._seen.setdefault(suffix, deque(maxlen=WINDOW))
        seen.append(made + losses[f"real{suffix}"])
        if len(seen) < WINDOW or self._form is None:
            return None
        name = f"{suffix.strip('_')} discriminator".strip()
        if sum(seen) / WINDOW < _TOO_SURE * CHANCE_LEVEL[self._form]:
            return (
                f"the {name} tells every generated image from a real one, so the generator "
                f"no longer learns from it; lower optimiser.judge_rate."
            )
        if max(seen) - min(seen) < 1e-6:
            return (
                f"the loss of the {name} no longer changes, so it teaches nothing; lower "
                f"optimiser.judge_rate and train anew."
            )
        return None
