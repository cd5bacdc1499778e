"""What a run writes beside its checkpoint: packages, measures, curves and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from ..io import atomic_path
from ..memory import peak_memory_bytes
from .config import Config
from .domains import Domains
from .packages import make_card, make_model
from .trainer import Trainer
from .validation import Validated, Validation

HISTORY = "history.jsonl"
LAST = "last"


class Journal:
    """Takes down a run, and judges it after every epoch.

    Args:
        output: the run's folder.
        config: of the run.
        domains: what it learns from.
        device: where validation runs.
        tell: called with what the user should know.
    """

    def __init__(
        self,
        output: Path,
        config: Config,
        domains: Domains,
        device: str,
        tell: Callable[[str], None],
    ) -> None:
        self._output, self._config, self._domains, self._tell = output, config, domains, tell
        spacing = config.data.low.spacing
        self._validation = Validation(domains, config.validation, spacing, device)
        self._history: list[dict[str, Any]] = []
        self._best = -math.inf
        self._sums: dict[str, list[float]] = {}
        self._count, self._waited, self._seconds = 0, 0.0, 0.0
        self._recent: dict[str, float] = {}
        self._pace = 0.0
        self._told: set[str] = set()
        self._board: Any = None

    def state(self) -> dict[str, Any]:
        """What a continuation must know; sums of the unfinished epoch as well."""
        return {
            "history": json.dumps(self._history),
            "best": self._best,
            "validation": asdict(self._config.validation),
            "sums": {name: list(pair) for name, pair in self._sums.items()},
            "times": [self._count, self._waited, self._seconds],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; another validation makes the best epoch anew."""
        self._history = json.loads(state["history"])
        self._sums = {name: list(pair) for name, pair in state["sums"].items()}
        self._count, self._waited, self._seconds = state["times"]
        if state["validation"] == asdict(self._config.validation):
            self._best = state["best"]
        else:
            self._tell("The validation is another one now; the best epoch is sought anew.")

    @contextmanager
    def opened(self, step: int) -> Iterator[None]:
        """Write down the configuration, and keep TensorBoard's file open.

        Curves beyond ``step`` are those of a run that was lost.
        """
        text = yaml.safe_dump(self._config.to_dict(), sort_keys=False)
        with atomic_path(self._output / "config.yaml") as part:
            part.write_text(text, encoding="utf-8")
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(self._output / "tensorboard"), purge_step=step + 1)
        try:
            yield
        finally:
            self._on_board("close")

    def note(self, step: int, losses: dict[str, float], waited: float, seconds: float) -> None:
        """Take down the losses of a step, the time it waited for its batch, and its whole time."""
        for name, value in losses.items():
            total = self._sums.setdefault(name, [0.0, 0])
            total[0] += value
            total[1] += 1
            self._recent[name] = 0.95 * self._recent.get(name, value) + 0.05 * value
            self._on_board("add_scalar", f"losses/{name}", value, step)
        self._pace = 0.9 * (self._pace or seconds) + 0.1 * seconds
        self._count += 1
        self._waited += waited
        self._seconds += seconds

    def line(self, step: int) -> str:
        """Where the run is, for a progress bar."""
        epoch = (step - 1) // self._config.steps_per_epoch + 1
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self._recent.items())
        place = f"Epoch {epoch} of {self._config.epochs}, step {step}"
        return f"{place}: {shown}, {self._pace:.2f} s/step"

    def is_due(self, step: int) -> bool:
        """Whether an epoch ended at this step and was not judged yet."""
        epochs, rest = divmod(step, self._config.steps_per_epoch)
        return rest == 0 and len(self._history) < epochs

    def end_epoch(self, trainer: Trainer) -> None:
        """Validate, and write the packages and the history.

        The best epoch is that of the highest PSNR where a truth is known; without one it is the
        last, as m-HuM tells too little to choose by.
        """
        card = make_card(self._config, self._domains, trainer.step, trainer.seconds)
        epoch = trainer.step // self._config.steps_per_epoch
        unjudged = make_model(trainer.average, card)
        found = self._validation.run(unjudged, self._output / "images", f"epoch_{epoch:03d}")
        quality = {"validation": {name: round(value, 4) for name, value in found.measures.items()}}
        model = make_model(trainer.average, {**card, "quality": quality | card["quality"]})
        model.save(self._output / LAST)
        score = found.measures.get("psnr", float(trainer.step))
        best = score > self._best or not self._history
        if best:
            self._best = score
            model.save(self._output)
        self._write_history(epoch, trainer.step, found, best)
        self._draw(found, trainer.step)
        measures = ", ".join(f"{name} {value:.4g}" for name, value in found.measures.items())
        self._tell(f"Epoch {epoch}: {measures}{' (the best so far)' if best else ''}")
        for warning in found.warnings:
            self._tell_once(f"Validation: {warning}")

    def _write_history(self, epoch: int, step: int, found: Validated, best: bool) -> None:
        row = {
            "epoch": epoch,
            "step": step,
            "losses": {name: total / count for name, (total, count) in self._sums.items()},
            "validation": found.measures,
            "best": best,
            "seconds_per_step": self._seconds / max(self._count, 1),
            "data_share": self._waited / max(self._seconds, 1e-9),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self._history.append(row)
        with atomic_path(self._output / HISTORY) as part:
            text = "".join(json.dumps(each) + "\n" for each in self._history)
            part.write_text(text, encoding="utf-8")
        self._sums, self._count, self._waited, self._seconds = {}, 0, 0.0, 0.0

    def _draw(self, found: Validated, step: int) -> None:
        from matplotlib.image import imread

        for name, value in found.measures.items():
            self._on_board("add_scalar", f"validation/{name}", value, step)
        for number, picture in enumerate(found.pictures):
            image = imread(picture)
            self._on_board("add_image", f"slices/{number}", image, step, dataformats="HWC")
        self._on_board("flush")

    def _on_board(self, action: str, *arguments: Any, **options: Any) -> None:
        """Curves are never worth a run."""
        try:
            getattr(self._board, action)(*arguments, **options)
        except OSError as error:
            self._tell_once(f"TensorBoard's curves cannot be written ({error.strerror}).")

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)
