"""Is this volume an image that can be super-resolved?

Reading lets any volume pass, since segmentations and truth volumes are read as well; what only a
grey image fulfils is asked here.
"""

from __future__ import annotations

import numpy as np

from ..errors import ReadError
from ..pieces import pieces
from ..volume import Volume

# A scan has noise and thus hundreds of values; a segmentation has as many as it has labels.
_MOST_LABELS = 16
# In a segmentation with many labels, neighbours inside the body are still nearly always equal;
# in 8-bit micro-CT (trabecular bone, mouse heads) they are in 4 to 12 % of the places.
_LABEL_CODES = 256
_EQUAL_NEIGHBOURS = 0.8


def check_image(volume: Volume, name: str = "The scan") -> None:
    """Make sure that a volume is a grey image with a through-plane extent.

    Args:
        volume: what is to be super-resolved.
        name: how the message calls it, such as its file name.

    Raises:
        ReadError: a single slice, values that are not finite, one value throughout, or a label
            map.
    """
    array = volume.array
    if min(array.shape) < 2:
        raise ReadError(
            f"{name} is a single slice ({' x '.join(map(str, array.shape))} voxels); "
            f"give a scan of several slices."
        )
    bad, lows, highs = 0, [], []
    for piece in pieces(array):
        if piece.dtype.kind == "f":
            bad += int(piece.size - np.count_nonzero(np.isfinite(piece)))
        lows.append(piece.min())
        highs.append(piece.max())
    if bad:
        raise ReadError(not_numbers(name, bad))
    low, high = min(lows), max(highs)
    if low == high:
        raise ReadError(f"{name} has the same value, {low:g}, everywhere; give an image.")
    if _is_label_map(array, low, high):
        raise ReadError(
            f"{name} looks like a segmentation (label map), not an image; "
            f"give the scan it was drawn on."
        )


def not_numbers(name: str, count: int) -> str:
    """The sentence about an image with values that are no numbers."""
    found = "1 value that is not a number" if count == 1 else f"{count} values that are not numbers"
    return (
        f"{name} holds {found} (NaN or infinity); "
        f"replace them, for example by -1000 HU, and save it again."
    )


def _is_label_map(array: np.ndarray, low: float, high: float) -> bool:
    if array.dtype.kind == "b":
        return True
    # A few slices tell a scan at once; only what looks like labels there is read whole.
    few = array[:: max(1, array.shape[0] // 4)]
    if array.dtype.kind == "f" and not np.array_equal(few, np.rint(few)):
        return False
    if np.unique(few).size <= _MOST_LABELS and _has_few_values(array):
        return True
    if low < 0 or high >= _LABEL_CODES:
        return False
    left, right = few[..., :-1], few[..., 1:]
    inside = (left > low) | (right > low)
    equal = np.count_nonzero((left == right) & inside)
    return bool(equal > _EQUAL_NEIGHBOURS * np.count_nonzero(inside))


def _has_few_values(array: np.ndarray) -> bool:
    values: set[float] = set()
    for piece in pieces(array):
        values.update(np.unique(piece).tolist())
        if len(values) > _MOST_LABELS:
            return False
    return True
