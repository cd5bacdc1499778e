"""What protects the user: consistency with the input, and the card check."""

from __future__ import annotations

from .card_check import check_card
from .consistency import bring_back, consistency, scanner_at

__all__ = ["bring_back", "check_card", "consistency", "scanner_at"]
