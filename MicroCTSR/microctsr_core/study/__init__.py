"""The blinded reader study: experts judge images in a browser without knowing whose they are.

The names are loaded when they are first used: the server needs neither PyTorch nor the libraries
that read scans.

Example:
    >>> from microctsr_core import study
    >>> made = study.create_study(
    ...     "study", study.from_folders("clinical", {"U-Net": "unet", "ours": "sr"})
    ... )
    >>> server = study.start_server("study")
    >>> server.raters  # the link of each
    {'Rater 1': 'http://127.0.0.1:8765/rate/...', ...}
    >>> study.progress_of(made)  # how far each rater is
    >>> server.stop()
    >>> study.analyse("study", close=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_first_use import loaded_on_first_use

if TYPE_CHECKING:
    from .analysis import Analysis, analyse
    from .case import Case
    from .cases import from_comparison, from_folders
    from .creation import create_study
    from .folder import Links, ReaderStudy, open_study, read_links
    from .progress import RaterProgress, progress_of
    from .report import write_analysis
    from .serving import RunningServer, serve, start_server

__all__ = [
    "Analysis",
    "Case",
    "Links",
    "RaterProgress",
    "ReaderStudy",
    "RunningServer",
    "analyse",
    "create_study",
    "from_comparison",
    "from_folders",
    "open_study",
    "progress_of",
    "read_links",
    "serve",
    "start_server",
    "write_analysis",
]

__getattr__, __dir__ = loaded_on_first_use(
    __name__,
    {
        "Analysis": "analysis",
        "Case": "case",
        "Links": "folder",
        "RaterProgress": "progress",
        "ReaderStudy": "folder",
        "RunningServer": "serving",
        "analyse": "analysis",
        "create_study": "creation",
        "from_comparison": "cases",
        "from_folders": "cases",
        "open_study": "folder",
        "progress_of": "progress",
        "read_links": "folder",
        "serve": "serving",
        "start_server": "serving",
        "write_analysis": "report",
    },
)
