"""The module's panel under test: loaded as Slicer loads it, with small inputs and quick models."""

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import slicer

import host

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_FILE = REPOSITORY / "MicroCTSR" / "MicroCTSR.py"
MAX_WAIT_S = 120

sys.path.append(str(REPOSITORY / "Testing" / "Core"))


def open_panel():
    """The panel, opened as its user does; the module is loaded once in a process."""
    if not hasattr(slicer.modules, "microctsr"):
        host.loadModule(MODULE_FILE)
    panel = host.openModule("MicroCTSR")
    panel.run._status = ""
    panel.ui.logText.clear()
    return panel


def add_ct(shape=(6, 24, 28), seed=0, spacing=(0.3, 0.3, 0.7), direction=None, name="CT"):
    """A CT of bone and fluid with noise; spacing is (i, j, k), direction's columns i, j, k."""
    random = np.random.default_rng(seed)
    blocks = random.choice([0.0, 1500.0, -1000.0], size=tuple(-(-n // 4) for n in shape))
    values = blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2)[tuple(slice(n) for n in shape)]
    values = (values + random.normal(0, 50, shape)).astype(np.int16)
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if direction is None else direction) * spacing
    matrix[:3, 3] = (12.0, -7.0, 30.0)
    node = slicer.util.addVolumeFromArray(values, ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(3000, 700)
    return node


def rotation(seed):
    """A random rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def linear_transform(seed, scale=1.0):
    """A transform node that turns, moves and scales."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(seed) * scale
    matrix[:3, 3] = (5.0, 80.0, -20.0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def use_model(panel, folder):
    """Choose a model package among the user's models; it is imported once."""
    keys = {entry.folder.name: entry.key for entry in panel.models.entries()}
    if "toy-1.0.0" in keys:
        panel.parameters.model = keys["toy-1.0.0"]
    else:
        panel.model.importPackage(folder)
    panel.update()


def wait_until_idle(panel, seconds=MAX_WAIT_S):
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=seconds)
    assert panel.logic.queue.current is None


def volumes():
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def pretend_missing(monkeypatch, *names):
    """Let packages seem not to be installed until the host's installers were asked for them."""
    real = importlib.metadata.version
    host.answers.missing = set(names) - {"torch"}
    host.answers.torch_installed = "torch" not in names

    def version(name):
        is_there = host.answers.torch_installed if name == "torch" else True
        if name in host.answers.missing or not is_there:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
