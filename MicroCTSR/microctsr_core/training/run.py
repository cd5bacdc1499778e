"""A run from two folders to a model package, stopped and resumed at will."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning.fabric import Fabric

from ..errors import Cancelled, MicroCTSRError
from .batches import large_enough
from .checkpoint import read_checkpoint, write_checkpoint
from .checks import check_config
from .config import Config
from .domains import Domains, prepare
from .journal import Journal
from .output import opened
from .presets import load_config
from .state import CHECKPOINT, Record, RunState, recorded
from .trainer import Machine, Trainer
from .watch import Watch

# What may change between a run and its continuation, since no weight depends on it.
_INDIFFERENT = ("validation", "card")

Value = TypeVar("Value")


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
    after every epoch), ``state.json`` (where the run is, for programs that watch it; see
    :mod:`.state`), ``tensorboard/`` and ``cache/`` (the prepared cases).

    On the CPU, a run that was stopped at any moment and resumed with as many threads gives the
    weights, bit for bit, of one that was not.

    Args:
        low, high: folders of cases: volume files, DICOM series, stacks of TIFF slices.
        output: folder of the run; new, unless ``resume``.
        config: decides the result; the ``compact`` CycleGAN when ``None``.
        machine: decides the pace, and the precision that a run keeps to.
        resume: go on from the last checkpoint in ``output``, if there is one.
        progress: called with the fraction done and a message after every step.
        tell: called with what the user should know, a sentence each.
        cancel: asked after every step; returning true writes a checkpoint and ends the run, as
            :func:`.state.ask_to_stop` does.

    Returns:
        ``output``; ``None`` in the further processes of a run that has several.

    Raises:
        MicroCTSRError: names what is wrong with a folder, a case, the configuration or the
            checkpoint; ``Cancelled`` when the run was asked to stop; ``Diverged`` when a loss is
            no number any more.

    Example:
        >>> train("clinical", "micro", "runs/first")
        >>> microctsr_core.load_model("runs/first").name
        'cyclegan-compact'
    """
    low, high, output = (Path(folder).expanduser() for folder in (low, high, output))
    output = output.absolute()
    config, machine = config or load_config(), machine or Machine()
    check_config(config, machine.devices * machine.nodes)
    # Told a number, PyTorch no longer lets the MKL choose one by itself, on which sums depend.
    torch.set_num_threads(torch.get_num_threads())
    fabric = machine.fabric()
    fabric.launch()
    first = fabric.is_global_zero
    callbacks = Callbacks(progress, tell, cancel) if first else Callbacks(None, None, cancel)
    begun = RunState(
        "running",
        "Preparing the cases",
        steps=config.steps,
        low=str(low.absolute()),
        high=str(high.absolute()),
        method=config.method,
        preset=config.preset,
    )
    with ExitStack() as held:
        first_alone(fabric, lambda: held.enter_context(opened(output, resume, callbacks.tell)))
        if first:
            callbacks = replace(callbacks, record=held.enter_context(recorded(output, begun)))
        _train(low, high, output, config, machine, fabric, callbacks)
    return output if first else None


def _train(
    low: Path,
    high: Path,
    output: Path,
    config: Config,
    machine: Machine,
    fabric: Fabric,
    callbacks: Callbacks,
) -> None:
    """All of a run in a folder that is open for it."""
    checkpoint, decisive = output / CHECKPOINT, _decisive(config, machine)
    state = read_checkpoint(checkpoint, decisive) if checkpoint.exists() else None
    if state is not None and state["trainer"]["step"] == config.steps and state["judged"]:
        callbacks.tell(f"The run is finished: all of its {config.steps} steps are done.")
        return

    def prepared() -> Domains:
        cache = output / "cache"
        found = prepare(low, high, cache, config.data, config.seed, callbacks.preparing)
        return large_enough(config, found)

    first_alone(fabric, prepared)
    domains = prepared()  # for the others, and now from the cache
    for note in domains.notes:
        callbacks.tell(note)
    trainer = Trainer(config, fabric, machine.per_pass)
    # The first process keeps the journal; the others do what it says.
    journal = (
        Journal(output, config, domains, fabric.device.type, callbacks.tell)
        if fabric.is_global_zero
        else None
    )
    if state is not None:
        _check_cases(checkpoint, state["cases"], domains)
        trainer.load(state["trainer"])
        if journal is not None:
            journal.load(state["journal"])
        callbacks.tell(f"Going on from step {trainer.step} of {config.steps}.")

    def save() -> None:
        learned = trainer.state()  # from all processes

        def write() -> None:
            if journal is not None:
                whole = {
                    "trainer": learned,
                    "journal": journal.state(),
                    "judged": not journal.is_due(trainer.step),
                    "cases": _fingerprint(domains),
                }
                write_checkpoint(checkpoint, whole, decisive)

        first_alone(fabric, write)

    with journal.opened(trainer.step) if journal else nullcontext():
        loop(trainer, journal, trainer.batches(domains, machine.workers), callbacks, save, machine)


@dataclass(frozen=True)
class Callbacks:
    """Whom a run talks to; every one may be missing."""

    on_progress: Callable[[float, str], None] | None
    on_tell: Callable[[str], None] | None
    on_cancel: Callable[[], bool] | None
    record: Record | None = None

    def preparing(self, fraction: float, message: str) -> None:
        """Progress of the preparation, whose end is not that of the run.

        Raises:
            Cancelled: the folder holds a request to stop; what was prepared stays in the cache.
        """
        self.progress(min(fraction, 0.99), message)
        if self.record is None:
            return
        self.record.preparing(fraction)
        if self.record.is_asked_to_stop():
            raise Cancelled("The run was stopped before its first step; go on with --resume.")

    def progress(self, fraction: float, message: str) -> None:
        """How far the run is."""
        if self.on_progress is not None:
            self.on_progress(fraction, message)

    def at(self, step: int, message: str) -> None:
        """Where the run is, for those who look into its folder."""
        if self.record is not None:
            self.record.at(step, message)

    def tell(self, sentence: str) -> None:
        """What the user should know."""
        if self.on_tell is not None:
            self.on_tell(sentence)

    def cancelled(self) -> bool:
        """Whether the user wants the run to end."""
        if self.record is not None and self.record.is_asked_to_stop():
            return True
        return self.on_cancel is not None and self.on_cancel()


def loop(
    trainer: Trainer,
    journal: Journal | None,
    batches: Any,
    callbacks: Callbacks,
    save: Callable[[], None],
    machine: Machine,
) -> None:
    """The rest of the steps; after every epoch, validation.

    Args:
        trainer: at the step to begin with.
        journal: of the first process; ``None`` in the others.
        batches: of the steps to come.
        callbacks: whom to talk to.
        save: writes a checkpoint; called by all processes at the same steps.
        machine: how often to do so.
    """
    config, fabric = trainer.config, trainer.fabric
    watch = Watch(getattr(config.losses, "form", None))

    def end_epoch() -> None:
        if journal is not None:
            first_alone(fabric, lambda: journal.end_epoch(trainer))
        else:
            first_alone(fabric, lambda: None)
        save()

    if agreed(fabric, journal is not None and journal.is_due(trainer.step)):
        end_epoch()
    begun, saved_at = trainer.step, time.monotonic()
    callbacks.progress(0.0, "Training")
    callbacks.at(begun, "Training")
    while trainer.step < config.steps:
        started = time.monotonic()
        batch = next(batches)
        drawn = time.monotonic()
        losses = trainer.advance(batch)
        ended = time.monotonic()
        warning = watch.check(trainer.step, losses)
        if warning:
            callbacks.tell(warning)
        if journal is not None:
            journal.note(trainer.step, losses, drawn - started, ended - started)
            fraction = (trainer.step - begun) / (config.steps - begun)
            callbacks.progress(fraction, journal.line(trainer.step))
            callbacks.at(trainer.step, journal.line(trainer.step))
        stop = agreed(fabric, callbacks.cancelled())
        late = time.monotonic() - saved_at > machine.checkpoint_seconds
        epoch_ended = trainer.step % config.steps_per_epoch == 0
        if epoch_ended or stop or agreed(fabric, late):
            save()  # before the validation, whatever may happen to that
            if epoch_ended:
                end_epoch()
            saved_at = time.monotonic()
        if stop and trainer.step < config.steps:
            raise Cancelled(
                f"The run was stopped at step {trainer.step} of {config.steps}; go on with "
                f"--resume."
            )


def agreed(fabric: Fabric, wish: bool) -> bool:
    """Whether the first process wishes it: all must do the same."""
    return wish if fabric.world_size == 1 else bool(fabric.broadcast(wish))


def first_alone(fabric: Fabric, work: Callable[[], Value]) -> Value | None:
    """Let the first process work while the others wait; where it fails, they end without a word."""
    value, error = None, None
    if fabric.is_global_zero:
        try:
            value = work()
        except Exception as problem:
            error = problem
    failed = agreed(fabric, error is not None)
    if error is not None:
        raise error
    if failed:
        raise SystemExit(1)
    return value


def _decisive(config: Config, machine: Machine) -> dict[str, Any]:
    """The entries that decide the weights; of the machine's, the precision."""
    entries = {key: value for key, value in config.to_dict().items() if key not in _INDIFFERENT}
    entries["data"] = {key: value for key, value in entries["data"].items() if key != "strict"}
    return {**entries, "precision": machine.arithmetic}


def _fingerprint(domains: Domains) -> str:
    """Tells whether a run goes on with the cases it began with."""
    texts = [f"low {c.name} {c.digest}" for c in (*domains.low, *domains.held_out_low)]
    texts += [f"high {c.name} {c.digest}" for c in (*domains.high, *domains.held_out_high)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _check_cases(checkpoint: Path, expected: str, domains: Domains) -> None:
    if _fingerprint(domains) != expected:
        raise MicroCTSRError(
            f"The checkpoint {checkpoint} is of other cases than the folders hold now; give back "
            f"the folders it was made with, or train into another folder."
        )
