"""A worker process: makes one input after another, uses it, and judges what came of it."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from microctsr_core.errors import MicroCTSRError
from microctsr_core.memory import peak_memory_bytes

from .subject import Subject

MEMORY_BYTES = 2_000_000_000
CANARY = "code-was-run"
"""File that payloads would make in the current folder, were they run."""

CLEAR, RIGHT, OUTSIDE = "clear error", "right result", "outside the rule"
_LONGEST_SENTENCE = 1500
_CODE = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen")
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Outcome:
    """What came of one input: one of three kinds, and why in words."""

    kind: str
    why: str = ""
    what: str = ""


class Watch:
    """Notes, through Python's audit events, what a use writes, runs or calls."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None  # folders; None while nothing is watched
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event.startswith(_CODE):
            self.seen.append(f"code was run: {event} {arguments!r:.200}")
        elif event in _CHANGES or (event == "open" and self._writes(arguments)):
            self._note_path(event, arguments[0])

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)

    def _note_path(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            return
        name = os.path.normpath(Path.cwd() / os.fsdecode(path))
        if name != os.devnull and not name.startswith(self.allowed or ()):
            self.seen.append(f"a write outside: {event} {name!r:.200}")


def work(pipe: Connection, seed: int, subjects: list[Subject], home: Path) -> None:
    """Answer each (subject, number) from the pipe with an :class:`Outcome`, until ``None`` comes.

    The same seed and number give the same input. ``home`` is a folder for this process alone.
    """
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    known = {subject.name: subject for subject in subjects}
    watch = Watch()
    ready: set[str] = set()
    os.chdir(home)
    while (task := pipe.recv()) is not None:
        subject = known[task[0]]
        if subject.name not in ready:
            subject.prepare(_empty(home / "originals" / subject.name.replace(" ", "-")))
            ready.add(subject.name)
        pipe.send(None)  # only from here on does time count
        pipe.send(attempt(subject, Random(f"{seed} {task[0]} {task[1]}"), home, watch))
    for name in ready:
        known[name].finish()


def attempt(subject: Subject, random: Random, home: Path, watch: Watch) -> Outcome:
    """Make one input and use it."""
    folder, output = _empty(home / "input"), _empty(home / "output")
    what = subject.make(random, folder)
    own = (str(output), *([str(folder)] if subject.may_write_input else []))
    before = _listing(home, own)
    _forget_peak()
    watch.seen, watch.allowed = [], own
    try:
        subject.use(folder, output)
        outcome = Outcome(RIGHT, what=what)
    except MicroCTSRError as error:
        outcome = _judged(str(error), what)
    except BaseException as error:
        outcome = Outcome(OUTSIDE, _place(error), what)
    finally:
        watch.allowed = None
    if watch.seen:
        return Outcome(OUTSIDE, watch.seen[0], what)
    if peak_memory_bytes() > MEMORY_BYTES:
        return Outcome(OUTSIDE, f"{peak_memory_bytes() / 1e9:.1f} GB of memory", what)
    changed = sorted(before.items() ^ _listing(home, own).items())
    if changed:
        return Outcome(OUTSIDE, f"files were changed: {changed[0][0]}", what)
    return outcome


def _judged(sentence: str, what: str) -> Outcome:
    """Whether an error's message is one clear line that can be printed anywhere."""
    odd = [character for character in sentence if not character.isprintable()]
    if odd:
        return Outcome(
            OUTSIDE, f"a message with the character {odd[0]!r}: {sentence[:300]!r}", what
        )
    if len(sentence) > _LONGEST_SENTENCE:
        return Outcome(OUTSIDE, f"a message of {len(sentence)} characters: {sentence[:300]}", what)
    if not sentence.rstrip().endswith((".", ".)")) or "Traceback" in sentence:
        return Outcome(OUTSIDE, f"a message that is no sentence: {sentence[-300:]}", what)
    return Outcome(CLEAR, sentence, what)


def _place(error: BaseException) -> str:
    """The error, and where in the library it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if "microctsr_core" in f.filename] or frames
    where = f"{Path(inside[-1].filename).name}:{inside[-1].lineno}" if inside else "?"
    text = " ".join(str(error).split())
    return f"{type(error).__name__} at {where}: {text:.200}"


def _listing(home: Path, own: tuple[str, ...]) -> dict[str, int]:
    """Every file here but in the folders that may be written, with its length."""
    found: dict[str, int] = {}
    for inner, folders, files in os.walk(home):
        folders[:] = [name for name in folders if not os.path.join(inner, name).startswith(own)]
        for name in files:
            path = os.path.join(inner, name)
            with suppress(OSError):
                found[path] = os.lstat(path).st_size
    return found


def _empty(folder: Path) -> Path:
    if folder.is_dir():
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _forget_peak() -> None:
    with suppress(OSError):  # on Linux: start to measure the greatest memory again
        Path("/proc/self/clear_refs").write_text("5")
