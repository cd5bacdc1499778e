"""Stands in for the ``microctsr`` command in tests of the panel: it answers as that would, at once.

``train`` does steps that learn nothing, in a folder that looks as a real run leaves it and by the
library's own record. ``evaluate`` answers with numbers of what it was handed.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from microctsr_core.errors import Cancelled, MicroCTSRError
from microctsr_core.io.raw_nrrd import map_raw_nrrd
from microctsr_core.training.state import RunState, recorded

STEPS_PER_EPOCH = 5


def setting(name, default):
    return os.environ.get(f"STAND_IN_{name}", default)


def train(options):
    output = Path(options["--output"])
    trouble = setting("TROUBLE", "")
    print("Words: " + " ".join(sys.argv[1:]), file=sys.stderr)
    if trouble == "early":
        raise MicroCTSRError("It went wrong before it began; do something else.")
    if trouble == "crash":
        os.abort()
    steps = int(setting("STEPS", 10))
    state = RunState(
        "running", "Preparing the cases", steps=steps, method=options["--method"],
        preset=options["--preset"], low=options["--low"], high=options["--high"],
    )  # fmt: skip
    with recorded(output, state) as record:
        counter = output / "checkpoint.pt"
        done = int(counter.read_text()) if "--resume" in sys.argv and counter.exists() else 0
        (output / "config.yaml").write_text("seed: 0\n")
        for step in range(done + 1, steps + 1):
            time.sleep(float(setting("SECONDS", 0.02)))
            counter.write_text(str(step))
            record.at(step, f"Epoch {(step - 1) // STEPS_PER_EPOCH + 1}, step {step}")
            if trouble == "late" and step == 3:
                raise MicroCTSRError("The loss is nan; lower optimiser.rate.")
            if step % STEPS_PER_EPOCH == 0:
                end_epoch(output, step)
            if record.is_asked_to_stop() and step < steps:
                raise Cancelled(f"The run was stopped at step {step} of {steps}; --resume.")


def end_epoch(output, step):
    """History, picture and package of an epoch."""
    from PIL import Image

    epoch = step // STEPS_PER_EPOCH
    losses = {"cycle_high": 1 / epoch} | ({"real_high": 0.5} if epoch > 1 else {})
    row = {"epoch": epoch, "step": step, "losses": losses, "best": True}
    row["validation"] = {"m_hum": 0.1 / epoch, "psnr": 15.0 + epoch}
    with (output / "history.jsonl").open("a") as history:
        history.write(json.dumps(row) + "\n")
    (output / "images").mkdir(exist_ok=True)
    # Red above, blue below; brighter with every epoch.
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :, 0], pixels[20:, :, 2] = 100 + epoch, 200
    for case in range(2):
        Image.fromarray(pixels).save(output / "images" / f"epoch_{epoch:03d}-{case}.png")
    for name in ("weights.safetensors", "card.json"):
        shutil.copy(Path(setting("MODEL", "")) / name, output / name)


def evaluate(kind, options):
    if kind == "compare":
        if "wrong" in Path(options["--study"]).read_text():
            raise MicroCTSRError("The study names an unknown method; correct it.")
        Path(options["--report"]).write_text("<html>report</html>")
        return
    second = "--reference" if kind == "m-hum" else "--truth"
    generated, other = (map_raw_nrrd(Path(options[key])) for key in ("--generated", second))
    time.sleep(float(setting("SECONDS", 0)))
    if generated.shape != other.shape:
        raise MicroCTSRError("The images are of different size; give images of one grid.")
    means = [float(plane.mean()) for plane in generated.array]
    if kind == "m-hum":
        slices = [{"index": n, "m_hum": m, "nearest": 0} for n, m in enumerate(means)]
        answer = {"m_hum": float(np.mean(means)), "distance": options["--distance"]}
        answer |= {"form": "paper", "slices": slices}
    else:
        answer = {"psnr": float(generated.array.mean()), "ssim": float(other.array.mean())}
        answer["dice"] = {"fluid": 0.7, "air": 0.8, "bone": 0.9}
        if "--uncertainty" in options:
            answer |= {"ause": 0.1, "rank_correlation": 0.6, "coverage": {"1": 0.68, "2": 0.95}}
    Path(options["--json"]).write_text(json.dumps(answer))


def main():
    words = [word for word in sys.argv[1:] if word not in ("--while-stdin-open", "--resume")]
    start = 2 if "evaluate" in words else 1
    options = dict(zip(words[start::2], words[start + 1 :: 2], strict=True))
    try:
        train(options) if words[0] == "train" else evaluate(words[1], options)
    except Cancelled as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(130)
    except MicroCTSRError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
