"""Draws the pictures of the documentation: `make pictures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from microctsr_core import load_model, read_volume, superresolve
from microctsr_core.phantom import SCALE, ClinicalScanner, Ear, View, make_case, render
from microctsr_core.preparation import resample_cubic
from microctsr_core.preview import write_preview
from microctsr_core.sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path

PICTURES = Path(__file__).parent / "pictures"
HELD_OUT_SEED = 90_001
REAL_SLICES = (25, 28, 31, 34)
PHANTOM_HEIGHTS_MM = (-2.6, -0.6, 1.2, 3.4)


def phantom_beside_real() -> None:
    """The bundled real CT above two phantom ears, imaged with the same voxels and window."""
    real = read_volume(sample_volume_path())
    in_plane = real.spacing[1]
    rows = [("real", [real.array[k, 24:120, 24:136] for k in REAL_SLICES])]
    for seed in (18, 6):
        ear = Ear(seed)
        ear.left = False
        planes = []
        for height in PHANTOM_HEIGHTS_MM:
            view = View((-3.0, -1.0, height), (0.0, 0.0, 0.1))
            margin, factor = 4, 4
            shape = tuple((n + 2 * margin) * factor for n in (2, 96, 112))
            truth, _ = render(ear, view, shape, in_plane / factor)
            scanner = ClinicalScanner(
                0.24, 89, edge_gain=0.2, noise_correlation=1.15, slice_mm=real.spacing[0]
            )
            scan = scanner.image(truth, in_plane, margin, np.random.default_rng(seed))
            planes.append(scan.array[0])
        rows.append((f"phantom {seed}", planes))
    _grid(rows, PICTURES / "phantom-beside-real.png", "bicubic")


def held_out_pairs() -> None:
    """Held-out phantoms: cubic interpolation, result, truth, uncertainty."""
    model, rows = load_model(), []
    for number, spacing_mm in ((0, 0.15), (1, 0.3)):
        case = make_case(HELD_OUT_SEED, number, spacing_mm, shape=(8, 48, 48))
        result = superresolve(case.low, model, box=((3, 4), (0, 48), (0, 48)), samples=20)
        cubic = resample_cubic(case.low.array[3:4], (1, SCALE, SCALE))
        planes = [cubic[0], result.mean.array[0], case.truth.array[3 * SCALE + SCALE // 2]]
        rows.append((f"{spacing_mm} mm", [*planes, result.uncertainty.array[0]]))
    titles = ("clinical CT, cubic", "MicroCTSR", "truth", "uncertainty, 0 to 3000 HU")
    _grid(rows, PICTURES / "held-out-phantoms.png", "none", titles, uncertainty_column=3)


def real_ear() -> None:
    """The bundled real CT: cubic interpolation, result, uncertainty."""
    ct, rows = read_volume(sample_volume_path()), []
    for k in (28, 31):
        box = ((k, k + 1), (40, 112), (30, 130))
        result = superresolve(ct, box=box, samples=20)
        (j0, j1), (i0, i1) = ((SCALE * a, SCALE * b) for a, b in box[1:])
        cubic = resample_cubic(ct.array[k : k + 1], (1, SCALE, SCALE))[0, j0:j1, i0:i1]
        rows.append((f"slice {k}", [cubic, result.mean.array[0], result.uncertainty.array[0]]))
    titles = ("clinical CT, cubic", "MicroCTSR", "uncertainty, 0 to 3000 HU")
    _grid(rows, PICTURES / "real-ear.png", "none", titles, uncertainty_column=2)


def demo() -> None:
    """What `make demo` draws."""
    ct, model = read_volume(sample_volume_path()), load_model()
    result = superresolve(ct, model, box=COCHLEA_BOX)
    noise = model.card["scanner"]["noise_sd_hu"]
    write_preview(PICTURES / "demo.png", ct, result, COCHLEA_SLICES, noise)


def _grid(
    rows: list[tuple[str, list[np.ndarray]]],
    path: Path,
    interpolation: str,
    titles: tuple[str, ...] = (),
    uncertainty_column: int | None = None,
) -> None:
    """Planes in rows with a name at the left, bone window, no frames."""
    height, width = rows[0][1][0].shape
    columns, side = len(rows[0][1]), 15.5 / len(rows[0][1])
    figure = Figure((16, side * height / width * len(rows) + 0.4), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (line, (name, planes)) in enumerate(zip(axes, rows, strict=True)):
        for column, (axis, plane) in enumerate(zip(line, planes, strict=True)):
            if column == uncertainty_column:
                axis.imshow(plane, cmap="inferno", vmin=0, vmax=3000)
            else:
                axis.imshow(plane, cmap="gray", vmin=-1000, vmax=2400, interpolation=interpolation)
            axis.set_axis_off()
            if titles and row == 0:
                axis.set_title(titles[column], color="white", fontsize=13)
        line[0].text(-0.03, 0.5, name, color="white", fontsize=13, rotation=90, va="center",
                     ha="right", transform=line[0].transAxes)  # fmt: skip
    figure.subplots_adjust(0.025, 0.005, 0.998, 0.96 if titles else 0.995, 0.015, 0.02)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    phantom_beside_real()
    held_out_pairs()
    real_ear()
    demo()
