"""Every registered adapter keeps the same eight claims, each with a tiny model of its own.

A new adapter adds its model to MODELS: two layers of cross-attention, 3 heads, 4 queries, 5 keys.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from torch.overrides import _get_current_function_mode_stack
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

import attnwidget as aw
from attnwidget.capture import recording
from attnwidget.capture.adapter import Adapter
from attnwidget.capture.adapters import ADAPTERS

N_LAYERS, N_HEADS, N_QUERIES, N_KEYS, D_HEAD = 2, 3, 4, 5, 2
EXTENDING = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


class Layer(nn.Module):
    """Multi-head cross-attention that remembers its scores; how it attends is for subclasses to say."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(N_HEADS * D_HEAD, N_HEADS * D_HEAD) for _ in range(3))
        self.scores = torch.empty(0)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        q = self.query(queries).unflatten(2, (N_HEADS, D_HEAD)).mT.permute(0, 3, 1, 2)  # [batch, head, query, d_head]
        k = self.key(keys).unflatten(2, (N_HEADS, D_HEAD)).mT.permute(0, 3, 1, 2)
        v = self.value(keys).unflatten(2, (N_HEADS, D_HEAD)).mT.permute(0, 3, 1, 2)
        self.scores = (3 * q @ k.mT).detach()  # [batch, head, query, key]
        return self.attend(3 * q, k, v).transpose(1, 2).flatten(2)  # [batch, query, head * d_head]

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError


class MarkLayer(Layer):
    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.mT
        weights = aw.mark(torch.exp2((scores - scores.logsumexp(-1, keepdim=True)) / np.log(2)))
        return torch.stack([weights[..., i : i + 1] * v[:, :, i : i + 1] for i in range(N_KEYS)]).sum(0)


class SoftmaxLayer(Layer):
    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax(q @ k.mT, dim=-1) @ v


class ToyBlockSparseAttention(nn.Module):
    """Returns weights that nothing else shows, as BigBird does."""

    __module__ = "transformers.toy"

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        weights = torch.softmax(q @ k.mT, dim=-1)
        halves = [it.softmax(-1) @ v for it in (q @ k.mT).split(2, dim=2)]
        return torch.cat(halves, dim=2), weights


class ReturnedLayer(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = ToyBlockSparseAttention()

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.as_tensor(self.inner(q, k, v)[0])


class HuggingFaceLayer(Layer):
    is_causal = False

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attention = ALL_ATTENTION_FUNCTIONS.get_interface("sdpa", None)
        return torch.as_tensor(attention(self, q, k, v, None, scaling=1.0)[0].transpose(1, 2))


class MhaLayer(Layer):
    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        unit, size = torch.eye(N_HEADS * D_HEAD), N_HEADS * D_HEAD
        q, k, v = (it.permute(2, 0, 1, 3).flatten(2) for it in (q * D_HEAD**0.5, k, v))  # [token, batch, d_model]
        out, _ = nn.functional.multi_head_attention_forward(
            q, k, v, size, N_HEADS, unit.repeat(3, 1), None, None, None, False, 0.0, unit, None, need_weights=False
        )
        return out.unflatten(2, (N_HEADS, D_HEAD)).permute(1, 2, 0, 3)  # [batch, head, query, d_head]


class SdpaLayer(Layer):
    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, scale=1.0)


class FlexLayer(Layer):
    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        no_backward_on_cpu = flex_attention(q.detach(), k.detach(), v.detach(), scale=1.0)
        return torch.as_tensor(no_backward_on_cpu) + 0 * (q.sum() + k.sum() + v.sum())


class Written(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v


class DispatchLayer(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.jit.script(Written())

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.as_tensor(self.inner(q, k, v))


class ToyPointer(nn.Module):
    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return torch.softmax(q @ k.mT, dim=-1)


class PointerLayer(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = ToyPointer()

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.as_tensor(self.inner(q, k) @ v)  # a pointer has no values; a layer of these tests has


class Model(nn.Module):
    def __init__(self, layer: Callable[[], Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer() for _ in range(N_LAYERS))
        self.fails = False

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        for layer in self.layers:
            queries = queries + layer(queries, keys)
        if self.fails:
            raise ZeroDivisionError
        return queries


MODELS: dict[str, Callable[[], Layer]] = {
    "mark": MarkLayer,
    "returned": ReturnedLayer,
    "hugging_face": HuggingFaceLayer,
    "mha": MhaLayer,
    "sdpa": SdpaLayer,
    "flex": FlexLayer,
    "dispatch": DispatchLayer,
    "pointer": PointerLayer,
    "softmax": SoftmaxLayer,
}


def example() -> type[Adapter]:
    """Return the adapter that docs/extending.md shows, as it stands there."""
    (code,) = re.findall(r"```python\n(# attnwidget/capture/.*?)```", EXTENDING.read_text(), re.DOTALL)
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(code, str(EXTENDING), "exec"), names)
    (found,) = (it for it in names.values() if isinstance(it, type) and issubclass(it, Adapter) and it is not Adapter)
    return found


@pytest.fixture(params=[*MODELS, "the example of docs/extending.md"])
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    torch.manual_seed(0)
    if request.param in MODELS:
        return Model(MODELS[request.param])
    monkeypatch.setattr(recording, "ADAPTERS", (example(), *ADAPTERS))
    return Model(SdpaLayer)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(1, n, N_HEADS * D_HEAD, generator=generator) for n in (N_QUERIES, N_KEYS))  # type: ignore[return-value]


@pytest.fixture
def trace(model: Model, inputs: tuple[Tensor, Tensor]) -> aw.Trace:
    with aw.record(model) as trace:
        model(*inputs)
    return trace


def run(model: Model, inputs: tuple[Tensor, Tensor], *, recorded: bool) -> list[Tensor]:
    """Return output, loss and gradients."""
    model.zero_grad()
    if recorded:
        with aw.record(model):
            output = model(*inputs)
            loss = output.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
    else:
        output = model(*inputs)
        loss = output.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
    return [output, loss, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


def left_behind(model: nn.Module) -> dict[str, object]:
    """Return what a recording could leave behind."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
    ours = {var.name: value for var, value in copy_context().items() if var.name.startswith("attnwidget")}
    return {
        "hooks": sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds),
        "modes": len(_get_current_function_mode_stack()),
        "context": [name for name, value in ours.items() if value is not None],
        "patched": [
            name
            for place in (nn.functional, torch.overrides, AttentionInterface)
            for name, it in vars(place).items()
            if "attnwidget" in str(getattr(it, "__module__", ""))
        ],
    }


NOTHING = {"hooks": 0, "modes": 0, "context": [], "patched": []}


def state(model: nn.Module) -> list[object]:
    """Return modes, gradients and the states of all random number generators."""
    return [
        [module.training for module in model.modules()],
        [(it.requires_grad, None if it.grad is None else it.grad.tolist()) for it in model.parameters()],
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # type: ignore[index, union-attr]
        random.getstate(),
    ]


def test_each_registered_adapter_has_a_model_here() -> None:
    names = [adapter.name for adapter in ADAPTERS]
    assert [name for name in names if name != "gate"] == list(MODELS)  # whose masks have a file of tests of their own


def test_names_of_sites_are_unique(trace: aw.Trace) -> None:
    assert [site.name.removesuffix(".inner") for site in trace.sites] == ["layers.0", "layers.1"]


def test_weights_are_float32_by_head_query_and_key(trace: aw.Trace) -> None:
    found = [(weights.dtype, weights.shape) for weights in map(trace.weights, trace.sites)]
    assert found == [(np.float32, (N_HEADS, N_QUERIES, N_KEYS))] * N_LAYERS


def test_no_weight_is_negative(trace: aw.Trace) -> None:
    assert all((trace.weights(site) >= 0).all() for site in trace.sites)


def test_rows_sum_to_one(trace: aw.Trace) -> None:
    for site in trace.sites:
        np.testing.assert_allclose(trace.weights(site).sum(-1), 1, atol=1e-6)


def test_weights_are_the_softmax_of_the_scores(model: Model, trace: aw.Trace) -> None:
    for layer, site in zip(model.layers, trace.sites, strict=True):
        expected = layer.scores[0].double().softmax(-1)
        np.testing.assert_allclose(trace.weights(site), expected, atol=1e-6, rtol=0)


def test_outputs_loss_and_gradients_are_those_without_recording(model: Model, inputs: tuple[Tensor, Tensor]) -> None:
    plain, recorded = run(model, inputs, recorded=False), run(model, inputs, recorded=True)
    assert len(plain) == 2 + len(list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))


def test_nothing_is_left_behind(model: Model, inputs: tuple[Tensor, Tensor]) -> None:
    with aw.record(model):
        model(*inputs)
        assert left_behind(model) != NOTHING
    assert left_behind(model) == NOTHING


def test_nothing_is_left_behind_by_an_exception(model: Model, inputs: tuple[Tensor, Tensor]) -> None:
    model.fails = True
    with pytest.raises(ZeroDivisionError), aw.record(model):
        model(*inputs)
    assert left_behind(model) == NOTHING


@pytest.mark.parametrize("training", [True, False])
def test_mode_gradients_and_random_numbers_are_as_before(
    model: Model, inputs: tuple[Tensor, Tensor], training: bool
) -> None:
    model.train(training)
    model.layers[0].requires_grad_(False)
    model.layers[1].query.bias.grad = torch.ones_like(model.layers[1].query.bias)
    before = state(model)
    with aw.record(model):
        model(*inputs)
    assert state(model) == before
