"""A run from two folders to a model package, stopped and resumed at will."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric import Fabric

from ..errors import Cancelled, MicroCTSRError
from ..io import atomic_path
from ..io.atomic import check_output
from ..memory import peak_memory_bytes
from .checkpoint import read_checkpoint, write_checkpoint
from .config import Config, load_config
from .domains import Domains, prepare
from .loop import Machine, Trainer
from .packages import make_card, make_model
from .validation import Validation
from .watch import Watch

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"
LAST = "last"

# What may change between a run and its continuation, since no weight depends on it.
_INDIFFERENT = ("validation", "card")


def train(
    low: Path | str,
    high: Path | str,
    output: Path | str,
    config: Config | None = None,
    machine: Machine | None = None,
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
    tell: Callable[[str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path | None:
    """Train a model on a folder of clinical CT and an unrelated folder of micro-CT.

    ``output`` becomes a model package: that of the best epoch, which ``load_model(output)`` loads.
    Beside it lie ``last/`` (the package of the last epoch), ``checkpoint.pt``, ``config.yaml``,
    ``history.jsonl`` (losses and measures of every epoch), ``images/`` (the same held-out slices
    after every epoch), ``tensorboard/`` and ``cache/`` (the prepared cases).

    On the CPU, a run that was stopped at any moment and resumed gives the weights, bit for bit, of
    one that was not.

    Args:
        low, high: folders of cases: volume files, DICOM series, stacks of TIFF slices.
        output: folder of the run; new, unless ``resume``.
        config: decides the result; the ``compact`` CycleGAN when ``None``.
        machine: decides the pace.
        resume: go on from the last checkpoint in ``output``, if there is one.
        progress: called with the fraction done and a message after every step.
        tell: called with what the user should know, a sentence each.
        cancel: asked after every step; returning true writes a checkpoint and ends the run.

    Returns:
        ``output``; ``None`` in the further processes of a run that has several.

    Raises:
        MicroCTSRError: names what is wrong with a folder, a case, the configuration or the
            checkpoint; ``Cancelled`` when ``cancel`` returned true; ``Diverged`` when a loss is no
            number any more.

    Example:
        >>> train("clinical", "micro", "runs/first")
        >>> microctsr_core.load_model("runs/first").name
        'cyclegan-compact'
    """
    output, config = Path(output), config or load_config()
    machine = machine or Machine()
    fabric = machine.fabric()
    fabric.launch()
    first = fabric.is_global_zero
    callbacks = Callbacks(progress, tell, cancel) if first else Callbacks(None, None, cancel)
    checkpoint = output / CHECKPOINT
    decisive = _decisive(config)
    if first:
        _check_folder(output, resume)
    fabric.barrier()
    state = read_checkpoint(checkpoint, decisive) if checkpoint.exists() else None
    with fabric.rank_zero_first():
        domains = prepare(
            Path(low),
            Path(high),
            output / "cache",
            config.data,
            config.seed,
            callbacks.progress,
        )
    for note in domains.notes:
        callbacks.tell(note)
    trainer = Trainer(config, fabric, machine.per_pass)
    journal = Journal(output, config, domains, first)
    if state is not None:
        _check_cases(checkpoint, state["cases"], domains)
        trainer.load(state["trainer"])
        journal.load(state["journal"])
        callbacks.tell(f"Going on from step {trainer.step} of {config.steps}.")
    else:
        journal.begin()

    def save() -> None:
        whole = {
            "trainer": trainer.state(),
            "journal": journal.state(),
            "cases": _fingerprint(domains),
        }
        if first:
            write_checkpoint(checkpoint, whole, decisive)
        fabric.barrier()

    with journal.opened(trainer.step):
        _loop(trainer, journal, domains, machine, callbacks, save, fabric)
    return output if first else None


@dataclass(frozen=True)
class Callbacks:
    """Whom a run talks to; every one may be missing."""

    on_progress: Callable[[float, str], None] | None
    on_tell: Callable[[str], None] | None
    on_cancel: Callable[[], bool] | None

    def progress(self, fraction: float, message: str) -> None:
        if self.on_progress is not None:
            self.on_progress(fraction, message)

    def tell(self, sentence: str) -> None:
        if self.on_tell is not None:
            self.on_tell(sentence)

    def cancelled(self) -> bool:
        return self.on_cancel is not None and self.on_cancel()


def _loop(
    trainer: Trainer,
    journal: Journal,
    domains: Domains,
    machine: Machine,
    callbacks: Callbacks,
    save: Callable[[], None],
    fabric: Fabric,
) -> None:
    config = trainer.config
    watch = Watch(getattr(config.losses, "form", None))
    saved_at = time.monotonic()
    batches = trainer.batches(domains, machine.workers)
    while trainer.step < config.steps:
        started = time.monotonic()
        batch = next(batches)
        drawn = time.monotonic()
        losses = trainer.advance(batch)
        ended = time.monotonic()
        trainer.seconds += ended - started
        warning = watch.check(trainer.step, losses)
        if warning:
            callbacks.tell(warning)
        journal.note(trainer.step, losses, drawn - started, ended - started)
        callbacks.progress(trainer.step / config.steps, journal.line(trainer.step))
        if trainer.step % config.steps_per_epoch == 0:
            if journal.writes:
                for sentence in journal.end_epoch(trainer):
                    callbacks.tell(sentence)
            fabric.barrier()
            save()
            saved_at = time.monotonic()
        stop = _agreed(fabric, callbacks.cancelled())
        if stop or _agreed(fabric, time.monotonic() - saved_at > machine.checkpoint_seconds):
            save()
            saved_at = time.monotonic()
        if stop and trainer.step < config.steps:
            raise Cancelled(
                f"The run was stopped at step {trainer.step} of {config.steps}; go on with "
                f"--resume."
            )


def _agreed(fabric: Fabric, wish: bool) -> bool:
    """Whether the first process wishes it: all must do the same."""
    return wish if fabric.world_size == 1 else bool(fabric.broadcast(wish))


class Journal:
    """What a run writes beside its checkpoint: packages, measures, curves and pictures."""

    def __init__(self, output: Path, config: Config, domains: Domains, writes: bool) -> None:
        self.writes = writes
        self._output, self._config, self._domains = output, config, domains
        self._validation = Validation(domains, config.validation) if writes else None
        self._history: list[dict[str, Any]] = []
        self._best = float("-inf")
        self._sums: dict[str, float] = {}
        self._count = 0
        self._times = [0.0, 0.0]
        self._recent: dict[str, float] = {}
        self._pace = 0.0
        self._board: Any = None

    def begin(self) -> None:
        """Write down the configuration."""
        if self.writes:
            text = yaml.safe_dump(self._config.to_dict(), sort_keys=False)
            with atomic_path(self._output / "config.yaml") as part:
                part.write_text(text, encoding="utf-8")

    def state(self) -> dict[str, Any]:
        """What a continuation must know; sums of the unfinished epoch as well."""
        return {
            "history": json.dumps(self._history),
            "best": self._best,
            "sums": dict(self._sums),
            "count": self._count,
            "times": list(self._times),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._history = json.loads(state["history"])
        self._best, self._sums = state["best"], dict(state["sums"])
        self._count, self._times = state["count"], list(state["times"])

    @contextmanager
    def opened(self, step: int) -> Iterator[None]:
        """Keep TensorBoard's file open; curves beyond ``step`` are those of a run that was lost."""
        if not self.writes:
            yield
            return
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(self._output / "tensorboard"), purge_step=step + 1)
        try:
            yield
        finally:
            self._board.close()

    def note(self, step: int, losses: dict[str, float], waited: float, seconds: float) -> None:
        """Take down the losses of a step, the time it waited for its batch, and its whole time."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._recent[name] = 0.95 * self._recent.get(name, value) + 0.05 * value
            if self._board is not None:
                self._board.add_scalar(f"losses/{name}", value, step)
        self._pace = 0.9 * (self._pace or seconds) + 0.1 * seconds
        self._count += 1
        self._times[0] += waited
        self._times[1] += seconds

    def line(self, step: int) -> str:
        """Where the run is, for a progress bar."""
        epoch = min((step - 1) // self._config.steps_per_epoch + 1, self._config.epochs)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self._recent.items())
        place = f"Epoch {epoch} of {self._config.epochs}, step {step}"
        return f"{place}: {shown}, {self._pace:.2f} s/step"

    def end_epoch(self, trainer: Trainer) -> list[str]:
        """Validate, write the packages and the history; says how good the model is."""
        assert self._validation is not None
        epoch = trainer.step // self._config.steps_per_epoch
        card = make_card(self._config, self._domains, trainer.step, trainer.seconds, {})
        model = make_model(trainer.average, card)
        found = self._validation.run(model, self._output / "images", f"epoch_{epoch:03d}")
        quality = {"validation": {name: round(v, 4) for name, v in found.measures.items()}}
        model = make_model(trainer.average, {**card, "quality": quality | card["quality"]})
        model.save(self._output / LAST)
        best = found.score > self._best
        if best:
            self._best = found.score
            model.save(self._output)
        self._history.append(
            {
                "epoch": epoch,
                "step": trainer.step,
                "losses": {name: value / self._count for name, value in self._sums.items()},
                "validation": found.measures,
                "best": best,
                "seconds_per_step": self._times[1] / self._count,
                "data_share": self._times[0] / self._times[1],
                "peak_memory_bytes": peak_memory_bytes(),
            }
        )
        with atomic_path(self._output / HISTORY) as part:
            lines = [json.dumps(row) + "\n" for row in self._history]
            part.write_text("".join(lines), encoding="utf-8")
        self._draw(found.measures, found.pictures, trainer.step)
        self._sums, self._count, self._times = {}, 0, [0.0, 0.0]
        measures = ", ".join(f"{name} {value:.4g}" for name, value in found.measures.items())
        return [f"Epoch {epoch}: {measures}{' (the best so far)' if best else ''}"]

    def _draw(self, measures: dict[str, float], pictures: list[Path], step: int) -> None:
        from matplotlib.image import imread

        for name, value in measures.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        for number, picture in enumerate(pictures):
            self._board.add_image(f"slices/{number}", imread(picture), step, dataformats="HWC")
        self._board.flush()


def _check_folder(output: Path, resume: bool) -> None:
    """A run's folder is new, or its run goes on; nothing of another run is written over."""
    if resume:
        for leftover in output.glob(f".{Path(CHECKPOINT).stem}-*"):
            leftover.unlink(missing_ok=True)  # of a run that was killed while it wrote
    elif any((output / name).exists() for name in (CHECKPOINT, "card.json", "config.yaml")):
        raise MicroCTSRError(
            f"{output} holds a run or a model already; go on with --resume, or choose another "
            f"folder."
        )
    check_output(output / CHECKPOINT)


def _decisive(config: Config) -> dict[str, Any]:
    """The entries that decide the weights."""
    entries = {key: value for key, value in config.to_dict().items() if key not in _INDIFFERENT}
    entries["data"] = {key: value for key, value in entries["data"].items() if key != "strict"}
    return entries


def _fingerprint(domains: Domains) -> str:
    """Tells whether a run goes on with the cases it began with."""
    shapes = [
        (case.name, list(case.scan.array.shape)) for case in (*domains.low, *domains.held_out_low)
    ] + [
        (case.name, list(case.image.array.shape))
        for case in (*domains.high, *domains.held_out_high)
    ]
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()


def _check_cases(checkpoint: Path, expected: str, domains: Domains) -> None:
    if _fingerprint(domains) != expected:
        raise MicroCTSRError(
            f"The checkpoint {checkpoint} is of other cases than the folders hold now; give back "
            f"the folders it was made with, or train into another folder."
        )
