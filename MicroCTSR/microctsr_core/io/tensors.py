"""Reading what PyTorch saved, as tensors and plain values only."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from ..errors import MicroCTSRError, ReadError
from .claims import check_claim


def read_tensors(path: Path) -> Any:
    """Read a file of ``torch.save``, on the CPU; nothing in it is executed.

    Raises:
        ReadError: the file cannot be read, is damaged, or wants to run code.
    """
    import torch

    try:
        if zipfile.is_zipfile(path):  # whose entries may unpack to far more than they are
            with zipfile.ZipFile(path) as archive:
                check_claim(path, sum(entry.file_size for entry in archive.infolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that are old, but readable
            return torch.load(path, map_location="cpu", weights_only=True)
    except MicroCTSRError:
        raise
    except OSError as error:
        raise ReadError(
            f"The checkpoint {path} cannot be read ({error.strerror or error}); check its name."
        ) from None
    except Exception as error:  # damaged files make PyTorch fail in many ways
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise ReadError(
                f"{path} is refused, because reading it would run code ({wanted[1]}); ask for a "
                f"file of weights alone, as torch.save(network.state_dict(), file) makes it."
            ) from None
        raise ReadError(
            f"{path} is not a PyTorch checkpoint, or is damaged; get the file again."
        ) from None
