"""TorchScript and exported modules: weights are those of the eager module, and outputs keep their bits."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import attnwidget as aw

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
N_HEADS, N_GROUPS, D_HEAD, N_TOKENS = 4, 2, 8, 7


class Fused(nn.Module):
    """Grouped heads, and a mask on every layer but the causal one."""

    def __init__(self, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(32, N_HEADS * D_HEAD)
        self.key, self.value = (nn.Linear(32, N_GROUPS * D_HEAD) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q = 4 * self.query(x).view(x.shape[0], x.shape[1], 4, 8).transpose(1, 2)
        k = self.key(x).view(x.shape[0], x.shape[1], 2, 8).transpose(1, 2)
        v = self.value(x).view(x.shape[0], x.shape[1], 2, 8).transpose(1, 2)
        if self.causal:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return out.transpose(1, 2).flatten(2)


class Composite(Fused):
    """Writes it out, and mixes what comes by a softmax that is no attention."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q = 4 * self.query(x).view(x.shape[0], x.shape[1], 4, 8).transpose(1, 2)
        k = self.key(x).view(x.shape[0], x.shape[1], 2, 8).transpose(1, 2).repeat_interleave(2, dim=1)
        v = self.value(x).view(x.shape[0], x.shape[1], 2, 8).transpose(1, 2).repeat_interleave(2, dim=1)
        weights = F.dropout((q @ k.transpose(2, 3)).masked_fill(~mask, -1e9).softmax(-1), 0.1, self.training)
        return (weights @ v).transpose(1, 2).flatten(2)


class Stack(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.first, self.second = layers

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.first(x, mask)
        return (x + self.second(x, mask)).softmax(-1)


STACKS: dict[str, Callable[[], nn.Module]] = {
    "fused": lambda: Stack(Fused(), Fused(causal=True)),
    "composite": lambda: Stack(Composite(), Composite()),
}
MADE: dict[str, Callable[[nn.Module, tuple[Tensor, Tensor]], nn.Module]] = {
    "script": lambda model, _: torch.jit.script(model),
    "trace": lambda model, inputs: torch.jit.trace(model, inputs),  # type: ignore[no-untyped-call]
    "export": lambda model, inputs: torch.export.export(model, inputs).module(),
}


def inputs(n_examples: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(n_examples, 1, N_TOKENS, N_TOKENS, dtype=torch.bool)
    mask[-1, ..., -2:] = False
    return torch.randn(n_examples, N_TOKENS, 32, generator=generator), mask


def recorded(model: nn.Module, *given: Tensor, **options: object) -> tuple[aw.Trace, Tensor, list[str]]:
    with warnings.catch_warnings(record=True) as found, aw.record(model, **options) as trace:  # type: ignore[arg-type]
        warnings.simplefilter("always")
        output = model(*given)
    return trace, output, [str(it.message) for it in found if it.category is UserWarning]


@pytest.mark.parametrize("example", [0, 1])
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("made", MADE)
def test_weights_are_those_of_the_eager_module(made: str, stack: str, example: int) -> None:
    torch.manual_seed(0)
    eager, batch = STACKS[stack]().eval(), inputs()
    model = MADE[made](eager, batch)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            plain = model(*batch)
            expected, _, _ = recorded(eager, *batch, example=example)
            trace, output, notes = recorded(model, *batch, example=example)
        assert torch.equal(output, plain)
        assert [site.layer for site in trace.sites] == [site.layer for site in expected.sites]
        for mine, theirs in zip(trace.sites, expected.sites, strict=True):
            assert mine.kind == theirs.kind
            np.testing.assert_allclose(trace.weights(mine), expected.weights(theirs), atol=1e-5)
        kind = "Exported" if made == "export" else "TorchScript"
        assert notes == [f"{kind} module: module names are not available; layers are numbered in call order."]


@pytest.mark.parametrize("made", MADE)
def test_a_part_of_an_eager_model(made: str) -> None:
    torch.manual_seed(0)
    eager, batch = Stack(Fused(), Fused()).eval(), inputs(1)
    expected, plain, _ = recorded(eager, *batch)
    eager.second = MADE[made](eager.second, batch)
    trace, output, _ = recorded(eager, *batch)
    assert torch.equal(output, plain)
    assert [site.name for site in trace.sites] == ["first", "second"]
    for mine, theirs in zip(trace.sites, expected.sites, strict=True):
        np.testing.assert_allclose(trace.weights(mine), expected.weights(theirs), atol=1e-5)


@pytest.mark.parametrize("grad", [True, False])
def test_layers_of_torch_in_a_script(grad: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 20, batch_first=True).eval()
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), torch.randn(2, 5, 16)
    script = torch.jit.script(model)
    with torch.set_grad_enabled(grad):
        plain = script(x)
        expected, _, _ = recorded(model, x, example=1)
        trace, output, _ = recorded(script, x, example=1)
    assert torch.equal(output, plain)
    for mine, theirs in zip(trace.sites, expected.sites, strict=True):
        np.testing.assert_allclose(trace.weights(mine), expected.weights(theirs), atol=1e-5)


@pytest.mark.parametrize("made", MADE)
def test_gradients_are_those_without_recording(made: str) -> None:
    torch.manual_seed(0)
    batch = inputs(1)
    model = MADE[made](STACKS["fused"]().eval(), batch)
    found = []
    for records in (False, False, True):  # a script is compiled at its first pass, which rounds otherwise
        model.zero_grad()
        if records:
            with aw.record(model):
                model(*batch).square().sum().backward()
        else:
            model(*batch).square().sum().backward()
        found.append([it.grad for it in model.parameters() if it.grad is not None])
    _, plain, looked_at = found
    assert plain
    assert all(torch.equal(a, b) for a, b in zip(plain, looked_at, strict=True))


@pytest.mark.parametrize("made", MADE)
def test_it_cannot_be_edited(made: str) -> None:
    batch = inputs(1)
    model = MADE[made](STACKS["fused"]().eval(), batch)
    with pytest.raises(aw.CaptureError, match="cannot be edited: it runs below Python"):
        recorded(model, *batch, edits=[aw.Edit("ablate", head=0)])
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


@pytest.mark.parametrize("made", MADE)
def test_a_part_cannot_be_edited_nor_a_batch_be_kept(made: str) -> None:
    batch = inputs(2)
    model = Stack(Fused(), Fused()).eval()
    model.second = MADE[made](model.second, batch)
    with pytest.raises(aw.CaptureError, match=r"second is a module of .* and cannot be edited"):
        recorded(model, *batch, example=0, edits=[aw.Edit("ablate", head=0)])
    with pytest.raises(aw.CaptureError, match="a batch of 2 examples came"):
        recorded(MADE[made](STACKS["fused"]().eval(), batch), *batch)


def test_two_runs_are_not_one() -> None:
    batch = inputs(1)
    model = torch.jit.script(STACKS["composite"]().eval())

    def run() -> aw.Trace:
        with aw.record(model) as trace:
            model(*batch)
            model(*batch)
        return trace

    with pytest.warns(UserWarning, match="ran more than once"):
        assert len(run().sites) == 2
