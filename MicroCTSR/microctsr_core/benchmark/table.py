"""The answer of the benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_WHAT = {
    "exact": "the same network, the same passes",
    "adaptive": "dropout in its last three blocks, auto",
    "default": "the bundled model, auto",
}


def table_of(answer: Mapping[str, Any]) -> Any:
    """A table of :mod:`rich` with what :func:`measure` found."""
    from rich.table import Table

    edge = " x ".join(map(str, answer["slice"]))
    caption = (
        f"{answer['device']}, {answer['threads']} threads, matrix products at "
        f"{answer['gemm_gflops']:.0f} GFLOP/s. MB: the most memory that MicroCTSR held. "
        f"The paper's pipeline: {answer['plain']['measured']}."
    )
    table = Table(title=f"One slice of {edge}, {answer['plain']['patches']} patches")
    table.caption = caption
    table.add_column("")
    headings = ("paper's pipeline, s", "passes", "MicroCTSR, s", "passes", "times faster", "MB")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, what in _WHAT.items():
        found = answer[name]
        seconds, passes = found["seconds_per_slice"], found["passes"]
        table.add_row(
            what,
            f"{seconds['plain']:.1f}",
            f"{passes['plain']:g}",
            f"{seconds['ours']:.2f}",
            f"{passes['ours']:.1f}",
            f"{found['ratio']:.1f}",
            f"{found['peak_memory_bytes'] / 1e6:.0f}",
        )
    for name, found in answer["others"].items():
        told = found.get("not_run")
        time = f"not run: {told}" if told else f"{found['seconds_per_slice']:.1f}"
        table.add_row(name, time, "100")
    return table


def lines_of(answer: Mapping[str, Any]) -> Iterator[str]:
    """What the table has no place for, a sentence each."""
    exact = answer["exact"]
    yield (
        f"Largest difference from the network run on the whole slice, of the range: mean "
        f"{exact['mean_error_of_range']:.1e}, variance {exact['variance_error_of_range']:.1e}."
    )
    yield (
        f"The whole posterior loop ran at {answer['gemm_fraction']:.0%} of the rate of matrix "
        f"products."
    )
    for what, by_count in answer["growth"].items():
        told = ", ".join(f"{count}: {seconds:.2f}" for count, seconds in by_count.items())
        yield f"The bundled model, seconds by {what}: {told}."
    if "memory" in answer:
        memory = answer["memory"]
        yield (
            f"Peak memory grew by {memory['growth_passes']:.1%} from 8 to 64 passes, and by "
            f"{memory['growth_slices']:.1%} from 20 to 200 slices."
        )
