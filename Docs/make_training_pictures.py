"""Draw the pictures of the page on training in Slicer: the real panel beside a run of it.

    python Docs/make_training_pictures.py

It makes phantoms, trains a small model on them for a minute or two, and measures its result, in the
test host.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "Docs" / "pictures"
SIZE = (1360, 860)
WAIT_S = 1200
SETTINGS = """
epochs: 12
steps_per_epoch: 20
batch: {size: 4, low_size: 2, patch: 64}
network:
  arguments: {in_slices: 5, width: 16, blocks: 3, upsampling: [16, 8, 8], dropout_blocks: 1}
losses: {judge_filters: 8, alone: 0.5}
optimiser: {rate: 0.002, rise: 20, average_decay: 0.9}
validation: {cases: 2, slices: 2, edge: 24, samples: 4}
"""

sys.path.insert(0, str(REPOSITORY / "Testing" / "Slicer"))


def main() -> None:
    import host

    host.start(testing=True)
    folder = Path(tempfile.gettempdir()) / "ears"  # a short name, as it is in the pictures
    folder.mkdir()
    try:
        draw(folder)
    finally:
        shutil.rmtree(folder)


def draw(folder: Path) -> None:
    import slicer

    import host
    from host import pictures

    host.loadModule(REPOSITORY / "MicroCTSR" / "MicroCTSR.py")
    host.loadModule(REPOSITORY / "MicroCTSRTraining" / "MicroCTSRTraining.py")
    panel = host.openModule("MicroCTSRTraining")
    low, high, run = make_folders(folder)
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")

    def save(name: str, scroll: float = 0.0) -> None:
        host.pump(0.5)
        window = pictures.window("MicroCTSRTraining", size=SIZE, panel_width=450, scroll=scroll)
        pictures.save(window, PICTURES / f"slicer-{name}.png")

    def show_only(*sections: str) -> None:
        for name in ("folders", "train", "watch", "log", "evaluate", "report"):
            getattr(panel.ui, f"{name}Section").collapsed = name not in sections

    show_only("folders", "train", "watch")
    panel.parameters.lowFolder, panel.parameters.highFolder = str(low), str(high)
    panel.parameters.configFile, panel.parameters.outputFolder = str(settings), str(run)
    panel.ui.checkButton.click()
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)
    panel.ui.startButton.click()
    host.pump(until=lambda: len(panel.logic.run.history()) >= 8, timeout=WAIT_S)
    save("training")  # gives the views their size
    panel.ui.showCurvesButton.click()
    host.pump(until=lambda: len(panel.logic.run.history()) >= 9, timeout=WAIT_S)
    save("training")
    host.pump(until=lambda: panel.logic.run.stage.name == "FINISHED", timeout=WAIT_S)

    generated = super_resolved(folder, low / "case_000" / "low.nrrd", run)
    panel.parameters.generatedVolume = slicer.util.loadVolume(str(generated), {"show": False})
    panel.parameters.generatedVolume.SetName("TemporalBone SR")
    panel.parameters.referencePath = str(high)
    show_only("evaluate", "report")
    panel.ui.evaluateButton.click()
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)
    save("evaluation")
    panel.logic.cleanup()


def make_folders(folder: Path) -> tuple[Path, Path, Path]:
    """Phantoms as clinical CT and others as micro-CT, a damaged file, and a name for a run."""
    low, high = folder / "clinical", folder / "micro"
    for path, domain, seed in ((low, "both", 1), (high, "high", 11)):
        words = ["--output", path, "--domain", domain, "--seed", seed, "--cases", 4]
        command("phantom", *words, "--spacing", 0.3, "--shape", "8,40,40")
    (low / "damaged.nrrd").write_bytes(b"NRRD0004\n")
    return low, high, folder / "runs" / "first"


def super_resolved(folder: Path, scan: Path, model: Path) -> Path:
    """The result of a model, in a file."""
    result = folder / "result.nrrd"
    command("superresolve", scan, result, "--model", model, "--samples", 4)
    return result


def command(*words: object) -> None:
    """Run the library's command."""
    subprocess.run([sys.executable, "-m", "microctsr_core", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
