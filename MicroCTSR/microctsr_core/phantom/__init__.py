"""Phantom ears with known truth, and the scanners that image them."""

from .anatomy import Ear
from .cases import Case, make_case, write_cases
from .render import View, render
from .scanners import SCALE, ClinicalCT, ClinicalScanner, MicroScanner
from .tissue import LABELS
from .unseen import UnseenScanner

__all__ = [
    "LABELS",
    "SCALE",
    "Case",
    "ClinicalCT",
    "ClinicalScanner",
    "Ear",
    "MicroScanner",
    "UnseenScanner",
    "View",
    "make_case",
    "render",
    "write_cases",
]
