"""Edits, where they are put: positions, hidden keys, sites of a module that attends twice, values of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import eager, sharpened
from decoders import GROUPED, N_PROMPT, built, inputs
from torch import Tensor, nn

import attnwidget as aw

OPTIONS: dict[str, Any] = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "progress": False}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", ["Llama", "GPT-2", "Mistral"])
@pytest.mark.parametrize("more", [{"use_cache": False}, {"cache_implementation": "static"}], ids=["no cache", "static"])
def test_a_key_that_comes_later_stays_hidden(name: str, more: dict[str, Any]) -> None:
    model, later = built(name), N_PROMPT + 1
    edits = [
        aw.Edit("set", site=0, head=2, key=later, value=0.6),
        aw.Edit("set", site=1, head=1, value=np.ones(N_PROMPT + 5) / (N_PROMPT + 5)),
    ]
    cached = aw.generate(model, inputs(name), edits=edits, **OPTIONS)
    other = aw.generate(model, inputs(name), edits=edits, **OPTIONS, **more)
    assert cached.tokens["target"] == other.tokens["target"]
    for site in cached.sites:
        np.testing.assert_allclose(cached.weights(site), other.weights(site.name), atol=1e-5, rtol=0)
    rows = cached.weights(0, 2)
    assert not rows[:2, later].any()
    np.testing.assert_allclose(rows[2:, later], 0.6, atol=1e-6)


class Masked(nn.Module):
    """Attention of which a mask hides some keys."""

    def __init__(self, hidden: float | None) -> None:
        super().__init__()
        seen = torch.tensor([[True, False, True, True, False]] * 3)
        self.mask = seen if hidden is None else torch.where(seen, 0.0, hidden)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, k, attn_mask=self.mask)


@pytest.mark.parametrize("hidden", [None, float("-inf"), -1e9])
@pytest.mark.parametrize(
    ("edit", "row"),
    [
        (aw.Edit("set", value=[0.1, 0.2, 0.3, 0.4, 0.5]), [0.1, 0, 0.3, 0.4, 0]),
        (aw.Edit("mean"), [1 / 3, 0, 1 / 3, 1 / 3, 0]),
        (aw.Edit("set", key=[0, 0, 1, 3], value=0.25), [0.25, 0, 0.5, 0.25, 0]),
    ],
)
def test_a_key_that_a_mask_hides_stays_hidden(hidden: float | None, edit: aw.Edit, row: list[float]) -> None:
    with aw.record(model := Masked(hidden), edits=[edit]) as trace:
        model(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4))
    np.testing.assert_allclose(trace.weights(), np.broadcast_to(row, (2, 3, 5)), atol=1e-6)


@pytest.mark.parametrize("value", [2.0, np.array(2.0), torch.tensor(2.0), np.float16(2)])
def test_a_number_of_any_kind_is_that_number(value: Any) -> None:  # noqa: ANN401
    def rows(edit: aw.Edit) -> np.ndarray:
        with aw.record(model := Masked(None), edits=[edit]) as trace:
            model(torch.ones(1, 1, 3, 4), torch.ones(1, 1, 5, 4))
        return trace.weights()

    assert np.array_equal(rows(aw.Edit("bias", key=0, value=value)), rows(aw.Edit("bias", key=0, value=2)))
    assert rows(aw.Edit("bias", key=0, value=value))[0, 0, 0] > 0.7


def test_a_row_cannot_be_changed_behind_its_edit() -> None:
    row = np.array([1.0, 0.0])
    edit = aw.Edit("set", value=row)
    row[0] = 0.5
    assert list(np.asarray(edit.value)) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"head": -1}, ValueError, "head: -1 came; one or more were expected, counted from 0"),
        ({"query": [3, -2]}, ValueError, "query: .* counted from 0 and not from the end"),
        ({"query": slice(-2, None)}, ValueError, "query: slice.* counted from 0 and not from the end"),
        ({"head": []}, ValueError, "head: .* one or more were expected"),
        ({"head": True}, TypeError, "head: True came; a whole number"),
        ({"head": 1.5}, TypeError, r"head: 1\.5 came; a whole number"),
        ({"query": "3"}, TypeError, "query: '3' came; a whole number"),
        ({"site": 1.5}, TypeError, "site: float came; a site of a trace"),
        ({"op": "set", "key": 1, "value": -0.5}, ValueError, "0 or more was expected"),
        ({"op": "scale", "value": 1j}, TypeError, "a value of type complex came, a finite number"),
        ({"op": "set", "value": ["a"]}, TypeError, r"a value of type list came, an array \[key\]"),
    ],
)
def test_what_counts_nothing_is_refused_before_a_model_runs(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        aw.Edit(**({"op": "ablate"} | options))


def test_keys_that_come_to_more_than_a_row_are_refused() -> None:
    with (
        pytest.raises(aw.CaptureError, match=r"2 keys of a row would have 1\.4 together"),
        aw.record(model := Masked(None), edits=[aw.Edit("set", key=[0, 2], value=0.7)]),
    ):
        model(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4))


def test_a_head_of_several_that_does_not_exist_is_an_error() -> None:
    with (
        pytest.raises(aw.CaptureError, match=r"No call matched Edit\('ablate', head=\(0, 7\)\)"),
        aw.record(model := Masked(None), edits=[aw.Edit("ablate", head=[0, 7])]),
    ):
        model(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4))


def test_a_query_of_several_that_never_came_is_named() -> None:
    with (
        pytest.warns(UserWarning, match=r"no call had query 8, 9, and the others were edited"),
        aw.record(model := Masked(None), edits=[aw.Edit("ablate", query=[0, 8, 9])]) as trace,
    ):
        model(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4))
    assert [bool(row.any()) for row in trace.weights(0, 0)] == [False, True, True]


@pytest.mark.parametrize("place", [0, 1])
def test_sites_of_one_module_are_edited_one_by_one(place: int) -> None:
    model = built("Llama")
    model.model.layers[1] = model.model.layers[0]
    options = OPTIONS | {"use_cache": False}
    before = aw.generate(model, inputs("Llama"), **options)
    assert [site.name.partition("#")[2] for site in before.sites] == ["", "2"]
    after = aw.rerun(before, aw.Edit("ablate", site=place, head=1)).after
    assert [not after.weights(site, 1).any() for site in after.sites] == [place == 0, place == 1]


class Twice(nn.Module):
    """A decoder whose one module attends to two memories at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)

    def forward(self, memory: Tensor, tokens: str) -> Tensor:
        state = torch.ones(1, 1, 4)
        for token in tokens:
            state = state + self.attention(state, memory, memory)[0]
            state = state + self.attention(state, memory[:, :3], memory[:, :3])[0]
            aw.step(token)
        return state


def test_an_edit_that_cannot_tell_sites_apart_is_an_error() -> None:
    model, memory = Twice().eval(), torch.randn(1, 5, 4)
    with (
        pytest.raises(aw.CaptureError, match="attention attends several times a step"),
        aw.record(model, edits=[aw.Edit("ablate", site="attention#2")]),
    ):
        model(memory, "abc")
    with aw.record(model, edits=[aw.Edit("ablate")]) as trace:
        model(memory, "abc")
    assert [bool(trace.weights(site).any()) for site in trace.sites] == [False, False]


@pytest.mark.parametrize("more", [{}, {"cache_implementation": "static"}, {"use_cache": False}])
def test_a_map_over_two_halves_of_the_values_is_one_site(more: dict[str, Any]) -> None:
    model: Any = sharpened(tf.DiffLlamaForCausalLM(tf.DiffLlamaConfig(**GROUPED)))
    model.generation_config.eos_token_id = None
    edits = [aw.Edit("ablate", head=2)]
    trace = aw.generate(model, inputs("Llama"), edits=edits, **OPTIONS, **more)
    assert [site.name for site in trace.sites] == ["model.layers.0.self_attn", "model.layers.1.self_attn"]
    tokens = torch.tensor([[*inputs("Llama")["input_ids"][0].tolist(), *map(int, trace.tokens["target"])]])
    twin = eager(model)
    with aw.record(twin, edits=edits) as whole:
        logits = twin(input_ids=tokens[:, :-1], use_cache=False).logits
    assert logits[0, N_PROMPT - 1 :].argmax(-1).tolist() == list(map(int, trace.tokens["target"]))
    for site in trace.sites:
        np.testing.assert_allclose(trace.weights(site), whole.weights(site.name)[:, N_PROMPT - 1 :], atol=1e-5, rtol=0)


@pytest.mark.parametrize("written_out", [False, True])
def test_gradients_flow_through_an_edit(written_out: bool) -> None:
    class Biased(nn.Module):
        def forward(self, x: Tensor, bias: Tensor) -> Tensor:
            if written_out:
                return (x @ x.mT / 2 + bias).softmax(-1) @ x
            return nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=bias)

    def gradient(bias: float, *edits: aw.Edit) -> Tensor:
        x = torch.linspace(-1, 2, 20).sin().view(1, 1, 5, 4).requires_grad_()
        mask = torch.zeros(5, 5)
        mask[2, 1] = bias
        with torch.enable_grad(), aw.record(model := Biased(), edits=edits):
            model(x, mask).square().sum().backward()
        assert x.grad is not None
        return x.grad

    expected = gradient(3.0)
    assert not torch.allclose(gradient(0.0), expected, atol=1e-3)
    torch.testing.assert_close(gradient(0.0, aw.Edit("bias", query=2, key=1, value=3.0)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(4,), (2, 1, 2)], ids=["heads in the batch", "five axes"])
def test_a_head_is_ablated_wherever_heads_stand(shape: tuple[int, ...]) -> None:
    class Folded(nn.Module):
        num_heads = 2

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.randn(*shape, 5, 4)
    expected = Folded()(x).reshape(2, 2, 5, 4)
    expected[:, 1] = 0
    with aw.record(model := Folded(), example=1, edits=[aw.Edit("ablate", head=1)]):
        found = model(x)
    torch.testing.assert_close(found.reshape(2, 2, 5, 4), expected, atol=1e-6, rtol=0)
