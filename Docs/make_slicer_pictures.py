"""Draw the pictures of the Slicer tutorial: the real panel, and views drawn by Slicer's own code.

    python Docs/make_slicer_pictures.py

It goes through the tutorial with the bundled CT and model, in the test host, and takes some
minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "Docs" / "pictures"
THUMBNAIL = REPOSITORY / "MicroCTSR" / "Resources" / "Icons" / "MicroCTSRTemporalBone.png"
SIZE = (1240, 800)
WAIT_S = 1200
FOUR_UP, ONE_UP_RED, CONVENTIONAL = 3, 6, 2  # layouts
UNCERTAINTY, CONSISTENCY, NO_OVERLAY = 0, 1, 2  # entries of the overlay selector

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
        write(pictures.window("MicroCTSR", size=SIZE, scroll=scroll), f"slicer-{name}.png")

    def show_only(*sections: str) -> None:
        for name in ("input", "model", "quality", "output", "log", "result", "segmentation"):
            getattr(panel.ui, f"{name}Section").collapsed = name not in sections

    def finish() -> None:
        host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)

    # 1. Load a CT.
    ct = slicer.util.loadVolume(str(sample_volume_path()))
    ct.SetName("TemporalBone")
    ct.GetDisplayNode().AutoWindowLevelOff()
    ct.GetDisplayNode().SetWindowLevelMinMax(-1000, 2200)
    panel.parameters.inputVolume = ct
    slicer.util.setSliceViewerLayers(background=ct)
    manager.resetSliceViews()
    pictures.save(thumbnail(slicer.util.arrayFromVolume(ct)[COCHLEA_BOX[0][0] + 3]), THUMBNAIL)
    save("loaded")

    # 2. Put a box around the ear.
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

    # 3. Read the card: here of a CT that says its voxels were twice as large.
    ct.SetSpacing(*(2 * mm for mm in ct.GetSpacing()))
    host.pump(0.5)
    write(pictures.panel("MicroCTSR"), "slicer-warning.png")
    ct.SetSpacing(*(mm / 2 for mm in ct.GetSpacing()))
    host.pump(0.5)

    # 4. Preview, then super-resolve.
    layout = manager.layoutLogic().GetLayoutNode()
    roi.SetDisplayVisibility(False)
    layout.SetViewArrangement(ONE_UP_RED)
    look_at(ct, COCHLEA_BOX[0][0] + COCHLEA_SLICES[0], "Red")
    panel.ui.previewButton.click()
    finish()
    save("preview", scroll=1.0)
    layout.SetViewArrangement(FOUR_UP)
    roi.SetDisplayVisibility(True)
    slicer.util.setSliceViewerLayers(background=ct, foreground=None)
    panel.ui.applyButton.click()
    host.pump(until=lambda: panel.ui.progressBar.value >= 30, timeout=WAIT_S)
    save("running", scroll=1.0)
    finish()

    # 5. Read the result.
    roi.SetDisplayVisibility(False)
    nodes = panel.result.nodes()
    layout.SetViewArrangement(ONE_UP_RED)
    panel.ui.showButton.click()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    show_only("result")
    save("overlay", scroll=1.0)
    panel.ui.overlaySelector.currentIndex = CONSISTENCY
    save("consistency", scroll=1.0)
    panel.ui.overlaySelector.currentIndex = UNCERTAINTY

    panel.ui.compareButton.click()
    host.pump(0.2)
    for name in ("MicroCTSRInput", "MicroCTSRResult"):
        look_at(nodes.mean, COCHLEA_SLICES[1], name)
    save("compare", scroll=1.0)
    panel.ui.compareButton.click()

    # 6. From uncertainty to segments.
    layout.SetViewArrangement(ONE_UP_RED)
    manager.resetSliceViews()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    panel.ui.overlaySelector.currentIndex = NO_OVERLAY
    show_only("segmentation")
    panel.ui.createSeedsButton.click()
    save("seeds", scroll=1.0)

    panel.ui.growNowButton.click()
    layout.SetViewArrangement(CONVENTIONAL)
    manager.resetSliceViews()
    look_at(nodes.mean, COCHLEA_SLICES[0], "Red")
    show_in_space(slicer.util.getNode("TemporalBone SR grown"))
    save("grown", scroll=1.0)


def write(pixels: np.ndarray, name: str) -> None:
    """Write a PNG of 128 colours, which is half as large and looks the same."""
    colours = Image.Quantize.MEDIANCUT
    image = Image.fromarray(pixels).quantize(128, colours, kmeans=2, dither=Image.Dither.NONE)
    image.save(PICTURES / name, optimize=True)


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
