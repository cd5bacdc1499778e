"""The networks and optimisers of a run, and the step that changes them; shared by processes."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..errors import MicroCTSRError
from .across import AcrossResolutions
from .batches import Batches, draws_of
from .chance import Chance
from .config import AcrossLosses, Config, CycleLosses, Losses, PairLosses, SRGANLosses
from .cyclegan import CycleGAN
from .domains import Domains
from .losses import Term
from .method import ImagePool, Method, frozen
from .supervised import SRGAN, Supervised
from .watch import Diverged

Precision: TypeAlias = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Machine:
    """What decides the pace of a run, and only by its precision the weights.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: processes on this machine, one for each graphics card.
        nodes: machines.
        precision: ``auto`` (bfloat16 where a graphics card has it), ``32-true`` or ``bf16-mixed``.
        per_pass: patches of a domain at once on a device; the gradients of the rest of the batch
            are accumulated. All of them when ``None``.
        workers: processes that draw patches; ``None``: none on the CPU, four with a graphics card.
        checkpoint_seconds: time between checkpoints within an epoch.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision | Literal["auto"] = "auto"
    per_pass: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 300.0

    @property
    def accelerator(self) -> Literal["cpu", "cuda"]:
        """What ``device`` comes to on this machine."""
        return "cpu" if self.device == "cpu" or not torch.cuda.is_available() else "cuda"

    @property
    def arithmetic(self) -> Precision:
        """What ``precision`` comes to on this machine."""
        if self.precision != "auto":
            return self.precision
        # Older cards only emulate bfloat16.
        fast = self.accelerator == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
        return "bf16-mixed" if fast else "32-true"

    def fabric(self) -> Fabric:
        """Lightning's Fabric for this machine.

        Raises:
            MicroCTSRError: there is no such device.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MicroCTSRError(
                "PyTorch finds no graphics card here; choose --device cpu, or auto."
            )
        for name in ("lightning.fabric", "lightning.pytorch"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            return Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                precision=self.arithmetic,
            )
        except (ValueError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise MicroCTSRError(
                f"{self.devices} processes on {self.nodes} machines cannot be started ({reason}); "
                f"give other --devices or --nodes."
            ) from None


METHODS: dict[type[Losses], type[Method]] = {
    AcrossLosses: AcrossResolutions,
    CycleLosses: CycleGAN,
    PairLosses: Supervised,
    SRGANLosses: SRGAN,
}
"""What learns by which losses."""


def make_method(config: Config) -> Method:
    """The networks of a method, initialised by the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return METHODS[type(config.losses)](config)


class Trainer:
    """The networks, optimisers and memory of a run, and the steps that change them.

    Args:
        config: decides the result.
        fabric: launched.
        per_pass: see :class:`Machine`.
    """

    def __init__(self, config: Config, fabric: Fabric, per_pass: int | None = None) -> None:
        self.config, self.fabric = config, fabric
        self._per_pass = per_pass
        self.step, self.seconds = 0, 0.0
        method = make_method(config).to(fabric.device)
        self._order = fast_order(method, fabric.device)
        self.method: Method = method.to(memory_format=self._order)  # type: ignore[call-overload]
        self.method.train()
        rates = config.optimiser
        self.average = copy.deepcopy(self.method.up).eval().requires_grad_(False)
        self._optimisers = {
            "generators": self._adam(self.method.generators, rates.rate, rates.betas),
            "judges": self._adam(self.method.judges, rates.judge_rate, rates.judge_betas),
        }
        sizes = {"high": config.batch.size, "low": config.batch.low_size or config.batch.size}
        self._pool = ImagePool(math.ceil(self.method.pool / sizes["high"]), config.seed)
        self.sizes = sizes
        self.slots = {
            domain: range(fabric.global_rank, size, fabric.world_size)
            for domain, size in sizes.items()
        }

    def advance(self, batch: Mapping[str, Mapping[str, Tensor]]) -> dict[str, float]:
        """One step: generators, then judges. Returns the losses of the whole batch by name.

        Raises:
            Diverged: a gradient is not finite; no weight was changed by it.
        """
        started = time.monotonic()
        alone = self.step < self._alone_until
        self._set_rates()
        totals: dict[str, Tensor] = {}
        seen = []
        for judge in self.method.judges:
            frozen(judge, True)
        for domain, part, slots in self._parts(batch):
            chance = Chance(self.config.seed, self.step, slots, self.fabric.device)
            with self.fabric.autocast():
                terms, made = self.method.generator_terms(domain, part, chance, alone)
            self._backward(terms, len(slots) / self.sizes[domain], totals)
            seen.append((domain, part, slots, made))
        self._update("generators", self.method.generators)
        for judge in self.method.judges:
            frozen(judge, False)
        if self.method.judges and not alone:
            for domain, part, slots, made in seen:
                if made is None:
                    continue
                shown = self._pool.exchange(domain, self.step, slots, made)
                with self.fabric.autocast():
                    terms = self.method.judge_terms(domain, part, shown)
                self._backward(terms, len(slots) / self.sizes[domain], totals)
            self._update("judges", self.method.judges)
            for judge in self.method.judges:
                judge.refresh()
        self._move_average()
        self.step += 1
        losses = self._summed(totals)
        self.seconds += time.monotonic() - started
        return losses

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on; the same on every process."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "method": self.method.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {name: each.state_dict() for name, each in self._optimisers.items()},
            "pool": self._gathered(self._pool.images),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.method.load_state_dict(state["method"])
        self.average.load_state_dict(state["average"])
        for name, each in self._optimisers.items():
            each.load_state_dict(state["optimisers"][name])
        self._pool.images = {
            key: images.to(self.fabric.device)
            for key, images in state["pool"].items()
            if self._is_own(key)
        }

    def batches(self, domains: Domains, workers: int | None) -> Iterator[Any]:
        """The rest of the run's batches, each its own whatever came before."""
        draws = draws_of(self.config, domains)
        if workers is None:
            workers = 4 if self.fabric.device.type == "cuda" else 0
        since = dict.fromkeys(self.method.later, self._alone_until)
        loader = DataLoader(
            Batches(draws, self.slots, since),
            batch_size=None,
            sampler=range(self.step, self.config.steps),
            num_workers=workers,
            pin_memory=self.fabric.device.type == "cuda",
            persistent_workers=False,
        )
        return iter(loader)

    @property
    def _alone_until(self) -> int:
        """The first step at which the judges learn too."""
        return math.ceil(self.method.alone * self.config.steps)

    def _is_own(self, key: str) -> bool:
        """Whether this process fills the slot whose pool has that key."""
        domain, slot = key.split()
        return int(slot) in self.slots[domain]

    def _parts(
        self, batch: Mapping[str, Mapping[str, Tensor]]
    ) -> Iterator[tuple[str, dict[str, Tensor], list[int]]]:
        """A batch domain by domain, in parts that fit on the device."""
        for domain, tensors in batch.items():
            slots = list(self.slots[domain])
            count = self._per_pass or max(1, len(slots))
            for start in range(0, len(slots), count):
                part = {
                    name: self._on_device(tensor[start : start + count])
                    for name, tensor in tensors.items()
                }
                yield domain, part, slots[start : start + count]

    def _on_device(self, tensor: Tensor) -> Tensor:
        moved = tensor.to(self.fabric.device, non_blocking=True)
        return moved.contiguous(memory_format=self._order) if moved.ndim == 4 else moved

    def _backward(self, terms: list[Term], share: float, totals: dict[str, Tensor]) -> None:
        if not terms:
            return
        torch.stack([share * term.weight * term.value for term in terms]).sum().backward()
        for term in terms:
            value = share * term.value.detach().float()
            totals[term.name] = totals[term.name] + value if term.name in totals else value

    def _update(self, turn: str, networks: Sequence[nn.Module]) -> None:
        """Add up the gradients of all processes, clip them and take a step."""
        parameters = [p for network in networks for p in network.parameters()]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.fabric.world_size > 1:
            gradients = [cast(Tensor, p.grad) for p in parameters]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            flat = cast(Tensor, self.fabric.all_reduce(flat, reduce_op="sum"))
            pieces = flat.split([gradient.numel() for gradient in gradients])
            for gradient, piece in zip(gradients, pieces, strict=True):
                gradient.copy_(piece.view_as(gradient))
        norm = nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip or math.inf)
        if not torch.isfinite(norm):
            raise Diverged(f"The gradient of the {turn} is {float(norm)} at step {self.step}")
        self._optimisers[turn].step()
        self._optimisers[turn].zero_grad(set_to_none=True)

    def _adam(
        self, networks: Sequence[nn.Module], rate: float, betas: tuple[float, float]
    ) -> torch.optim.Optimizer:
        parameters = [p for network in networks for p in network.parameters()]
        # Adam takes no empty list; a method without judges never steps this one.
        return torch.optim.Adam(parameters or [nn.Parameter(torch.zeros(1))], lr=rate, betas=betas)

    def _set_rates(self) -> None:
        rates = self.config.optimiser
        factor = schedule(rates.schedule, self.step / self.config.steps)
        rise = min(1.0, (self.step + 1) / rates.rise) if rates.rise else 1.0
        for turn, rate in (
            ("generators", rates.rate * factor * rise),
            ("judges", rates.judge_rate * factor),
        ):
            for group in self._optimisers[turn].param_groups:
                group["lr"] = rate

    @torch.no_grad()
    def _move_average(self) -> None:
        """Moving average of the generator's weights; faster at first."""
        decay = min(self.config.optimiser.average_decay, (self.step + 1) / (self.step + 10))
        if self.config.optimiser.average_decay == 0:
            decay = 0.0
        pairs = zip(
            self.average.state_dict().values(), self.method.up.state_dict().values(), strict=True
        )
        for kept, new in pairs:
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def _summed(self, totals: Mapping[str, Tensor]) -> dict[str, float]:
        """Losses of the whole batch, in one transfer."""
        names = sorted(totals)
        if not names:
            return {}
        values = torch.stack([totals[name] for name in names])
        if self.fabric.world_size > 1:
            values = cast(Tensor, self.fabric.all_reduce(values, reduce_op="sum"))
        return dict(zip(names, values.tolist(), strict=True))

    def _gathered(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The image pools of all processes."""
        own = {key: value.cpu() for key, value in images.items()}
        if self.fabric.world_size == 1 or not self.method.pool:
            return own
        every: list[Any] = [None] * self.fabric.world_size
        torch.distributed.all_gather_object(every, own)
        return {key: value for each in every for key, value in each.items()}


def fast_order(networks: nn.Module, device: torch.device) -> torch.memory_format:
    """The order of an image's dimensions in memory that convolutions are fastest with.

    That is channels last, by a tenth on the CPU. But there, for a single image, PyTorch (2.13)
    gives a wrong gradient through a transposed convolution ahead of an instance norm.
    """
    transposed = any(isinstance(layer, nn.ConvTranspose2d) for layer in networks.modules())
    if device.type == "cpu" and transposed:
        return torch.contiguous_format
    return torch.channels_last


def schedule(name: str, done: float) -> float:
    """Factor of a learning rate when a share of the run is done.

    >>> schedule("linear", 0.75), schedule("cosine", 1.0)
    (0.5, 0.02)
    """
    if name == "linear":
        return min(1.0, 2 * (1 - done))
    if name == "cosine":
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
    return 1.0
