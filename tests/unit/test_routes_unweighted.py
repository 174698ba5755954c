"""Attention that is no weighted mean: masks over images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw

N_CHANNELS, SIDE = 4, 6


class SpatialAttention(nn.Module):
    """One mask for all channels; Woo et al. 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(2, 1, 3, padding=1)
        self.mask = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.mask = torch.sigmoid(self.score(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)))
        return x * self.mask


class MaskBranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(N_CHANNELS, N_CHANNELS, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(x))


class ResidualAttention(nn.Module):
    """A mask a channel that is added to 1; Wang et al. 2017."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.branch, self.mask = nn.Conv2d(N_CHANNELS, N_CHANNELS, 1), MaskBranch(), torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.mask = self.branch(x)
        return (1 + self.mask) * self.trunk(x)


class CoarseAttention(SpatialAttention):
    """A mask that is enlarged before it multiplies; Oktay et al. 2018."""

    def forward(self, x: Tensor) -> Tensor:
        half = nn.functional.avg_pool2d(x, 2)
        small = torch.sigmoid(self.score(torch.cat([half.mean(1, keepdim=True), half.amax(1, keepdim=True)], dim=1)))
        self.mask = nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
        return self.mask * x


class Net(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.first, self.attention, self.last = nn.Conv2d(3, N_CHANNELS, 1), attention, nn.Linear(N_CHANNELS, 2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        features = features * torch.sigmoid(features)  # an activation, which no mask is
        return torch.as_tensor(self.last(self.attention(features).mean(dim=(2, 3))))


class RepeatedAttention(SpatialAttention):
    """A mask that is repeated for each channel."""

    def forward(self, x: Tensor) -> Tensor:
        self.mask = torch.sigmoid(self.score(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)))
        return x * self.mask.repeat(1, N_CHANNELS, 1, 1)


class Gate(SpatialAttention):
    """A mask of a module that speaks of attention by its name in the network only."""


@pytest.fixture(params=[SpatialAttention, ResidualAttention, CoarseAttention, RepeatedAttention, Gate])
def net(request: pytest.FixtureRequest) -> Net:
    torch.manual_seed(0)
    return Net(request.param())


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:.*is a mask")
def test_a_mask_is_recorded_as_it_multiplied(net: Net, image: Tensor) -> None:
    plain = net(image)
    with aw.record(net, source=[str(i) for i in range(SIDE**2)]) as trace:
        output = net(image)
        aw.step("seven")
    assert torch.equal(plain, output)
    (site,) = trace.sites
    mask = net.attention.mask[0].detach()  # type: ignore[index, union-attr]
    assert (site.kind, site.n_heads, site.n_queries, site.n_keys) == ("cross", len(mask), 1, SIDE**2)
    np.testing.assert_allclose(trace.weights(site)[:, 0], mask.flatten(1), atol=1e-7)
    assert [flag.kind for flag in trace.flags] == ["mask"]


def test_a_mask_is_told_to_be_one(net: Net, image: Tensor) -> None:
    with pytest.warns(UserWarning, match="each weight is between 0 and 1 on its own"), aw.record(net):
        net(image)


@pytest.mark.filterwarnings("ignore:.*is a mask")
def test_a_mask_can_be_edited(net: Net, image: Tensor) -> None:
    with aw.record(net, edits=[aw.Edit("scale", value=0.0)]):
        output = net(image)
    features = net.first(image)
    features = features * torch.sigmoid(features)
    rest = net.attention.trunk(features) if isinstance(net.attention, ResidualAttention) else 0 * features
    torch.testing.assert_close(output, net.last(rest.mean(dim=(2, 3))), atol=1e-5, rtol=0)


def test_a_gate_of_a_network_without_attention_is_none(image: Tensor) -> None:
    class Gated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(x.flip(2)) * x

    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(net := Net(Gated())):
        net(image)


class GatedAttention(nn.Module):
    """Heads of text whose output is gated, number by number: four axes, a convolution along the text, and no image."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.gate = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mix = nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x.mT).mT
        query, key, value = self.project(x).unflatten(2, (2, 12)).transpose(1, 2).chunk(3, -1)
        gate = self.gate(x).unflatten(2, (2, 4)).transpose(1, 2)
        return torch.sigmoid(gate) * nn.functional.scaled_dot_product_attention(query, key, value)


def test_a_gate_of_heads_is_no_mask() -> None:
    with aw.record(layer := GatedAttention()) as trace:
        layer(torch.randn(1, 5, 8))
    assert [(site.n_heads, site.n_queries, site.n_keys) for site in trace.sites] == [(2, 5, 5)]


def test_a_mask_that_is_only_cut_off_multiplies_nothing(image: Tensor) -> None:
    class MaskHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Conv2d(3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.sigmoid(self.score(x))
            return mask * (mask > 0.5)

    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(head := MaskHead()):
        head(image)


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def swish_of_a_norm(x: Tensor) -> Tensor:
    return x * torch.sigmoid(nn.functional.batch_norm(x, None, None, training=True))


def gated_linear_unit(x: Tensor) -> Tensor:
    values, gates = x.chunk(2, dim=1)
    return values * torch.sigmoid(gates)


def gated_tanh(x: Tensor) -> Tensor:
    values, gates = x.chunk(2, dim=1)
    return torch.tanh(values) * gates.sigmoid()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [quick_gelu, swish_of_a_norm, gated_linear_unit, gated_tanh])
def test_features_that_gate_themselves_are_no_mask(
    activation: Callable[[Tensor], Tensor], dtype: torch.dtype, image: Tensor
) -> None:
    class MaskedConv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, N_CHANNELS, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return activation(self.conv(x))

    layer = MaskedConv().to(dtype)
    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(layer):
        layer(image.to(dtype))


@pytest.mark.filterwarnings("error:.*is a mask")
@pytest.mark.parametrize("seed", range(8))
def test_a_gate_that_rises_in_steps_below_rounding_is_no_mask(seed: int, image: Tensor) -> None:
    torch.manual_seed(seed)

    class MaskedConv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, N_CHANNELS, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return quick_gelu(self.conv(x))

    layer = MaskedConv().to(torch.bfloat16)
    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(layer):
        layer(image.to(torch.bfloat16))


def test_a_mask_that_is_the_same_everywhere_is_one(image: Tensor) -> None:
    layer = Net(attention := ResidualAttention())
    nn.init.zeros_(attention.branch.layers[0].weight)  # type: ignore[arg-type]
    with aw.record(layer) as trace:
        layer(image)
    assert [site.n_heads for site in trace.sites] == [N_CHANNELS]
