"""Generators: their promise to inference, and the layout of the paper's ResNet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from microctsr_core.networks import Generator, build
from microctsr_core.networks.rewriting import OneChannelConvolution, rewrite
from toy_models import make_network

GENERATORS = [
    ("compact", {}),
    ("compact", {"upsampling": [8]}),
    ("resnet", {}),
    ("resnet", {"norm": "instance", "output": "linear"}),
    ("resnet", {"dropout": "element"}),
    ("resnet", {"dropout": "none"}),
    ("resnet", {"blocks": 3, "dropout_blocks": 2}),
    ("resnet", {"norm": "batch", "antialias": True, "out_channels": 3}),
    ("srresnet", {}),
    ("unet", {}),
]
NAMES = ["compact", "resnet", "srresnet", "unet"]
# Those whose passes read less than the whole network does, and no statistics of what they read.
LOCAL_PASSES = [
    ("compact", {}),
    ("compact", {"upsampling": [8]}),
    ("resnet", {}),
    ("resnet", {"blocks": 3, "dropout_blocks": 2}),
    ("resnet", {"dropout": "none", "antialias": True}),
    ("srresnet", {}),
]


def stack_for(network: Generator, size: int = 32, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((batch, network.in_slices, size, size), generator=generator)


@pytest.mark.parametrize("upsampling", [[8, 8, 8], [8, 8], [8]])
def test_an_untrained_network_makes_no_checkerboard_of_an_even_plane(upsampling: list[int]) -> None:
    torch.manual_seed(0)
    network = build("compact", width=16, blocks=2, dropout_blocks=1, upsampling=upsampling)
    even = torch.full((1, network.in_slices, 32, 32), 0.3)
    added = network(even)[0, 0] - 0.3  # to the cubic interpolation, which is even
    middle = added[96:160, 96:160]
    assert added.abs().max() > 0
    assert middle.std() < 1e-3 * middle.abs().mean()


def random_masks(network: Generator, *batch: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [
        (torch.rand((*batch, channels), generator=generator) < 0.6) / 0.6
        for channels in network.dropout_channels
    ]


@pytest.mark.parametrize(("name", "arguments"), GENERATORS)
def test_a_generator_enlarges_by_its_scale(name: str, arguments: dict) -> None:
    network = make_network(name, **arguments)
    out = network(stack_for(network, 32, batch=2))
    assert out.shape == (2, 1, 32 * network.scale, 32 * network.scale)
    assert network.in_slices % 2 == 1


@pytest.mark.parametrize(("name", "arguments"), GENERATORS)
def test_encoding_once_and_decoding_gives_the_forward_pass(name: str, arguments: dict) -> None:
    network = make_network(name, **arguments)
    x, masks = stack_for(network), random_masks(network)
    parts = network.decode(network.encode(x), masks)
    assert torch.equal(parts, network(x, masks))


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_dropped_unless_a_mask_says_so(name: str, training: bool) -> None:
    network = make_network(name).train(training)
    x = stack_for(network)
    assert torch.equal(network(x), network(x))
    assert torch.equal(network(x), network(x, [torch.ones(c) for c in network.dropout_channels]))
    assert not torch.equal(network(x), network(x, random_masks(network)))


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_per_sample_acts_on_its_own_sample(name: str) -> None:
    network = make_network(name)
    x, masks = stack_for(network, batch=2), random_masks(network, 2)
    both = network(x, masks)
    for sample in range(2):
        alone = network(x[sample : sample + 1], [mask[sample] for mask in masks])
        torch.testing.assert_close(both[sample : sample + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), GENERATORS)
def test_dropped_channels_are_left_out_and_the_numbers_stay(name: str, arguments: dict) -> None:
    network = make_network(name, **arguments)
    x, shared = stack_for(network), random_masks(network)
    # A mask per sample cannot be left out of a convolution; it is multiplied by.
    multiplied = network(x, [mask[None] for mask in shared])
    torch.testing.assert_close(network(x, shared), multiplied, atol=1e-5, rtol=1e-5)
    nothing = [torch.zeros_like(mask) for mask in shared]
    torch.testing.assert_close(network(x, nothing), network(x, [m[None] for m in nothing]))


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_a_folded_network_gives_the_same_numbers_without_its_norms(norm: str) -> None:
    network = make_network("resnet", norm=norm, blocks=2)
    torch.manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            layer.weight.uniform_(0.5, 2)
            layer.bias.normal_()
    x, masks = stack_for(network), random_masks(network)
    expected = network(x, [mask[None] for mask in masks])
    rewrite(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    torch.testing.assert_close(network(x, masks), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("padding", [0, 2])
def test_a_convolution_to_one_channel_is_pytorchs_written_another_way(padding: int) -> None:
    torch.manual_seed(4)
    layer = nn.Conv2d(6, 1, 7, padding=padding)
    for order in (torch.contiguous_format, torch.channels_last):
        x = torch.rand(2, 6, 71, 20).contiguous(memory_format=order)
        torch.testing.assert_close(OneChannelConvolution(layer)(x), layer(x), atol=1e-5, rtol=1e-5)
    assert OneChannelConvolution.suits(layer)
    assert not OneChannelConvolution.suits(nn.Conv2d(6, 2, 7))


@pytest.mark.parametrize(("name", "arguments"), LOCAL_PASSES)
def test_a_pass_reads_the_encoded_features_no_farther_than_the_decode_radius(
    name: str, arguments: dict
) -> None:
    network = make_network(name, **arguments)
    stride, halo = getattr(network, "stride", 1), network.decode_radius
    halo = -(-halo // stride) * stride
    size = 2 * halo + 16
    encoded = network.encode(stack_for(network, size + 32))
    masks = random_masks(network)
    whole = network.decode(encoded, masks)
    edges = (16, 16 + size)
    part = [
        each[(..., *(slice(*(n * each.shape[-1] // (size + 32) for n in edges)),) * 2)]
        for each in encoded
    ]
    inner = slice(halo * network.scale, -halo * network.scale)
    outer = slice((16 + halo) * network.scale, (16 + size - halo) * network.scale)
    decoded = network.decode(part, masks)
    torch.testing.assert_close(
        decoded[..., inner, inner], whole[..., outer, outer], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "arguments"), [*((name, {}) for name in NAMES), ("resnet", {"antialias": True})]
)
def test_no_pixel_beyond_the_radius_has_an_influence(name: str, arguments: dict) -> None:
    network = make_network(name, **arguments)
    size = 2 * network.radius + 24
    size += -size % 4
    # Every position on the grid of the strided convolutions, and of the sub-pixels, is tried.
    reach = 0
    for shift in range(8):
        place = size // 2 * network.scale + shift
        x = stack_for(network, size).requires_grad_()
        network(x)[0, 0, place, place].backward()
        rows = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 3)))[:, 0]
        reach = max(reach, int((rows - place // network.scale).abs().max()))
    assert reach <= network.radius
    assert reach > network.radius - 4, "a halo far wider than needed wastes time"


def test_resnet_has_the_names_and_sizes_of_cyclegan_checkpoints() -> None:
    state = build("resnet").state_dict()
    # The authors' code prints "11.378 M" for colour images: two more planes in, two more out.
    ours = sum(value.numel() for value in state.values())
    assert round((ours + 2 * 64 * 49 + 2 * (64 * 49 + 1)) / 1e6, 3) == 11.378
    assert state["model.1.weight"].shape == (64, 1, 7, 7)
    assert state["model.7.weight"].shape == (256, 128, 3, 3)
    for block in range(10, 19):
        assert state[f"model.{block}.conv_block.1.weight"].shape == (256, 256, 3, 3)
        assert state[f"model.{block}.conv_block.6.weight"].shape == (256, 256, 3, 3)
    assert state["model.19.weight"].shape == (256, 128, 3, 3)
    assert state["model.26.weight"].shape == (1, 64, 7, 7)
    # Without dropout the second convolution moves up, as it does there.
    assert "model.10.conv_block.5.weight" in build("resnet", dropout="none").state_dict()


def test_resnet_computes_what_its_layers_written_out_compute() -> None:
    network = make_network("resnet", norm="instance", blocks=1)
    w = network.state_dict()
    masks = random_masks(network)

    def normed(y: Tensor) -> Tensor:
        return functional.instance_norm(y)

    def reflected(y: Tensor, layer: str, edge: int) -> Tensor:
        y = functional.pad(y, (edge,) * 4, mode="reflect")
        return functional.conv2d(y, w[f"{layer}.weight"], w[f"{layer}.bias"])

    x = stack_for(network)
    y = normed(reflected(2 * x - 1, "model.1", 3)).relu()
    for layer in ("model.4", "model.7"):
        y = functional.conv2d(y, w[f"{layer}.weight"], w[f"{layer}.bias"], 2, 1)
        y = normed(y).relu()
    hidden = normed(reflected(y, "model.10.conv_block.1", 1)).relu()
    hidden = hidden * masks[0][None, :, None, None]
    y = y + normed(reflected(hidden, "model.10.conv_block.6", 1))
    for layer in ("model.11", "model.14"):
        weight, bias = w[f"{layer}.weight"], w[f"{layer}.bias"]
        y = functional.conv_transpose2d(y, weight, bias, 2, 1, 1)
        y = normed(y).relu()
    expected = (reflected(y, "model.18", 3).tanh() + 1) / 2
    torch.testing.assert_close(network(x, masks), expected)


def test_resnet_output_stays_between_0_and_1() -> None:
    network = make_network("resnet")
    out = network(10 * stack_for(network) - 5)
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("unet3d", {}, "no network 'unet3d'; there are compact, resnet"),
        ("resnet", {"norm": "layer"}, "one of instance, frozen, batch, none, not 'layer'"),
        ("resnet", {"dropout": "spatial"}, "one of channel, element, none"),
        ("resnet", {"dropout_rate": 1.0}, "dropout rate in"),
        ("resnet", {"colour": "red"}, "cannot be built"),
        ("resnet", {"blocks": 2, "dropout_blocks": 3}, "1 to 2 dropout_blocks, not 3"),
        ("compact", {"in_slices": 4}, "odd in_slices"),
    ],
)
def test_what_no_network_can_be_is_refused_by_name(
    name: str, arguments: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **arguments)


@pytest.mark.parametrize("masks_of", ["a pass", "single values", "none"])
@pytest.mark.parametrize("arguments", [{"blocks": 3, "dropout_blocks": 2}, {"antialias": True}])
def test_strips_of_a_slice_give_what_the_slice_does(
    arguments: dict, masks_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network("resnet", **arguments)
    x = stack_for(network, size=52)
    masks = random_masks(network) if masks_of == "a pass" else None
    if masks_of == "single values":
        masks = [torch.rand(1, channels, 13, 13) for channels in network.dropout_channels]
    whole = network(x, masks)  # strips are for inference alone, and gradients are on here
    monkeypatch.setattr("microctsr_core.networks.strips._STRIP_BYTES", 3 * 4 * 8 * 13)
    with torch.inference_mode():
        encoded = network.encode(x)
        kept = [each.clone() for each in encoded]
        torch.testing.assert_close(network.decode(encoded, masks), whole, atol=1e-5, rtol=1e-5)
        # What is encoded once is not changed by the passes that read it.
        assert all(torch.equal(each, before) for each, before in zip(encoded, kept, strict=True))
