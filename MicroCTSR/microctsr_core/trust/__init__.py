"""What protects the user: consistency with the input, the card check, and seeds only where sure."""

from __future__ import annotations

from .card_check import check_card
from .consistency import (
    bring_back,
    bring_back_plane,
    bring_back_slices,
    consistency,
    rms,
    scanner_at,
)
from .seeds import LABELS, Thresholds, otsu_thresholds, reliable, seed_labels

__all__ = [
    "LABELS",
    "Thresholds",
    "bring_back",
    "bring_back_plane",
    "bring_back_slices",
    "check_card",
    "consistency",
    "otsu_thresholds",
    "reliable",
    "rms",
    "scanner_at",
    "seed_labels",
]
