"""Draw the pictures of the Slicer tutorial: the real panel, and views drawn by Slicer's own code.

    python Docs/make_slicer_pictures.py

It goes through the tutorial with the bundled CT and model, in the test host, and takes some
minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "Docs" / "pictures"
THUMBNAIL = REPOSITORY / "MicroCTSR" / "Resources" / "Icons" / "MicroCTSRTemporalBone.png"
SIZE = (1360, 860)
WAIT_S = 1200
ONE_UP_RED, CONVENTIONAL = 6, 2

sys.path.insert(0, str(REPOSITORY / "Testing" / "Slicer"))


def main() -> None:
    import host

    host.start(testing=True)
    import slicer

    from host import pictures

    host.loadModule(REPOSITORY / "MicroCTSR" / "MicroCTSR.py")
    panel = host.openModule("MicroCTSR")
    from microctsr_core.sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path

    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        manager.sliceWidget(name).sliceView().renderWindow()

    def save(name: str, scroll: float = 0.0) -> None:
        host.pump(0.5)
        pictures.save(
            pictures.window("MicroCTSR", size=SIZE, scroll=scroll), PICTURES / f"slicer-{name}.png"
        )

    def show_only(*sections: str) -> None:
        for name in ("input", "model", "quality", "output", "log", "result", "segmentation"):
            getattr(panel.ui, f"{name}Section").collapsed = name not in sections

    ct = slicer.util.loadVolume(str(sample_volume_path()))
    ct.SetName("TemporalBone")
    ct.GetDisplayNode().AutoWindowLevelOff()
    ct.GetDisplayNode().SetWindowLevelMinMax(-1000, 2200)
    panel.parameters.inputVolume = ct
    slicer.util.setSliceViewerLayers(background=ct)
    manager.resetSliceViews()
    pictures.save(thumbnail(slicer.util.arrayFromVolume(ct)[COCHLEA_BOX[0][0] + 3]), THUMBNAIL)

    regions = sys.modules["MicroCTSRLib.Regions"]
    panel.ui.fitToViewButton.click()
    roi = panel.parameters.region
    regions.placeOverBox(roi, ct, COCHLEA_BOX)
    centre = roi.GetCenter()
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        view.JumpSlice(*centre)
    host.pump(until=lambda: panel.quality.cost() is not None, timeout=60)
    show_only("input", "model")
    save("panel")

    roi.SetDisplayVisibility(False)
    panel.ui.applyButton.click()
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)
    nodes = panel.result.nodes()
    layout = manager.layoutLogic().GetLayoutNode()
    layout.SetViewArrangement(ONE_UP_RED)
    panel.ui.showButton.click()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    show_only("result")
    save("overlay", scroll=1.0)

    panel.ui.compareButton.click()
    host.pump(0.2)
    for name in ("MicroCTSRInput", "MicroCTSRResult"):
        look_at(nodes.mean, COCHLEA_SLICES[1], name)
    save("compare", scroll=1.0)
    panel.ui.compareButton.click()

    layout.SetViewArrangement(ONE_UP_RED)
    manager.resetSliceViews()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    panel.ui.overlaySelector.currentIndex = 2
    show_only("segmentation")
    panel.ui.createSeedsButton.click()
    save("seeds", scroll=1.0)

    panel.ui.growNowButton.click()
    layout.SetViewArrangement(CONVENTIONAL)
    manager.resetSliceViews()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    show_in_space(slicer.util.getNode("TemporalBone SR grown"))
    save("grown", scroll=1.0)


def thumbnail(values: np.ndarray) -> np.ndarray:
    """The middle of a slice as grey RGB, 128 pixels wide."""
    j, i = ((n - 128) // 2 for n in values.shape)
    grey = np.clip((values[j : j + 128, i : i + 128] + 1000) / 3200 * 255, 0, 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def look_at(volume, k: int, view: str) -> None:
    """Move a slice view to a slice of a volume."""
    import slicer

    i, j, _slices = volume.GetImageData().GetDimensions()
    nodes = sys.modules["MicroCTSRLib.Nodes"]
    place = nodes.ijkToWorld(volume) @ (i / 2, j / 2, k, 1)
    slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().JumpSlice(*place[:3])


def show_in_space(segmentation) -> None:
    """Show the fluid in the 3-D view, the bone as through glass, seen from above and in front."""
    import slicer

    segmentation.CreateClosedSurfaceRepresentation()
    display = segmentation.GetDisplayNode()
    display.SetSegmentOpacity3D("bone", 0.12)
    display.SetSegmentVisibility3D("air", False)
    widget = slicer.app.layoutManager().threeDWidget(0)
    widget.mrmlViewNode().SetBoxVisible(False)
    widget.mrmlViewNode().SetAxisLabelsVisible(False)
    bounds = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(widget.mrmlViewNode())
    middle = [(bounds[n] + bounds[n + 1]) / 2 for n in (0, 2, 4)]
    camera.SetFocalPoint(*middle)
    camera.SetPosition(middle[0], middle[1] + 30, middle[2] + 50)
    camera.SetViewUp(0, 0, 1)
    camera.ResetClippingRange()


if __name__ == "__main__":
    main()
