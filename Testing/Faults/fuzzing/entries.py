"""YAML that users write: the settings of a training run, and of a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from microctsr_core.evaluation.comparison.study import load_study
from microctsr_core.training.presets import PRESETS, load_config
from toy_studies import write_study

from .mutations import NUMBERS, damaged, edited, nested, twisted
from .subject import Subject
from .worker import CANARY

_SCALARS = (
    f"!!python/object/apply:os.system ['touch {CANARY}']", "!!python/name:os.system",
    f"!!python/object/new:os.mkdir [{CANARY}]", "!!python/module:os", "!x y", "!!set {a}", "!!binary x",
    "!!timestamp 2020-13-45", "2020-02-30", "2020-01-01", "1:30", "1_0", "0o17", "0b2", "!!int x",
    "!!float x", "!!omap [a: 1]", "*nowhere", "&a *a", "&a [*a]", "<<: 1", "? [a]\n: b", "| x",
    "\t", "%YAML 9", "---", "...", "@", "!!int " + "9" * 5000, "9" * 5000, ".nan", ".inf", "-.inf",
    "yes", "~", "''", "[", "{a: 1, a: 2}", "{<<: *x}", "0x" + "f" * 5000, "1e3", "!!null x",
    "!!merge x", "!!bool x", "= ", "&a {b: *a}", "!!seq {}", "!!map []", "!!str [a]", "190:20:30",
    "!!timestamp x", "2001-12-14t21:59:43.10-05:99", "9999-12-31t23:59:59-23:59", "1" + ":59" * 500,
)  # fmt: skip


def odd_yaml(tree: Any, random: Random) -> bytes:
    """YAML of a tree, twisted as a tree, as a text, as bytes, or made into a bomb."""
    kind = random.randrange(12)
    if kind < 5:
        text = yaml.safe_dump(twisted(tree, random), sort_keys=False, allow_unicode=True)
    else:
        text = yaml.safe_dump(tree, sort_keys=False)
    if kind in (5, 6):
        text = edited(text, random)
    elif kind in (7, 8):
        text = _with_scalar(text, random.choice(_SCALARS), random)
    elif kind == 9:
        text = _bomb(text, random)
    elif kind == 10:
        text = _with_scalar(text, random.choice(NUMBERS), random)
    data = text.encode("utf-8", "surrogatepass")
    return damaged(data, random) if kind == 11 else data


def _with_scalar(text: str, scalar: str, random: Random) -> str:
    lines = text.splitlines()
    place = random.choice([n for n, line in enumerate(lines) if ": " in line])
    lines[place] = lines[place].partition(": ")[0] + ": " + scalar
    return "\n".join(lines) + "\n"


def _bomb(text: str, random: Random) -> str:
    """Aliases of aliases, nesting, merges without end, or very many entries."""
    kind = random.randrange(5)
    depth = random.choice((5, 9, 30))
    if kind == 0:
        rows = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
        rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
        return "\n".join(rows) + "\n" + text
    if kind == 1:
        rows = ["a0: &a0 {x0: 1}"]
        rows += [
            f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], x{n}: *a{n - 1}}}" for n in range(1, depth)
        ]
        return text + "\n".join(rows) + "\n"
    if kind == 2:
        return text + "deep: " + "[" * random.choice((50, 500, 5000)) + "\n"
    if kind == 3:
        return text + "deep: " + json.dumps(nested(random.choice((50, 150)), True)) + "\n"
    return text + "".join(f"k{n}: {n}\n" for n in range(random.choice((10, 3000))))


class TrainingYaml(Subject):
    """What ``train --config`` is given."""

    name, inputs = "training YAML", 1300

    def make(self, random: Random, folder: Path) -> str:
        method, preset = random.choice(sorted(PRESETS))
        tree = PRESETS[method, preset].to_dict()
        if random.random() < 0.5:
            kept = random.sample(sorted(tree), 4)
            tree = {key: tree[key] for key in kept}
        (folder / f"{method}-{preset}.yaml").write_bytes(odd_yaml(tree, random))
        return f"{method} {preset}"

    def use(self, folder: Path, output: Path) -> None:  # noqa: ARG002 - nothing is written
        (path,) = folder.iterdir()
        method, preset = path.stem.split("-")
        config = load_config(method, preset, path)  # type: ignore[arg-type]
        assert config.method == method
        assert config.steps > 0
        json.dumps(config.to_dict())


class ComparisonYaml(Subject):
    """What ``evaluate compare --study`` is given; the files that it names are there."""

    name, inputs = "comparison YAML", 1000

    def prepare(self, folder: Path) -> None:
        path = write_study(folder, cases=2)
        self.home = folder
        self.tree = yaml.safe_load(path.read_text())
        self.tree["figure"] = {
            "cases": ["case_000"],
            "slice": 1,
            "zoom": "0:9,0:9",
            "window": [-1000, 2400],
        }
        self.tree |= {
            "box": "0:3,0:12,0:12",
            "seed": 0,
            "spacing": [0.3, 0.3, 0.3],
            "against": "cubic",
        }
        listed = [
            {
                "name": "one",
                "low": "phantoms/case_000/low.nrrd",
                "truth": "phantoms/case_000/truth.nrrd",
            }
        ]
        self.listed = {**self.tree, "cases": listed, "figure": {"cases": ["one"]}}

    def make(self, random: Random, folder: Path) -> str:
        for name in ("phantoms", "elsewhere", "toy"):
            (folder / name).symlink_to(self.home / name)
        (folder / "study.yaml").write_bytes(
            odd_yaml(random.choice((self.tree, self.listed)), random)
        )
        return "study.yaml"

    def use(self, folder: Path, output: Path) -> None:  # noqa: ARG002 - nothing is written
        study = load_study(folder / "study.yaml")
        assert study.cases
        assert study.against in [method.name for method in study.methods]
        for case in study.cases:
            assert (folder / case.name).resolve().is_relative_to(folder.resolve())
