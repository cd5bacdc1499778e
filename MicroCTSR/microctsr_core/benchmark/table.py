"""The answer of the benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_WHAT = {
    "exact": "same network, same passes",
    "adaptive": "dropout in 3 blocks, auto",
    "default": "bundled model, auto",
}


def table_of(answer: Mapping[str, Any]) -> Any:
    """A table of :mod:`rich` with what :func:`measure` found."""
    from rich.table import Table

    edge = " x ".join(map(str, answer["slice"]))
    table = Table(title=f"One slice of {edge}: the paper's pipeline and MicroCTSR, seconds")
    table.add_column("")
    for heading in ("paper's", "passes", "ours", "passes", "faster", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, what in _WHAT.items():
        found = answer[name]
        seconds, passes = found["seconds_per_slice"], found["passes"]
        table.add_row(
            what,
            f"{seconds['plain']:.1f}",
            f"{passes['plain']:g}",
            f"{seconds['ours']:.2f}",
            f"{passes['ours']:.1f}",
            f"{found['ratio']:.1f} x",
            f"{found['peak_memory_bytes'] / 1e6:.0f}",
        )
    for name, found in answer["others"].items():
        if "seconds_per_slice" in found:
            table.add_row(name, f"{found['seconds_per_slice']:.1f}", "100")
    return table


def lines_of(answer: Mapping[str, Any]) -> Iterator[str]:
    """What the table has no place for, a sentence each."""
    exact = answer["exact"]
    yield (
        f"{answer['device']}, {answer['threads']} threads, matrix products at "
        f"{answer['gemm_gflops']:.0f} GFLOP/s. MB: the most memory held by MicroCTSR."
    )
    yield (
        f"The paper's pipeline was timed on {answer['plain']['measured']} "
        f"({answer['plain']['patches']} patches)."
    )
    for name, found in answer["others"].items():
        if "not_run" in found:
            yield f"{name}: not run ({found['not_run']})."
    yield (
        f"Largest difference from the network run on the whole slice, of the range: mean "
        f"{exact['mean_error_of_range']:.1e}, variance {exact['variance_error_of_range']:.1e}."
    )
    yield (
        f"The whole posterior loop did its convolutions at {answer['gemm_fraction']:.0%} of the "
        f"rate of matrix products, each counted by its definition."
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
