"""Checkpoints: the whole state of a run in one file that is complete or not there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import MicroCTSRError
from ..io import atomic_path
from ..io.tensors import read_tensors
from .config import difference, value_at

FORM = 1


def write_checkpoint(path: Path, state: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write a state; until it is complete, the file that was there before stays.

    Args:
        path: the file.
        state: tensors, numbers, strings, and lists and dictionaries of them.
        config: as :meth:`Config.to_dict` gives it.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"form": FORM, "config": dict(config), "state": dict(state)}, buffer)
    # Not by PyTorch, which tells nothing of a full disk.
    with atomic_path(path) as part:
        part.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Read a state that was written with the same configuration.

    Raises:
        ReadError: the file cannot be read, or wants to run code.
        MicroCTSRError: it holds something else, or was written with another configuration; names
            the first key that differs.
    """
    content = read_tensors(path)
    if not (isinstance(content, dict) and content.get("form") == FORM and "state" in content):
        raise MicroCTSRError(
            f"{path} is not a checkpoint of a run; train anew into another folder."
        )
    key = difference(content["config"], config)
    if key is not None:
        raise MicroCTSRError(
            f"The checkpoint {path} is of another configuration: {key} is "
            f"{value_at(content['config'], key)!r} there and {value_at(config, key)!r} now; give "
            f"the same configuration, or train into another folder."
        )
    state: dict[str, Any] = content["state"]
    return state
