"""Model packages and foreign checkpoints: cards, safetensors, and what PyTorch pickled."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch

from microctsr_core import Model, load_model
from microctsr_core.card import check_card_schema
from microctsr_core.importing import import_cyclegan
from microctsr_core.networks import build
from microctsr_core.resources import footprint
from toy_models import TOYS, make_model

from .mutations import damaged, odd_json, odd_value, twisted
from .subject import Subject
from .worker import CANARY

_HUGE = (10**3, 10**4, 10**5, 10**6, 10**9, 2**31, 10**12, 2**63, 0, -1, 1, 3, 0.5, True, "8", None)


def check_model(model: Model) -> None:
    """What is true of every model: a card that says so, and a network that computes."""
    check_card_schema(model.card, "the card")
    assert footprint(model).layer_bytes > 0
    assert model.intensity.span > 0 if model.card["intensity"]["kind"] == "hu_window" else True
    assert model.uncertainty_scale > 0
    for name, value in model.network.state_dict().items():  # type: ignore[attr-defined]
        assert not value.is_floating_point() or torch.isfinite(value).all(), name


class Card(Subject):
    """card.json beside weights that fit the original."""

    name, inputs = "card.json", 1500

    def __init__(self) -> None:
        self.packages: dict[str, tuple[dict[str, Any], bytes]] = {}

    def prepare(self, folder: Path) -> None:
        for name in sorted(TOYS.keys() - {"unet"}):  # MONAI, which that needs, is slow to start
            made = make_model(name).save(folder / name)
            check_model(load_model(folder / name))
            self.packages[name] = (made.card, (folder / name / "weights.safetensors").read_bytes())

    def make(self, random: Random, folder: Path) -> str:
        name = random.choice(sorted(self.packages))
        card, weights = self.packages[name]
        if random.random() < 0.35:
            arguments = {**card["network"]["arguments"]}
            for key in random.sample(sorted(arguments), min(len(arguments), random.choice((1, 2)))):
                kept = isinstance(arguments[key], list) and random.random() < 0.5
                value = random.choice(_HUGE)
                arguments[key] = [value] * random.choice((1, 3, 500)) if kept else value
            card = {**card, "network": {"name": name, "arguments": arguments}}
            data, what = json.dumps(card).encode(), f"arguments of {name}: {arguments}"
        else:
            data, what = odd_json(card, random), f"card of {name}"
        (folder / "card.json").write_bytes(data)
        (folder / "weights.safetensors").write_bytes(weights)
        return what[:200]

    def use(self, folder: Path, output: Path) -> None:
        check_model(load_model(folder).save(output / "copy"))


class Weights(Subject):
    """weights.safetensors with a card that gives the hash of what lies there."""

    name, inputs = "weights.safetensors", 1300

    def __init__(self) -> None:
        self.card: dict[str, Any] = {}
        self.weights = b""

    def prepare(self, folder: Path) -> None:
        self.card = make_model().save(folder / "toy").card
        self.weights = (folder / "toy" / "weights.safetensors").read_bytes()

    def make(self, random: Random, folder: Path) -> str:
        (length,) = struct.unpack_from("<Q", self.weights)
        header = json.loads(self.weights[8 : 8 + length])
        body = self.weights[8 + length :]
        way = random.random()
        if way < 0.3:
            data, what = damaged(self.weights, random), "bytes"
        elif way < 0.9:
            text = (
                odd_json(_other_tensors(header, random), random)
                if way < 0.6
                else json.dumps(_other_tensors(header, random)).encode()
            )
            data, what = struct.pack("<Q", len(text)) + text + body, "header"
        else:
            claimed = random.choice((0, 1, 2**31, 2**62, 2**64 - 1, length - 1, 10**8))
            data, what = struct.pack("<Q", claimed) + self.weights[8:], "length of the header"
        (folder / "weights.safetensors").write_bytes(data)
        card = {**self.card, "weights_sha256": hashlib.sha256(data).hexdigest()}
        (folder / "card.json").write_text(json.dumps(card))
        return what

    def use(self, folder: Path, output: Path) -> None:
        check_model(load_model(folder).save(output / "copy"))


def _other_tensors(header: dict[str, Any], random: Random) -> dict[str, Any]:
    """The header with the type, shape or place of a tensor changed."""
    name = random.choice(sorted(header))
    entry = dict(header[name])
    way = random.randrange(5)
    if way == 0:
        entry["dtype"] = random.choice(
            ("F64", "F16", "BF16", "I64", "BOOL", "U8", "F8_E4M3", "X", 1)
        )
    elif way == 1:
        entry["shape"] = random.choice(([], [0], [10**12], [2**32, 2**32], [-1], [1] * 500))
    elif way == 2:
        entry["data_offsets"] = random.choice(([0, 0], [0, 2**63], [4, 0], [-1, 4], [0, 10**12]))
    elif way == 3:
        return {key: value for key, value in header.items() if key != name}
    else:
        return {**header, "__metadata__": odd_value(random)}
    return {**header, name: entry}


class _Run:
    """A pickle of it calls something as it is read."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


_CALLS = (
    _Run(os.system, f"touch {CANARY}"), _Run(eval, f"open({CANARY!r}, 'w')"), _Run(open, CANARY, "w"),
    _Run(os.mkdir, CANARY), _Run(getattr, "os", "system"), _Run(__import__, "antigravity"),
    _Run(torch.load, "/dev/stdin"), _Run(torch.save, 1, CANARY), _Run(torch.zeros, 10**11),
)  # fmt: skip


class Checkpoint(Subject):
    """What ``model import-cyclegan`` is given."""

    name, inputs = "checkpoint .pth", 1200

    def __init__(self) -> None:
        self.originals: dict[str, bytes] = {}
        self.states: dict[str, dict[str, Any]] = {}

    def prepare(self, folder: Path) -> None:
        torch.manual_seed(0)
        for name, options in (
            ("plain", {}),
            ("colour", {"out_channels": 3}),
            ("cut", {"antialias": True}),
        ):
            layers = {
                "filters": 2,
                "blocks": 2,
                "norm": "instance",
                "dropout": "element",
                **options,
            }
            network = build("resnet", **layers)
            # CUT saves its blurs as well.
            self.states[name] = {**dict(network.named_buffers()), **network.state_dict()}
            torch.save(self.states[name], folder / f"{name}.pth")
            old = folder / f"{name}-old.pth"
            torch.save(self.states[name], old, _use_new_zipfile_serialization=False)
            for path in (folder / f"{name}.pth", old):
                import_cyclegan(path, "toy")
                self.originals[path.stem] = path.read_bytes()

    def make(self, random: Random, folder: Path) -> str:
        path, way = folder / "net.pth", random.random()
        if way < 0.4:
            name = random.choice(sorted(self.originals))
            path.write_bytes(damaged(self.originals[name], random))
            return f"bytes of {name}"
        name = random.choice(sorted(self.states))
        if way < 0.75:
            old = random.random() < 0.2
            torch.save(_other_state(self.states[name], random), path,
                       _use_new_zipfile_serialization=not old)  # fmt: skip
            return f"tensors of {name}"
        if way < 0.9:
            call = random.choice(_CALLS)
            value: Any = random.choice((call, {"a": call}, {**self.states[name], "x": call}))
            protocol = random.randrange(6)
            if random.random() < 0.5:
                torch.save(value, path, pickle_protocol=max(protocol, 2))
            else:
                path.write_bytes(pickle.dumps(value, protocol))
            return f"a pickle that calls {call.call.__name__}"
        path.write_bytes(_rezipped(self.originals[name], random))
        return f"the archive of {name}"

    def use(self, folder: Path, output: Path) -> None:
        check_model(import_cyclegan(folder / "net.pth", "toy").save(output / "copy"))


def _other_state(state: dict[str, Any], random: Random) -> Any:
    """A state with tensors that are odd: vast for their storage, sparse, complex, of no device."""
    state = dict(state)
    if random.random() < 0.2:
        return twisted(dict.fromkeys(state, 1) if random.random() < 0.3 else list(state), random)
    for _ in range(random.choice((1, 1, 2))):
        name = random.choice(sorted(state))
        value = state[name]
        if not isinstance(value, torch.Tensor):  # made odd before
            continue
        odd = (
            torch.zeros(1).expand(10**6, 10**6), torch.zeros(1, 1, 1, 1).expand(10**4, 10**4, 7, 7),
            torch.zeros(1, dtype=torch.half).expand(value.shape), value.to_sparse(), value * 1j,
            value.to("meta"), value.double(), value.half(), value.bool(), value.long(),
            torch.full_like(value, float("nan"), dtype=torch.float),
            torch.full_like(value, 1e38, dtype=torch.float), value[:0], value[None],
            value.flatten(), torch.tensor(1.0), torch.nn.Parameter(value.float()), "text", 1, None, [value],
            torch.quantize_per_tensor(value.float(), 0.1, 0, torch.quint8), value.transpose(0, -1),
        )  # fmt: skip
        if random.random() < 0.2:
            new = random.choice(("", name + "x", "module." + name, "model.9999.conv_block.1.weight",
                                 "model.10.conv_block.5.weight", "x" * 10_000, name.upper()))  # fmt: skip
            state[new] = state.pop(name)
        else:
            state[name] = random.choice(odd)
    return state


def _rezipped(data: bytes, random: Random) -> bytes:
    """The archive with entries deflated, doubled, named otherwise, or blown up."""
    made = io.BytesIO()
    way, kind = random.randrange(5), random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", kind) as new:
        chosen = random.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen and way == 0:
                content = bytes(random.choice((0, 10, 50_000_000)))
            elif name == chosen and way == 1:
                content = damaged(content, random)
            elif name == chosen and way == 2:
                name = random.choice(("../../x", "/etc/x", "x/../../y", "archive/data/../data.pkl"))
            new.writestr(zipfile.ZipInfo(name), content, kind)
            if name == chosen and way == 3:
                new.writestr(zipfile.ZipInfo(name + "x"), content, kind)
    return made.getvalue()
