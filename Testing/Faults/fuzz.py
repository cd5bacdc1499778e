"""Fuzz everything that reads what strangers made, and print a table of what came of it.

Each input is made from a seed and its number, and used in a process of its own. See
``fuzzing/__init__.py`` for the rule that all have to keep. The exit status is 1 if one did not.

Example:
    python Testing/Faults/fuzz.py --markdown faults.md
    python Testing/Faults/fuzz.py --subject NRRD --only 1234
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Core"), str(HERE.parents[1] / "MicroCTSR")]

from fuzzing.pool import Task, run  # noqa: E402
from fuzzing.subjects import SUBJECTS  # noqa: E402
from fuzzing.worker import CLEAR, OUTSIDE, RIGHT, Outcome  # noqa: E402

SEED = 8


def fuzz(
    share: float = 1.0, names: Sequence[str] = (), seed: int = SEED, processes: int = 2
) -> dict[Task, Outcome]:
    """Use a share of the inputs of some subjects, or of all.

    Returns:
        Of each (subject, number) what came of it.
    """
    subjects = [subject for subject in SUBJECTS if not names or subject.name in names]
    tasks = [(s.name, number) for s in subjects for number in range(round(share * s.inputs))]
    return _used(tasks, seed, processes)


def _used(tasks: Sequence[Task], seed: int, processes: int) -> dict[Task, Outcome]:
    found: dict[Task, Outcome] = {}
    shown = sys.stderr.isatty()
    for task, outcome in run(tasks, seed, SUBJECTS, processes):
        found[task] = outcome
        if outcome.kind == OUTSIDE:
            print(f"{task[0]} {task[1]} ({outcome.what}): {outcome.why}", file=sys.stderr)
        if shown and len(found) % 100 == 0:
            print(f"\r{len(found)} of {len(tasks)}", end="\r", file=sys.stderr)
    return found


def table(found: dict[Task, Outcome]) -> str:
    """Subject by subject, in Markdown, how many inputs ended in which way."""
    rows = ["| what was mutated | inputs | clear error | right result | outside the rule |"]
    rows.append("|---|--:|--:|--:|--:|")
    total: Counter[str] = Counter()
    for subject in SUBJECTS:
        kinds = Counter(out.kind for (name, _), out in found.items() if name == subject.name)
        if kinds:
            rows.append(_row(subject.name, kinds))
            total += kinds
    return "\n".join([*rows, _row("**all**", total)]) + "\n"


def _row(name: str, kinds: Counter[str]) -> str:
    numbers = [kinds.total(), *(kinds[kind] for kind in (CLEAR, RIGHT, OUTSIDE))]
    return f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--subject", action="append", default=[], choices=[s.name for s in SUBJECTS]
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs, such as 0.1")
    parser.add_argument("--only", type=int, help="number of one input, which is told in full")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="file to which the table is written")
    options = parser.parse_args()
    start = time.monotonic()
    if options.only is not None:
        tasks = [(name, options.only) for name in options.subject]
        found = _used(tasks, options.seed, 1)
        for outcome in found.values():
            print(f"{outcome.kind}: {outcome.why}\n{outcome.what}")
    else:
        found = fuzz(options.share, options.subject, options.seed, options.processes)
    text = table(found)
    print(f"{text}\n{len(found):,} inputs in {time.monotonic() - start:.0f} s")
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    return int(any(outcome.kind == OUTSIDE for outcome in found.values()))


if __name__ == "__main__":
    sys.exit(main())
