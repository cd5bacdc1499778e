"""Draw the moving picture of the README: a slider between the CT of a real ear and the result.

    python Docs/make_slider.py

It super-resolves one slice of the bundled CT with the bundled model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from microctsr_core import read_volume, superresolve
from microctsr_core.phantom import SCALE
from microctsr_core.preparation import resample_cubic
from microctsr_core.sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path

PICTURE = Path(__file__).parent / "pictures" / "slider.gif"
SIZE = 448
STEPS = 18  # from one side to the other
GREYS = 120
BLACK_HU, WHITE_HU = -1000, 2400
LINE = (255, 176, 31)
HOLD_MS, STEP_MS = 900, 70


def main() -> None:
    ct = read_volume(sample_volume_path())
    k = COCHLEA_BOX[0][0] + COCHLEA_SLICES[0]
    in_plane = COCHLEA_BOX[1:]
    result = superresolve(ct, box=((k, k + 1), *in_plane))
    (j0, j1), (i0, i1) = ((SCALE * start, SCALE * stop) for start, stop in in_plane)
    cubic = resample_cubic(ct.array[k : k + 1], (1, SCALE, SCALE))[0, j0:j1, i0:i1]
    before, after = picture(cubic), picture(result.mean.array[0])

    margin = SIZE // 12
    places = np.linspace(margin, SIZE - margin, STEPS).round().astype(int)
    frames = [frame(before, after, place) for place in (*places, *places[-2:0:-1])]
    times = [STEP_MS] * len(frames)
    times[0] = times[STEPS - 1] = HOLD_MS
    palette = Image.new("P", (1, 1))
    greys = np.linspace(0, 255, GREYS).round().astype(int)
    palette.putpalette([*greys.repeat(3).tolist(), *LINE])
    drawn = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    drawn[0].save(
        PICTURE, save_all=True, append_images=drawn[1:], duration=times, loop=0, optimize=True
    )


def picture(hu: np.ndarray) -> Image.Image:
    """A slice as greys, as large as the picture."""
    grey = np.clip((hu - BLACK_HU) / (WHITE_HU - BLACK_HU) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def frame(before: Image.Image, after: Image.Image, place: int) -> Image.Image:
    """The result to the left of the slider, the CT to its right."""
    drawn = before.copy()
    drawn.paste(after.crop((0, 0, place, SIZE)), (0, 0))
    pen = ImageDraw.Draw(drawn)
    pen.line([(place, 0), (place, SIZE)], fill=LINE, width=2)
    middle, radius = SIZE // 2, 9
    box = (place - radius, middle - radius, place + radius, middle + radius)
    pen.ellipse(box, fill=LINE)
    font = ImageFont.load_default(15)
    edge = {"font": font, "fill": "white", "stroke_width": 2, "stroke_fill": "black"}
    pen.text((8, SIZE - 8), "super-resolved (synthetic)", anchor="ls", **edge)
    pen.text((SIZE - 8, SIZE - 8), "clinical CT", anchor="rs", **edge)
    return drawn


if __name__ == "__main__":
    main()
