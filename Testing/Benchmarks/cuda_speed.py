"""Measures the ways to run passes on a graphics card, and what each does to the numbers.

Every way gets the same masks; differences are those from single precision, one pass after the
other, in HU. Without a card it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from microctsr_core import Model, Volume
from microctsr_core.inference import Settings, infer, network_on, plan_work
from microctsr_core.masks import ChannelMasks
from microctsr_core.moments import Moments, Stopping, settled
from microctsr_core.networks import build
from microctsr_core.networks.rewriting import OneChannelConvolution
from microctsr_core.passes import PassDecoder, decoder_for
from microctsr_core.posterior import Posterior, posterior
from microctsr_core.resources import layer_bytes
from microctsr_core.tiles import Tile, area, cover

EAR = Path(__file__).resolve().parents[2] / "MicroCTSR/microctsr_core/models/ear"
SPAN_HU = 4000
STOPPING = Stopping(floor=1 / SPAN_HU)
PAPER = {"filters": 64, "blocks": 9, "norm": "frozen", "dropout": "channel", "dropout_rate": 0.5}
HALF, BRAIN = torch.float16, torch.bfloat16
CONSOLE = Console(width=130)
START = time.perf_counter()


class Autocast(PassDecoder):
    """Half precision by PyTorch's own choice, layer by layer."""

    def _decoded_in_half(self, half: nn.Module, encoded: Any, masks: Any) -> Tensor:  # noqa: ARG002
        with torch.autocast("cuda", self._precision):
            return self._network.decode(encoded, masks)[:, 0].float()


class Graphs(PassDecoder):
    """Launches a whole batch of passes as one CUDA graph, recorded for each shape."""

    def _decoded_in_half(self, half: nn.Module, encoded: Any, masks: Any) -> Tensor:
        run = super()._decoded_in_half
        key = tuple(tuple(each.shape) for each in (*encoded, *masks))
        recorded = self.__dict__.setdefault("recorded", {})
        if key not in recorded:
            inputs = [each.clone() for each in encoded], [each.clone() for each in masks]
            run(half, *inputs)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                planes = run(half, *inputs)
            recorded[key] = graph, inputs, planes
        graph, inputs, planes = recorded[key]
        for mine, given in zip(inputs, (encoded, masks), strict=True):
            for target, value in zip(mine, given, strict=True):
                target.copy_(value)
        graph.replay()
        return planes.clone()


def ear() -> Model:
    """The bundled model, without the packages that check a card."""
    card = json.loads((EAR / "card.json").read_text())
    network: Any = build(card["network"]["name"], **card["network"]["arguments"])
    network.load_state_dict(safetensors.torch.load_file(EAR / "weights.safetensors"))
    return Model(network, card)


def paper() -> Model:
    """The paper's generator, untrained but with activations near 1."""
    torch.manual_seed(0)
    network: Any = build("resnet", **PAPER)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.in_channels
            layer.weight.data.normal_(0, 1 / fan_in**0.5)
    card = {**json.loads((EAR / "card.json").read_text()), "name": "paper"}
    return Model(network, card)


def anatomy(edge: int, planes: int) -> np.ndarray:
    """Blobs of bone, fluid and air under blur and noise, in HU, (planes, edge, edge)."""
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(planes, edge, edge)), (2, 4, 4))
    tissue = np.digitize(field / field.std(), [-0.7, 0.2])
    hu = np.array([-1000.0, 40.0, 1400.0])[tissue]
    hu = ndimage.gaussian_filter(hu, (0.4, 0.8, 0.8)) + rng.normal(0, 40, hu.shape)
    return hu.astype(np.float32)


def stack_of(model: Model, edge: int, device: torch.device) -> Tensor:
    hu = anatomy(edge, 12)[: model.network.in_slices]
    return torch.from_numpy((hu + 1000) / SPAN_HU).to(device)


def seconds(run: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Median time of a call, after one that fills caches, and what it gave."""
    result = run()
    times = []
    for _ in range(repeats):
        synchronise()
        start = time.perf_counter()
        result = run()
        synchronise()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_megabytes(begin: bool = False) -> float:
    if not torch.cuda.is_available():
        return float("nan")
    if begin:
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated() / 1e6


@contextmanager
def tried_algorithms() -> Iterator[None]:
    """cuDNN times its algorithms for each shape instead of guessing."""
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic
    flags.benchmark, flags.deterministic = True, False
    try:
        yield
    finally:
        flags.benchmark, flags.deterministic = before


def ways(network: Any, device: torch.device, pixels: int) -> list[tuple[str, Any, Any]]:
    """Name, decoder and surroundings of every way to run passes."""
    plain = nullcontext
    listed = [
        ("float32, kept channels, one by one", PassDecoder(network), plain),
        ("float32, all channels, 16 at once", PassDecoder(network, 16), plain),
        *(
            (f"float16, {n} at once", PassDecoder(network, n, HALF), plain)
            for n in (2, 4, 8, 16, 32)
        ),
        ("bfloat16, 16 at once", PassDecoder(network, 16, BRAIN), plain),
        ("float16, 16 at once, cuDNN's fastest", PassDecoder(network, 16, HALF), tried_algorithms),
    ]
    if device.type == "cuda":
        chosen = decoder_for(network, device, layer_bytes(network) * pixels)
        listed += [
            ("float16, 16 at once, autocast", Autocast(network, 16, HALF), plain),
            (f"as in a run: float16, {chosen.at_once} at once", chosen, plain),
            ("float16, 16 at once, CUDA graphs", Graphs(network, 16, HALF), plain),
        ]
    return listed


def departure(result: Posterior, expected: Posterior) -> list[str]:
    """Largest and RMS difference of the mean, and of the uncertainty, in HU."""
    answer = []
    for mine, other in (
        (result.mean, expected.mean),
        (np.sqrt(result.variance), np.sqrt(expected.variance)),
    ):
        difference = SPAN_HU * (mine.astype(float) - other)
        answer += [f"{np.abs(difference).max():.3f}", f"{np.sqrt(np.mean(difference**2)):.4f}"]
    return answer


def compare(
    title: str, model: Model, edge: int, samples: int | str, device: torch.device, only: int = 99
) -> list[dict[str, Any]]:
    """Time every way on one slice of edge² input pixels, and print a table."""
    table = Table(title=title)
    for heading in (
        "",
        "s / slice",
        "ms / pass",
        "passes",
        "MB",
        "mean max HU",
        "RMS",
        "σ max",
        "RMS",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    rows = []
    (tile,) = cover(((0, edge), (0, edge)), edge, 0, (edge, edge))
    with network_on(device, model) as network:
        stack, expected = stack_of(model, edge, device), None
        for name, decoder, surroundings in ways(network, device, edge**2)[:only]:
            peak_megabytes(begin=True)
            try:
                with surroundings():
                    run = partial(one_slice, network, stack, samples, tile, decoder)
                    took, result = seconds(run)
            except RuntimeError as error:
                table.add_row(name, str(error).splitlines()[0][:60])
                continue
            expected = expected or result
            passes = weighted_passes(result, tile)
            table.add_row(
                name,
                f"{took:.4f}",
                f"{1000 * took / passes:.3f}",
                f"{passes:.1f}",
                f"{peak_megabytes():.0f}",
                *departure(result, expected),
            )
            rows.append({"way": name, "seconds": took, "passes": passes})
    CONSOLE.print(table)
    if expected is not None:
        sigma = SPAN_HU * float(np.sqrt(expected.variance.astype(float).mean()))
        CONSOLE.print(f"RMS of σ itself {sigma:.1f} HU; {time.perf_counter() - START:.0f} s so far")
    return rows


def one_slice(
    network: Any, stack: Tensor, samples: Any, tile: Tile, decoder: PassDecoder
) -> Posterior:
    return posterior(
        network,
        stack,
        samples,
        read=tile.read,
        blocks=tile.blocks,
        stopping=STOPPING,
        decoder=decoder,
    )


def weighted_passes(result: Posterior, tile: Tile) -> float:
    sizes = [area(block) for block in tile.blocks]
    return float(np.average(result.passes, weights=sizes))


def parts(model: Model, edge: int, device: torch.device) -> None:
    """What a slice's time is made of."""
    table = Table(title=f"{model.name}, {edge} x {edge}: its parts, ms")
    table.add_column("")
    table.add_column("ms", justify="right")
    (tile,) = cover(((0, edge), (0, edge)), edge, 0, (edge, edge))
    with network_on(device, model) as network, torch.inference_mode():
        stack = stack_of(model, edge, device)
        encoded = network.encode(stack[None])
        planes = torch.rand(16, *encoded[-1].shape[-2:], device=device)
        moments, scale = Moments(4), network.scale
        for plane in planes:
            moments.add(plane)
        places = [
            tuple(slice(first * scale, last * scale) for first, last in block)
            for block in tile.blocks
        ]
        numbers = range(16)
        draw = _drawn(network, device)
        half = PassDecoder(network, 16, HALF)
        for name, run in (
            ("encode, float32", lambda: network.encode(stack[None])),
            ("encode, TF32", lambda: _in_tf32(network, stack)),
            ("16 passes, float16", lambda: list(half.passes(encoded, draw, numbers))),
            ("16 additions to moments of order 2", lambda: _added(planes, 2)),
            ("16 additions to moments of order 4", lambda: _added(planes, 4)),
            (f"asking {len(places)} blocks", lambda: settled(moments, places, STOPPING)),
            ("mean and variance of one block", lambda: _noted(moments, places[:1])),
            ("mean and variance of all blocks", lambda: _noted(moments, places)),
        ):
            table.add_row(name, f"{1000 * seconds(run)[0]:.3f}")
    CONSOLE.print(table)


def _drawn(network: Any, device: torch.device) -> Any:
    masks = ChannelMasks(network, 0, device)
    return lambda number: masks(number)


def _in_tf32(network: Any, stack: Tensor) -> None:
    with torch.backends.cudnn.flags(allow_tf32=True):
        network.encode(stack[None])


def _added(planes: Tensor, powers: int) -> None:
    moments = Moments(powers)
    for plane in planes:
        moments.add(plane)


def _noted(moments: Moments, places: Sequence[Any]) -> None:
    for place in places:
        part = moments.part(place)
        part.mean.float(), part.variance.float()


def last_convolution(edge: int, device: torch.device) -> None:
    """The paper's last layer, 64 channels to one by 7 x 7, in the forms it could have."""
    table = Table(title=f"last convolution of the paper's network, 4 passes of {edge} x {edge}, ms")
    table.add_column("")
    table.add_column("ms", justify="right")
    layer = nn.Conv2d(64, 1, 7, padding=3).to(device).to(memory_format=torch.channels_last)
    other = OneChannelConvolution(layer)
    taps = layer.weight.detach()[0].flatten(1).flip(1).t()[..., None, None].contiguous()
    x = torch.rand(4, 64, edge, edge, device=device).to(memory_format=torch.channels_last)

    def folded(x: Tensor, taps: Tensor) -> Tensor:
        weighted = functional.conv2d(x, taps).flatten(2)
        return functional.fold(weighted.float(), (edge, edge), 7, padding=3)

    half_layer, half_x = nn.Conv2d(64, 1, 7, padding=3).to(device, HALF), x.to(HALF)
    half_layer.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for name, run in (
            ("convolution, float32", lambda: layer(x)),
            ("convolution, float16", lambda: half_layer(half_x)),
            ("matrix product and shifted sums, float32", lambda: other(x)),
            ("matrix product and fold, float32", lambda: folded(x, taps)),
            ("matrix product and fold, float16", lambda: folded(half_x, taps.to(HALF))),
        ):
            table.add_row(name, f"{1000 * seconds(run)[0]:.3f}")
    CONSOLE.print(table)


def whole_runs(edge: int, planes: int, device: torch.device) -> None:
    """From the scan to HU, as `superresolve` does it, for several tile sizes."""
    table = Table(title=f"ear, {planes} slices of {edge} x {edge}, auto, from the scan to HU")
    for heading in ("tile", "s / slice", "passes"):
        table.add_column(heading, justify="right")
    model = ear()
    scan = Volume(anatomy(edge, planes + 8), (0.7, 0.3, 0.3))
    box = ((4, 4 + planes), (0, edge), (0, edge))
    for tile in (64, 128, 256, 512):
        settings = Settings(tile=tile)
        plan = plan_work(scan, model, box, settings)
        took, result = seconds(lambda: list(infer(plan, model, settings, device)), repeats=1)  # noqa: B023
        table.add_row(
            str(tile), f"{took / planes:.4f}", f"{np.mean([plane.passes for plane in result]):.1f}"
        )
    CONSOLE.print(table)
    CONSOLE.print(f"{time.perf_counter() - START:.0f} s so far")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--edges", type=int, nargs=3, default=[100, 256, 1024])
    parser.add_argument("--passes", type=int, nargs=2, default=[32, 16])
    parser.add_argument("--ways", type=int, default=99, help="only the first ways")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device here; nothing was measured.")
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    CONSOLE.print(f"{name}, PyTorch {torch.__version__}")
    small, large, fine = options.edges
    few, fewer = options.passes
    only, model = options.ways, ear()
    answer = {}
    for edge in (small, large):
        title = f"ear, {edge} x {edge}"
        answer[title] = compare(f"{title}, {few} passes", model, edge, few, device, only)
        answer[f"{title}, auto"] = compare(f"{title}, auto", model, edge, "auto", device, only)
        parts(model, edge, device)
    whole_runs(large, 6, device)
    last_convolution(fine, device)
    title = f"paper's network, {fine} x {fine}, {fewer} passes"
    answer[title] = compare(title, paper(), fine, fewer, device, only)
    if options.json:
        options.json.write_text(json.dumps({"device": name, **answer}, indent=2) + "\n")


if __name__ == "__main__":
    main()
