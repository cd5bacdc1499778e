"""Draw the failures of the page on limits: what the bundled model makes of what it is not for.

    python Docs/make_limits_pictures.py [NAME ...]

Phantoms show what is invented, for their truth is known; the bundled CT, made worse on purpose,
shows the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.transform import iradon, radon

from microctsr_core import Volume, read_volume, superresolve
from microctsr_core.phantom import SCALE, UnseenScanner, make_case
from microctsr_core.preparation import resample_cubic
from microctsr_core.sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path

PICTURES = Path(__file__).parent / "pictures"
SLICE = COCHLEA_BOX[0][0] + COCHLEA_SLICES[0]
IN_PLANE = COCHLEA_BOX[1:]
PASSES = 8
HELD_OUT_SEED = 91_001
SIZE, GAP, TITLE = 330, 6, 24
BLACK_HU, WHITE_HU = -1000, 2400
Panel = tuple[str, np.ndarray]


def invented() -> list[Panel]:
    """Fluid that is taken for air: small cavities of a held-out phantom at 0.3 mm."""
    scanner = UnseenScanner.draw(np.random.default_rng([HELD_OUT_SEED, 1, 1]), 0.3)
    return [(title, hu[100:300, 184:]) for title, hu in phantom(1, scanner)]


def sharper() -> list[Panel]:
    """A kernel far sharper, and a dose far lower, than any in training."""
    return phantom(1, UnseenScanner(psf_sigma_mm=0.06, noise_sd_hu=250, edge_gain=0.8, cutoff=0.8))


def phantom(number: int, scanner: UnseenScanner) -> list[Panel]:
    """The middle slice of a held-out phantom: what the scanner saw, the result, the truth."""
    case = make_case(HELD_OUT_SEED, number, 0.3, shape=(3, 48, 48), scanner=scanner)
    assert case.low is not None
    assert case.truth is not None
    seen, result = super_resolved(case.low, ((1, 2), (0, 48), (0, 48)))
    return [("CT, cubic", seen), ("result", result), ("truth", case.truth.array[3 * SCALE // 2])]


def large_voxels() -> list[Panel]:
    """The bundled CT, averaged to voxels of 0.625 mm."""
    ct = read_volume(sample_volume_path())
    slices, rows, columns = ct.shape
    pairs = ct.array.reshape(slices, rows // 2, 2, columns // 2, 2)
    coarse = Volume(pairs.mean((2, 4)), (ct.spacing[0], *(2 * mm for mm in ct.spacing[1:])))
    half = tuple((start // 2, stop // 2) for start, stop in IN_PLANE)
    return beside_original(ct, *super_resolved(coarse, ((SLICE, SLICE + 1), *half)))


def thick_slices() -> list[Panel]:
    """The bundled CT, averaged to slices of 2.1 mm."""
    ct = read_volume(sample_volume_path())
    first = (SLICE - 1) % 3
    count = (ct.shape[0] - first) // 3
    threes = ct.array[first : first + 3 * count].reshape(count, 3, *ct.shape[1:])
    thick = Volume(threes.mean(1), (3 * ct.spacing[0], *ct.spacing[1:]))
    k = (SLICE - 1 - first) // 3
    return beside_original(ct, *super_resolved(thick, ((k, k + 1), *IN_PLANE)))


def metal() -> list[Panel]:
    """The bundled CT with an electrode of four contacts in the cochlea, and its streaks."""
    ct = read_volume(sample_volume_path())
    array = ct.array.astype(np.float32)
    (j0, j1), (i0, i1) = IN_PLANE
    # Rows and columns of the contacts, in voxels of the box.
    array[SLICE - 2 : SLICE + 3, j0:j1, i0:i1] += streaks([(16, 35), (16, 45), (23, 35), (22, 47)])
    struck = ct.with_array(np.clip(array, -1024, 3071))
    return beside_original(ct, *super_resolved(struck, ((SLICE, SLICE + 1), *IN_PLANE)))


def streaks(contacts: list[tuple[int, int]], edge: int = 64) -> np.ndarray:
    """What filtered back-projection makes of metal of 20,000 HU that hardens the beam, in HU."""
    rows, columns = np.mgrid[:edge, :edge]
    distance = np.min([np.hypot(rows - j, columns - i) for j, i in contacts], axis=0)
    angles = np.linspace(0, 180, 180, endpoint=False)
    paths = radon(20 * np.clip(1.8 - distance, 0, 1), angles, circle=False)
    hardened = 40 * (1 - np.exp(-paths / 40))
    return 1000 * iradon(hardened, angles, output_size=edge, circle=False)


def super_resolved(ct: Volume, box: tuple) -> tuple[np.ndarray, np.ndarray]:
    """A slice by cubic interpolation, and the result of it."""
    result = superresolve(ct, box=box, samples=PASSES)
    for warning in result.report["warnings"]:
        print(warning)
    (k, _), *in_plane = box
    (j0, j1), (i0, i1) = ((SCALE * start, SCALE * stop) for start, stop in in_plane)
    cubic = resample_cubic(np.float32(ct.array[k : k + 1]), (1, SCALE, SCALE))
    return cubic[0, j0:j1, i0:i1], result.mean.array[0]


def beside_original(ct: Volume, seen: np.ndarray, result: np.ndarray) -> list[Panel]:
    """With what the model makes of the CT as it was."""
    original = superresolve(ct, box=((SLICE, SLICE + 1), *IN_PLANE), samples=PASSES)
    title = "result of the CT as it was"
    return [("CT, cubic", seen), ("result", result), (title, original.mean.array[0])]


def draw(panels: list[Panel], path: Path) -> None:
    """Panels in a row with their titles."""
    width = len(panels) * (SIZE + GAP) - GAP
    sheet = Image.new("RGB", (width, SIZE + TITLE), "black")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (title, hu) in enumerate(panels):
        grey = np.clip((hu - BLACK_HU) / (WHITE_HU - BLACK_HU) * 255, 0, 255).astype(np.uint8)
        image = Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        left = number * (SIZE + GAP)
        sheet.paste(image, (left, TITLE))
        pen.text((left + 4, TITLE // 2), title, fill="white", font=font, anchor="lm")
    greys = sheet.convert("L").point(lambda grey: grey // 3 * 3)  # which half as many bytes show
    greys.save(path, optimize=True)


if __name__ == "__main__":
    failures = (invented, sharper, large_voxels, thick_slices, metal)
    for failure in failures:
        if not sys.argv[1:] or failure.__name__ in sys.argv[1:]:
            name = failure.__name__.replace("_", "-")
            draw(failure(), PICTURES / f"limits-{name}.png")
